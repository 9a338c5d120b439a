"""Scores as points of a figure, in a panel for each metric: their mean over seeds, and what is missing in them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from isheep.files.records import InputError
from isheep.report.figures import PanelSettings
from isheep.report.plotting import is_lowest, name_categories, panel_grid, panel_width, seeds_note, wrapped
from isheep.spelling import listed, nearest


def check_metrics(scores: pandas.DataFrame, panels: Iterable[PanelSettings], path: Path) -> None:
    """Raise InputError for a panel whose metric no record of its benchmark has."""
    for panel in panels:
        benchmarks = sorted(set(scores["benchmark"]))
        if panel.benchmark not in benchmarks:
            raise InputError(
                f"{path}: it has no scores of the benchmark {panel.benchmark!r} of the panel {panel.label!r}, only of "
                f"{listed(benchmarks)}{nearest(panel.benchmark, benchmarks)}."
            )
        metrics = sorted(set(scores.loc[scores["benchmark"] == panel.benchmark, "metric"]))
        if panel.metric not in metrics:
            raise InputError(
                f"{path}: no record of {panel.benchmark} has the metric {panel.metric!r} of the panel "
                f"{panel.label!r}, they have {listed(metrics)}{nearest(panel.metric, metrics)}."
            )


def scores_of_panel(scores: pandas.DataFrame, panel: PanelSettings) -> pandas.DataFrame:
    """Return the scores that a panel shows, those that are missing left out, in per cent where the panel is."""
    shown = scores[(scores["benchmark"] == panel.benchmark) & (scores["metric"] == panel.metric)]
    shown = shown.dropna(subset="value")
    return shown.assign(value=shown["value"] * (100 if panel.percent else 1))


def mean_over_seeds(shown: pandas.DataFrame, model: str, checkpoint: str) -> dict:
    """Return a point: mean and standard_deviation (n - 1; missing for a single seed) over seeds, the number of seeds
    with a score, and n and n_valid summed over them. Without any score the mean is missing.
    """
    mine = shown[(shown["model"] == model) & (shown["checkpoint"] == checkpoint)]
    return {
        "mean": mine["value"].mean(),
        "standard_deviation": mine["value"].std(ddof=1),
        "seeds": mine["seed"].nunique(),
        "n": mine["n"].sum(),
        "n_valid": mine["n_valid"].sum(),
    }


def points_of_panels(
    scores: pandas.DataFrame, panels: Iterable[PanelSettings], points: Sequence[Mapping]
) -> pandas.DataFrame:
    """Return one row per panel and point: panel, benchmark, metric, the keys of the point, and `mean_over_seeds`.

    points: each with its model and checkpoint.
    """
    rows = []
    for panel in panels:
        shown = scores_of_panel(scores, panel)
        where = {"panel": panel.label, "benchmark": panel.benchmark, "metric": panel.metric}
        rows += [where | point | mean_over_seeds(shown, point["model"], point["checkpoint"]) for point in points]
    return pandas.DataFrame(rows)


def draw_panels(
    numbers: pandas.DataFrame,
    panels: Sequence[PanelSettings],
    categories: Sequence[str],
    x_label: str,
    draw: Callable[[Axes, pandas.DataFrame], list[Line2D]],
) -> tuple[Figure, list[Line2D]]:
    """Draw a panel for each metric, and return the figure and the last panel's lines, for the legend.

    categories: what the points side by side are called. draw: draws the lines of a panel's rows of `numbers`.
    """
    drawing, grid = panel_grid(len(panels), panel_height=2.1)
    for axes, panel in zip(grid, panels, strict=True):
        mine = numbers[numbers["panel"] == panel.label]
        lines = draw(axes, mine)
        extra = name_categories(axes, categories)
        axes.set_title(wrapped(f"{panel.label} (%)" if panel.percent else panel.label, panel_width(axes)))
        if is_lowest(axes, grid):
            axes.set_xlabel(wrapped(x_label, panel_width(axes)))
        if mine["mean"].isna().all():
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no score", ha="center", transform=axes.transAxes)
    rows = grid[0].get_subplotspec().get_gridspec().nrows
    drawing.set_figheight(drawing.get_figheight() + rows * extra)
    return drawing, lines


def notes_on_points(numbers: pandas.DataFrame) -> list[str]:
    """Say over how many seeds the means are, and how many points and items are missing."""
    scored = numbers[numbers["seeds"] > 0]
    notes = [] if scored.empty else [seeds_note(scored["seeds"])]
    if missing := len(numbers) - len(scored):
        notes.append(f"{missing} of {len(numbers)} points are missing: they have no score.")
    if partial := int((scored["n_valid"] < scored["n"]).sum()):
        notes.append(f"In {partial} of {len(scored)} points some items have no valid score; the csv file counts them.")
    return notes
