"""The house style of all figures: sizes, colours, lines, and how a figure is saved.

A figure is as wide as a page's text (6.5 inch) and holds its caption. Nothing in it is smaller than 7 points. Series
differ in colour, marker, filling and line, so that they stay apart in grey and in colour-blind vision.
"""

import argparse
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from isheep.files.csv_text import write_frame
from isheep.files.ownership import Output
from isheep.files.records import publish

WIDTH = 6.5
"""Width of every figure, inches."""
POINTS_PER_INCH = 72
TEXT_SIZE, SMALL_TEXT_SIZE = 8, 7
"""Points: titles, axes, legend and caption; numbers at the axes."""
LINE_SPACING = 1.2
"""Distance of two lines of text, as a multiple of its size."""
LONGEST_UPRIGHT = 1.2 * POINTS_PER_INCH
"""Points that a line of an upright label may take."""
DODGE = 4.0
"""Points between the series of one category, which stand side by side; less where there are many categories."""
RESOLUTION = 400
"""Dots per inch of what is not drawn as vectors: clouds of points."""
STYLE = {
    "font.family": "sans-serif",  # what a viewer of the svg takes that lacks the next one
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so it is the same on every machine
    "font.size": TEXT_SIZE,
    "axes.titlesize": TEXT_SIZE,
    "axes.labelsize": TEXT_SIZE,
    "legend.fontsize": TEXT_SIZE,
    "xtick.labelsize": SMALL_TEXT_SIZE,
    "ytick.labelsize": SMALL_TEXT_SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.handlelength": 3.6,
    "text.parse_math": False,  # a $ in a label is a dollar
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "isheep",  # else the names of elements differ from run to run
    "pdf.fonttype": 42,  # TrueType
}


@dataclass(frozen=True)
class Series:
    """How one series is drawn."""

    colour: str
    """From the palette of Okabe and Ito (https://jfly.uni-koeln.de/color/)."""
    marker: str
    line: str | tuple[int, tuple[float, ...]]
    """matplotlib's name of the line, or (offset, lengths of dashes and gaps)."""
    filled: bool


SERIES = (
    Series("#0072B2", "o", "solid", True),  # blue
    Series("#E69F00", "s", (0, (5, 1.5)), True),  # orange
    Series("#000000", "^", (0, (1, 1)), False),  # black
    Series("#009E73", "D", (0, (6, 1.5, 1, 1.5)), True),  # bluish green
    Series("#D55E00", "v", (0, (3, 1)), False),  # vermillion
    Series("#CC79A7", "x", (0, (4, 1, 1, 1, 1, 1)), True),  # reddish purple
)
"""The series of a figure, in this order. The first three also differ clearly in lightness."""
REFERENCE, GENERATED = Series("#000000", "o", "none", True), Series("#D55E00", "o", "none", True)
"""The clouds of a projection (paper, Figure 4: black and red)."""


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in the house style, whatever the user's own settings of matplotlib are."""
    with style.context(STYLE, after_reset=True):
        yield


def panel_grid(count: int, panel_height: float, **subplots: object) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its panels, row by row: up to three in one row, four as two by two.

    panel_height: inches, axis labels included. subplots: passed on to `Figure.subplots`.
    """
    columns = 2 if count == 4 else min(count, 3)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(WIDTH, rows * panel_height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, **subplots).ravel().tolist()
    for unused in panels[count:]:
        unused.remove()
    return figure, panels[:count]


def panel_width(axes: Axes) -> float:
    """Return the points that a panel's title and axis labels may take."""
    return WIDTH * POINTS_PER_INCH / axes.get_subplotspec().get_gridspec().ncols * 0.85


def is_lowest(axes: Axes, panels: Sequence[Axes]) -> bool:
    """Say whether no panel stands below this one, so that it has to name the horizontal axis."""
    own = axes.get_subplotspec()
    below = [other for other in (panel.get_subplotspec() for panel in panels) if other.colspan == own.colspan]
    return own.rowspan.start == max(other.rowspan.start for other in below)


def draw_series(axes: Axes, numbers: pandas.DataFrame, number: int, of: int) -> Line2D:
    """Draw the series `number` of `of`: its means as a line, its deviations as bars; return the line.

    numbers: one row per category, which stand at 0, 1, 2 …; columns `mean` and `standard_deviation`. What is missing is
    not drawn, and the line is broken there.
    """
    look = SERIES[number]
    step = min(DODGE * len(numbers) / panel_width(axes), 0.06)
    beside = np.arange(len(numbers)) + step * (number - (of - 1) / 2)
    deviations = numbers["standard_deviation"].to_numpy(dtype=float)
    means = numbers["mean"].to_numpy(dtype=float)
    [line] = axes.plot(
        beside,
        means,
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        markerfacecolor=look.colour if look.filled else "white",
    )
    has_bar = ~np.isnan(deviations) & ~np.isnan(means)
    if has_bar.any():
        bars = (beside[has_bar], means[has_bar], deviations[has_bar])
        axes.errorbar(*bars, fmt="none", ecolor=look.colour, elinewidth=0.8, capsize=2)
    return line


def name_categories(axes: Axes, labels: Sequence[str]) -> float:
    """Write the categories, at 0, 1, 2 …, below the horizontal axis; return the inches that they need below a line.

    Labels that are too long to stand side by side are broken into lines, and stand upright where a word does not fit.
    """
    room = panel_width(axes) / len(labels) - SMALL_TEXT_SIZE / 2
    words = [word for label in labels for word in label.split()]
    upright = max(_text_width(word, SMALL_TEXT_SIZE) for word in words) > room
    broken = [wrapped(label, LONGEST_UPRIGHT if upright else room, SMALL_TEXT_SIZE) for label in labels]
    axes.set_xticks(range(len(labels)), broken, rotation=90 if upright else 0)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.grid(visible=False, axis="x")
    lines = [line for label in broken for line in label.split("\n")]
    if upright:
        return max(_text_width(line, SMALL_TEXT_SIZE) for line in lines) / POINTS_PER_INCH
    return max(label.count("\n") for label in broken) * LINE_SPACING * SMALL_TEXT_SIZE / POINTS_PER_INCH


def finish(
    figure: Figure, handles: Sequence[Line2D], labels: Sequence[str], caption: str, notes: Iterable[str]
) -> None:
    """Put a legend above the panels, and caption and notes below them; the figure grows by what these take.

    It also grows by every further line of titles and axis labels.
    """
    room = WIDTH * POINTS_PER_INCH - 10
    handle = 5 * TEXT_SIZE
    labels = [wrapped(label, room - handle) for label in labels]
    widest = max(_text_width(line, TEXT_SIZE) for label in labels for line in label.split("\n"))
    rows = math.ceil(len(labels) / (int(room // (widest + handle + 2 * TEXT_SIZE)) or 1))
    columns = math.ceil(len(labels) / rows)
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    text = wrapped(" ".join([caption, *notes]), room)
    figure.supxlabel(text, x=5 / (WIDTH * POINTS_PER_INCH), ha="left", fontsize=TEXT_SIZE, linespacing=LINE_SPACING)
    lines = 2 + text.count("\n") + rows * (1 + max(label.count("\n") for label in labels))
    further = max(axes.get_title().count("\n") + axes.get_xlabel().count("\n") for axes in figure.axes)
    lines += further * figure.axes[0].get_subplotspec().get_gridspec().nrows
    figure.set_figheight(figure.get_figheight() + lines * LINE_SPACING * TEXT_SIZE / POINTS_PER_INCH)


def wrapped(text: str, width: float, size: float = TEXT_SIZE) -> str:
    """Break `text` into as few lines as fit into `width` points; a word that is longer is broken too."""
    for columns in range(min(len(text), 200), 0, -1):
        lines = textwrap.wrap(text, columns, break_on_hyphens=False)
        if all(_text_width(line, size) <= width for line in lines):
            break
    return "\n".join(lines) if text else ""


def seeds_note(counts: pandas.Series) -> str:
    """Say over how many seeds the points are means. counts: seeds of each point that is shown, one at least."""
    if counts.max() == 1:
        return "One seed."
    fewer = int((counts < counts.max()).sum())
    exceptions = f" ({fewer} of {len(counts)} points: over fewer)" if fewer else ""
    return f"Mean and standard deviation over {int(counts.max())} seeds{exceptions}."


def add_figure_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every program that draws: the figure's declaration, and what it writes."""
    parser.add_argument("--figure", required=True, help="the figure's declaration, JSON")
    parser.add_argument("--svg", type=Output, required=True, help="svg to write")
    parser.add_argument("--pdf", type=Output, required=True, help="pdf to write")
    parser.add_argument("--csv", type=Output, required=True, help="csv to write: the numbers that are drawn")


def save(figure: Figure, caption: str, numbers: pandas.DataFrame, arguments: argparse.Namespace) -> None:
    """Write a figure and its numbers; the same figure gives the same bytes. Call it in the house style."""
    for path, form, date in ((arguments.svg, "svg", "Date"), (arguments.pdf, "pdf", "CreationDate")):
        with publish(path) as partial:
            figure.savefig(partial, format=form, dpi=RESOLUTION, metadata={date: None, "Title": caption})
    write_frame(arguments.csv, numbers, "%.6g")


def _text_width(text: str, size: float) -> float:
    """Return the width of one line in points."""
    font = FontProperties(family=STYLE["font.sans-serif"], size=size)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
