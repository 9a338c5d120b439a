"""Draw the share of pairs that the assessment scores high, by iteration (paper, Figure 3)."""

import argparse

import pandas
from matplotlib.figure import Figure

from isheep import cli
from isheep.data.ledger import iterate_ledger
from isheep.files.records import InputError
from isheep.report.figures import LedgerFile, ShareFigure, check_resolved
from isheep.report.plotting import (
    add_figure_arguments,
    draw_series,
    finish,
    house_style,
    name_categories,
    panel_grid,
    save,
    seeds_note,
)
from isheep.spelling import listed, nearest


def main(arguments: argparse.Namespace) -> None:
    """Write the figure and its numbers."""
    figure = ShareFigure.model_validate_json(arguments.figure)
    ledgers = arguments.ledgers
    check_resolved("--ledgers", figure.iterations, [ledger.iteration for ledger in ledgers])
    numbers = pandas.DataFrame(
        [
            {"iteration": ledger.iteration, "seed": ledger.seed} | counts
            for ledger in sorted(ledgers, key=lambda ledger: (ledger.iteration, ledger.seed))
            for counts in count_shares(read_scores(ledger.path, figure.criteria), curves(figure), figure.threshold)
        ]
    )
    with house_style():
        save(draw_shares(numbers, figure), figure.caption, numbers, arguments)
    print(f"{arguments.svg}: {len(ledgers)} ledgers")


def curves(figure: ShareFigure) -> dict[str, tuple[str, ...]]:
    """Return the criteria that each curve asks for, by its name: each one alone, and all of them."""
    return {name: (name,) for name in figure.criteria} | {" and ".join(figure.criteria): figure.criteria}


def read_scores(path: str, criteria: tuple[str, ...]) -> list[dict[str, int | None]]:
    """Return the scores of every pair in a ledger, by criterion; one that could not be parsed is None.

    Raises InputError for a ledger without pairs, without scores, or without a criterion.
    """
    ledger = list(iterate_ledger(path))
    if not ledger:
        raise InputError(f"{path}: it holds no pair; make the ledger anew.")
    for number, entry in enumerate(ledger, start=1):
        if not isinstance(entry.get("scores"), dict):
            raise InputError(f"{path}: line {number} has no 'scores' by criterion; it is no ledger of a selection.")
    known = sorted({criterion for entry in ledger for criterion in entry["scores"]})
    for criterion in criteria:
        if criterion not in known:
            raise InputError(
                f"{path}: no pair has a score of the criterion {criterion!r} that the figure asks for, found: "
                f"{listed(known)}{nearest(criterion, known)}."
            )
    return [entry["scores"] for entry in ledger]


def count_shares(scores: list[dict], curves: dict[str, tuple[str, ...]], threshold: int) -> list[dict]:
    """Count, for each curve, the pairs that exceed `threshold` in all its criteria.

    Returns criterion (the curve's name), kept, scored (pairs with a valid score of all its criteria), generated (all
    pairs), and kept as a share of both; a share of nothing is missing.
    """
    rows = []
    for name, criteria in curves.items():
        scored = [mine for pair in scores if None not in (mine := [pair.get(criterion) for criterion in criteria])]
        kept = sum(min(mine) > threshold for mine in scored)
        rows.append(
            {
                "criterion": name,
                "kept": kept,
                "scored": len(scored),
                "generated": len(scores),
                "share_of_scored": kept / len(scored) if scored else float("nan"),
                "share_of_generated": kept / len(scores),
            }
        )
    return rows


def draw_shares(numbers: pandas.DataFrame, figure: ShareFigure) -> Figure:
    """Draw one line per curve: the mean over seeds of its share of the scored pairs, in per cent."""
    drawing, [axes] = panel_grid(1, panel_height=2.8)
    names = list(curves(figure))
    iterations = sorted(figure.iterations)
    lines, points = [], []
    for order, name in enumerate(names):
        mine = numbers[numbers["criterion"] == name].set_index("iteration")["share_of_scored"] * 100
        points.append(mine.groupby(level=0).agg(mean="mean", standard_deviation="std", seeds="count").loc[iterations])
        lines.append(draw_series(axes, points[-1], order, len(names)))
    name_categories(axes, [str(iteration) for iteration in iterations])
    axes.set_xlabel("iteration")
    axes.set_ylabel(f"scored pairs with a score > {figure.threshold} (%)")
    finish(drawing, lines, names, figure.caption, [*share_notes(pandas.concat(points), figure), *figure.notes])
    return drawing


def share_notes(points: pandas.DataFrame, figure: ShareFigure) -> list[str]:
    """Say what is counted, over how many seeds the means are, and how many points are missing."""
    shown = points[points["seeds"] > 0]
    notes = ["Shares are of the pairs with a valid score; the csv file also has the shares of all generated pairs."]
    if len(figure.criteria) > 1:
        every = "both" if len(figure.criteria) == 2 else "all"
        notes.append(
            f"The last curve counts the pairs that exceed {figure.threshold} in {every}, as the paper's caption says; "
            "its legend says average."
        )
    if not shown.empty:
        notes.append(seeds_note(shown["seeds"]))
    if missing := len(points) - len(shown):
        notes.append(f"{missing} of {len(points)} points are missing: no pair has a valid score.")
    return notes


parser = argparse.ArgumentParser(description=__doc__)
add_figure_arguments(parser)
parser.add_argument(
    "--ledgers",
    type=LedgerFile.model_validate_json,
    nargs="+",
    required=True,
    help="for each ledger iteration, seed, path; JSON",
)

if __name__ == "__main__":
    cli.run(main, parser)
