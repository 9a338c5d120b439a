"""Draw how scores change from the base model to the last iteration, one line per recipe."""

import argparse
from pathlib import Path

import pandas
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from isheep import program
from isheep.csv_text import read_frame
from isheep.figures import CurveFigure, CurvePoint
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
from isheep.score_points import check_metrics, mean_over_seeds, notes_on_points, scores_of_panel

BASE = "base"
"""What iteration 0 is called on the axis."""


def main(arguments: argparse.Namespace) -> None:
    """Write the figure and its numbers."""
    figure = CurveFigure.model_validate_json(arguments.figure)
    points = TypeAdapter(list[CurvePoint]).validate_json(arguments.points)
    scores = read_frame(arguments.scores)
    check_metrics(scores, figure.panels, arguments.scores)
    numbers = curve_numbers(scores, figure, points)
    with house_style():
        save(draw_curve(numbers, figure), figure.caption, numbers, arguments)
    print(f"{arguments.svg}: {numbers['mean'].count()} of {len(numbers)} points have a score")


def curve_numbers(scores: pandas.DataFrame, figure: CurveFigure, points: list[CurvePoint]) -> pandas.DataFrame:
    """Return one row per panel and point, in the figure's order.

    mean, standard_deviation, seeds, n and n_valid are those of `isheep.score_points.mean_over_seeds`.
    """
    rows = []
    for panel in figure.panels:
        shown = scores_of_panel(scores, panel)
        rows += [
            {
                "panel": panel.label,
                "benchmark": panel.benchmark,
                "metric": panel.metric,
                **point.model_dump(),
                **mean_over_seeds(shown, point.model, point.checkpoint),
            }
            for point in points
        ]
    return pandas.DataFrame(rows)


def draw_curve(numbers: pandas.DataFrame, figure: CurveFigure) -> Figure:
    """Draw a panel for each metric, and in it a line for each recipe; one that ends early has a shorter line."""
    names = list(dict.fromkeys(numbers["line"]))
    iterations = range(numbers["iteration"].max() + 1)
    drawing, panels = panel_grid(len(figure.panels), panel_height=2.1)
    for axes, panel in zip(panels, figure.panels, strict=True):
        mine = numbers[numbers["panel"] == panel.label]
        lines = [
            draw_series(axes, mine[mine["line"] == name].set_index("iteration").reindex(iterations), order, len(names))
            for order, name in enumerate(names)
        ]
        extra = name_categories(axes, [str(iteration) if iteration else BASE for iteration in iterations])
        axes.set_title(wrapped(f"{panel.label} (%)" if panel.percent else panel.label, panel_width(axes)))
        if is_lowest(axes, panels):
            axes.set_xlabel("iteration")
        if mine["mean"].isna().all():
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no score", ha="center", transform=axes.transAxes)
    rows = panels[0].get_subplotspec().get_gridspec().nrows
    drawing.set_figheight(drawing.get_figheight() + rows * extra)
    finish(drawing, lines, names, figure.caption, [*notes_on_points(numbers), *figure.notes])
    return drawing


parser = argparse.ArgumentParser(description=__doc__)
add_figure_arguments(parser)
parser.add_argument(
    "--points", required=True, help="whose scores stand where: line, iteration, checkpoint, model; JSON"
)
parser.add_argument("--scores", type=Path, required=True, help="csv of all scores")

if __name__ == "__main__":
    program.run(main, parser)
