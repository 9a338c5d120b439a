"""Draw how scores depend on a setting that recipes differ in, one line per iteration (paper, Figure 2)."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import TypeAdapter

from isheep import cli
from isheep.files.csv_text import read_frame
from isheep.report.figures import SweepFigure, SweepPoint, check_resolved
from isheep.report.plotting import add_figure_arguments, draw_series, finish, house_style, save
from isheep.report.row_notes import Shown, add_selections_argument, training_notes
from isheep.report.score_points import check_metrics, draw_panels, notes_on_points, points_of_panels


def main(arguments: argparse.Namespace) -> None:
    """Write the figure and its numbers."""
    figure = SweepFigure.model_validate_json(arguments.figure)
    points = TypeAdapter(list[SweepPoint]).validate_json(arguments.points)
    declared = [(point.x, iteration) for point in figure.points for iteration in figure.iterations]
    check_resolved("--points", declared, [(point.x, point.iteration) for point in points])
    scores = read_frame(arguments.scores)
    check_metrics(scores, figure.panels, arguments.scores)
    numbers = sweep_numbers(scores, figure, points)
    notes = training_notes(arguments.selections, [shown_as(point, figure) for point in points])
    with house_style():
        save(draw_sweep(numbers, figure, notes), figure.caption, numbers, arguments)
    print(f"{arguments.svg}: {numbers['mean'].count()} of {len(numbers)} points have a score")


def shown_as(point: SweepPoint, figure: SweepFigure) -> Shown:
    """Return a point as the notes on its training data name it."""
    recipe = next(declared.recipe for declared in figure.points if declared.x == point.x)
    where = point.model_dump(include={"model", "iteration", "checkpoint"})
    return Shown(title=f"{point.x} iteration {point.iteration}", recipe=recipe, **where)


def sweep_numbers(scores: pandas.DataFrame, figure: SweepFigure, points: list[SweepPoint]) -> pandas.DataFrame:
    """Return one row per panel, iteration and point, in the figure's order, as `points_of_panels` does."""
    point_at = {(point.x, point.iteration): point for point in points}
    shown = [
        {"iteration": iteration, "x": x, "model": point_at[x, iteration].model}
        | {"checkpoint": point_at[x, iteration].checkpoint}
        for iteration in figure.iterations
        for x in (point.x for point in figure.points)
    ]
    return points_of_panels(scores, figure.panels, shown)


def draw_sweep(numbers: pandas.DataFrame, figure: SweepFigure, notes: Sequence[str] = ()) -> Figure:
    """Draw a panel for each metric, and in it a line for each iteration. notes: sentences more below it."""

    def lines_of(axes: Axes, mine: pandas.DataFrame) -> list[Line2D]:
        return [
            draw_series(axes, mine[mine["iteration"] == iteration], order, len(figure.iterations))
            for order, iteration in enumerate(figure.iterations)
        ]

    names = [point.x for point in figure.points]
    drawing, lines = draw_panels(numbers, figure.panels, names, figure.x_label, lines_of)
    labels = [f"iteration {iteration}" for iteration in figure.iterations]
    finish(drawing, lines, labels, figure.caption, [*notes_on_points(numbers), *notes, *figure.notes])
    return drawing


parser = argparse.ArgumentParser(description=__doc__)
add_figure_arguments(parser)
parser.add_argument("--points", required=True, help="whose scores stand where: x, iteration, checkpoint, model; JSON")
parser.add_argument("--scores", type=Path, required=True, help="csv of all scores")
add_selections_argument(parser)

if __name__ == "__main__":
    cli.run(main, parser)
