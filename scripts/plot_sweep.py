"""Draw how scores depend on a setting that recipes differ in, one line per iteration (paper, Figure 2)."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from isheep import program
from isheep.csv_text import read_frame
from isheep.figures import SweepFigure, SweepPoint, check_resolved
from isheep.plotting import (
    add_figure_arguments,
    draw_series,
    finish,
    house_style,
    is_lowest,
    name_categories,
    panel_grid,
    panel_width,
    save,
    wrapped,
)
from isheep.row_notes import SelectionPlace, Shown, training_notes
from isheep.score_points import check_metrics, mean_over_seeds, notes_on_points, scores_of_panel


def main(arguments: argparse.Namespace) -> None:
    """Write the figure and its numbers."""
    figure = SweepFigure.model_validate_json(arguments.figure)
    points = TypeAdapter(list[SweepPoint]).validate_json(arguments.points)
    declared = [(point.x, iteration) for point in figure.points for iteration in figure.iterations]
    check_resolved("--points", declared, [(point.x, point.iteration) for point in points])
    scores = read_frame(arguments.scores)
    check_metrics(scores, figure.panels, arguments.scores)
    numbers = sweep_numbers(scores, figure, points)
    places = TypeAdapter(list[SelectionPlace]).validate_json(arguments.selections)
    notes = training_notes(places, [shown_as(point, figure) for point in points])
    with house_style():
        save(draw_sweep(numbers, figure, notes), figure.caption, numbers, arguments)
    print(f"{arguments.svg}: {numbers['mean'].count()} of {len(numbers)} points have a score")


def shown_as(point: SweepPoint, figure: SweepFigure) -> Shown:
    """Return a point as the notes on its training data name it."""
    recipe = next(declared.recipe for declared in figure.points if declared.x == point.x)
    where = point.model_dump(include={"model", "iteration", "checkpoint"})
    return Shown(title=f"{point.x} iteration {point.iteration}", recipe=recipe, **where)


def sweep_numbers(scores: pandas.DataFrame, figure: SweepFigure, points: list[SweepPoint]) -> pandas.DataFrame:
    """Return one row per panel, iteration and point, in the figure's order.

    mean, standard_deviation, seeds, n and n_valid are those of `isheep.score_points.mean_over_seeds`.
    """
    point_at = {(point.x, point.iteration): point for point in points}
    rows = []
    for panel in figure.panels:
        shown = scores_of_panel(scores, panel)
        for iteration in figure.iterations:
            for x in (point.x for point in figure.points):
                point = point_at[x, iteration]
                rows.append(
                    {
                        "panel": panel.label,
                        "benchmark": panel.benchmark,
                        "metric": panel.metric,
                        "iteration": iteration,
                        "x": x,
                        "model": point.model,
                        "checkpoint": point.checkpoint,
                        **mean_over_seeds(shown, point.model, point.checkpoint),
                    }
                )
    return pandas.DataFrame(rows)


def draw_sweep(numbers: pandas.DataFrame, figure: SweepFigure, notes: Sequence[str] = ()) -> Figure:
    """Draw a panel for each metric, and in it a line for each iteration. notes: sentences more below it."""
    names = [point.x for point in figure.points]
    drawing, panels = panel_grid(len(figure.panels), panel_height=2.1)
    size = len(names) * len(figure.iterations)
    for number, (axes, panel) in enumerate(zip(panels, figure.panels, strict=True)):
        mine = numbers.iloc[number * size : (number + 1) * size]
        lines = [
            draw_series(axes, mine[mine["iteration"] == iteration], order, len(figure.iterations))
            for order, iteration in enumerate(figure.iterations)
        ]
        extra = name_categories(axes, names)
        axes.set_title(wrapped(f"{panel.label} (%)" if panel.percent else panel.label, panel_width(axes)))
        if is_lowest(axes, panels):
            axes.set_xlabel(wrapped(figure.x_label, panel_width(axes)))
        if mine["mean"].isna().all():
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no score", ha="center", transform=axes.transAxes)
    rows = panels[0].get_subplotspec().get_gridspec().nrows
    drawing.set_figheight(drawing.get_figheight() + rows * extra)
    labels = [f"iteration {iteration}" for iteration in figure.iterations]
    finish(drawing, lines, labels, figure.caption, [*notes_on_points(numbers), *notes, *figure.notes])
    return drawing


parser = argparse.ArgumentParser(description=__doc__)
add_figure_arguments(parser)
parser.add_argument("--points", required=True, help="whose scores stand where: x, iteration, checkpoint, model; JSON")
parser.add_argument("--scores", type=Path, required=True, help="csv of all scores")
parser.add_argument("--selections", default="[]", help="JSON list: model, seed, recipe, iteration, path of the record")

if __name__ == "__main__":
    program.run(main, parser)
