"""Draw how scores change from the base model to the last iteration, one line per recipe."""

import argparse
from pathlib import Path

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import TypeAdapter

from isheep import cli
from isheep.files.csv_text import read_frame
from isheep.report.figures import CurveFigure, CurvePoint
from isheep.report.plotting import add_figure_arguments, draw_series, finish, house_style, save
from isheep.report.score_points import check_metrics, draw_panels, notes_on_points, points_of_panels

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
    """Return one row per panel and point, in the figure's order, as `points_of_panels` does."""
    return points_of_panels(scores, figure.panels, [point.model_dump() for point in points])


def draw_curve(numbers: pandas.DataFrame, figure: CurveFigure) -> Figure:
    """Draw a panel for each metric, and in it a line for each recipe; one that ends early has a shorter line."""
    names = list(dict.fromkeys(numbers["line"]))
    iterations = range(numbers["iteration"].max() + 1)

    def lines_of(axes: Axes, mine: pandas.DataFrame) -> list[Line2D]:
        return [
            draw_series(axes, mine[mine["line"] == name].set_index("iteration").reindex(iterations), order, len(names))
            for order, name in enumerate(names)
        ]

    categories = [str(iteration) if iteration else BASE for iteration in iterations]
    drawing, lines = draw_panels(numbers, figure.panels, categories, "iteration", lines_of)
    finish(drawing, lines, names, figure.caption, [*notes_on_points(numbers), *figure.notes])
    return drawing


parser = argparse.ArgumentParser(description=__doc__)
add_figure_arguments(parser)
parser.add_argument(
    "--points", required=True, help="whose scores stand where: line, iteration, checkpoint, model; JSON"
)
parser.add_argument("--scores", type=Path, required=True, help="csv of all scores")

if __name__ == "__main__":
    cli.run(main, parser)
