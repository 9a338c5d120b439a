"""Make the table of what the data of every iteration looks like, beside the paper's yields: csv, Markdown and LaTeX."""

import argparse
import csv
import json
import statistics
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pandas

from isheep import cli
from isheep.files.csv_text import write_frame
from isheep.files.ownership import Output
from isheep.files.reading import read_object
from isheep.files.records import InputError
from isheep.report.table_text import Line, Sheet, add_sheet_arguments, write_sheet
from isheep.spelling import nearest

WHERE = ("model", "seed", "recipe", "iteration")

SHOWN = {
    "generated": ("pairs.generated", 1, 0),
    "broke a rule": ("pairs.broke_a_rule", 1, 0),
    "scored": ("pairs.scored", 1, 0),
    "kept": ("pairs.kept", 1, 0),
    "trained on": ("pairs.trained_on", 1, 0),
    "held out": ("pairs.held_out", 1, 0),
    "% of generated": ("pairs.kept_of_generated", 100, 1),
    "input %": ("texts.kept.with_input", 100, 1),
    "words mean": ("texts.kept.response.words_mean", 1, 1),
    "words median": ("texts.kept.response.words_median", 1, 1),
    "duplicates": ("texts.kept.instruction.repeats", 1, 0),
    "distinct-2": ("texts.kept.response.distinct_2", 1, 3),
}
"""Heading → where a profile has the number, the factor it is shown with, and its digits behind the point."""

PAPER = {"kept": "paper's kept", "words mean": "paper's words mean", "words median": "paper's words median"}
"""Headings after which the paper's number stands, under its own heading."""

YIELDS = {"kept": "kept", "words mean": "mean words", "words median": "median words"}
"""The same headings → columns of the file of published yields."""

CAPTION = "What the data looks like that each iteration is trained on."
MEANING = (
    "Trained on are the kept pairs that training took, less those held out for validation; where fewer are used than "
    "kept, the recipe caps them.",
    "Words, input, duplicates and distinct-2 are those of the kept pairs: words and distinct-2 of their responses, "
    "duplicates are instructions that repeat an earlier one.",
    "Distinct-2 is the number of different pairs of neighbouring words by the number of words; it falls as data grows.",
)


def main(arguments: argparse.Namespace) -> None:
    """Write the table in its three forms."""
    places = arguments.profiles
    published = read_yields(arguments.yields) if arguments.yields else {}
    check_yields(places, published, arguments.yields)
    rows = [{key: place[key] for key in WHERE} | flattened(read_object(place["path"])) for place in places]
    sheet = make_sheet(places, rows, published, arguments.note)
    write_frame(arguments.csv, pandas.DataFrame(with_zero_counts(rows)).convert_dtypes())
    write_sheet(sheet, arguments)
    print(f"{arguments.markdown}: {len(sheet.lines)} rows")


def read_yields(path: Path) -> dict[str, dict[str, str]]:
    """Read the published yields: by `data`, the row's cells as printed."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}); restore it.") from None
    for column in ("data", "remark", *YIELDS.values()):
        if not rows or column not in rows[0]:
            raise InputError(f"{path}: it has no rows with the column {column!r}; restore it.")
    return {row["data"]: row for row in rows}


def check_yields(places: list[dict], published: dict, path: Path | None) -> None:
    """Raise InputError for a profile that names a published row which is not there."""
    for place in places:
        name = place.get("published")
        if name is not None and name not in published:
            raise InputError(f"yields.rows: {path} has no row {name!r}{nearest(name, published) or '; correct it.'}")


def flattened(content: dict, prefix: str = "") -> dict:
    """One level of keys, joined by dots."""
    flat = {}
    for key, value in content.items():
        flat |= flattened(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def with_zero_counts(rows: list[dict]) -> list[dict]:
    """Rows with the same keys, those of a group together; an absent filter or rule rejected 0, all else is empty."""
    found = dict.fromkeys(key for row in rows for key in row)
    groups = list(dict.fromkeys(key.rpartition(".")[0] for key in found))
    keys = sorted(found, key=lambda key: groups.index(key.rpartition(".")[0]))
    counted = ("instructions.rejected.", "pairs.rules.", "pairs.reasons.")
    return [{key: row.get(key, 0 if key.startswith(counted) else None) for key in keys} for row in rows]


def make_sheet(places: list[dict], rows: list[dict], published: dict[str, dict[str, str]], own: Sequence[str]) -> Sheet:
    """The chosen columns: a line for each model, recipe and iteration, over all seeds."""
    both = sorted(zip(places, rows, strict=True), key=lambda pair: order(pair[1], rows))
    lines, model = [], None
    for where, group in groupby(both, key=lambda pair: checkpoint(pair[1])):
        group_places, group_rows = zip(*group, strict=True)
        printed = next((published[place["published"]] for place in group_places if place.get("published")), None)
        cells = [*map(str, where), *numbers(group_rows, printed, bool(published))]
        lines.append(Line(tuple(cells), opens_group=where[0] != model))
        model = where[0]
    beside = PAPER if published else {}
    headings = [text for heading in SHOWN for text in (heading, beside.get(heading)) if text]
    return Sheet(CAPTION, ("model", "recipe", "iteration", *headings), 3, lines, notes(places, rows, published, own))


def checkpoint(row: dict) -> tuple:
    """What a line is of."""
    return row["model"], row["recipe"], row["iteration"]


def order(row: dict, rows: list[dict]) -> int:
    """Lines stand in the order in which their checkpoints are first given."""
    return next(number for number, other in enumerate(rows) if checkpoint(other) == checkpoint(row))


def numbers(rows: tuple[dict, ...], printed: dict[str, str] | None, is_compared: bool) -> list[str]:
    """The cells of one line, the paper's among them where the table has any."""
    cells = []
    for heading, (key, factor, digits) in SHOWN.items():
        cells.append(number([row.get(key) for row in rows], factor, digits))
        if is_compared and heading in PAPER:
            cells.append((printed or {}).get(YIELDS[heading]) or "–")
    return cells


def number(values: list[float | None], factor: int, digits: int) -> str:
    """Mean, and the standard deviation over seeds where there are several; a dash where a seed has no number. A mean of
    counts has one digit more than they."""
    if any(value is None for value in values):
        return "–"
    scaled = [value * factor for value in values]
    if len(scaled) > 1:
        digits = max(digits, 1)
        return f"{statistics.fmean(scaled):.{digits}f} ± {statistics.stdev(scaled):.{digits}f}"
    return f"{scaled[0]:.{digits}f}"


def notes(places: list[dict], rows: list[dict], published: dict[str, dict[str, str]], own: Sequence[str]) -> list[str]:
    """Sentences below the table. own: those of the configuration."""
    seeds = len({row["seed"] for row in rows})
    replicates = ["One seed." if seeds == 1 else f"Mean ± standard deviation over {seeds} seeds."]
    shown = dict.fromkeys(place["published"] for place in places if place.get("published"))
    source = ["The paper's numbers are counted from its released data: github.com/multimodal-art-projection/I-SHEEP."]
    remarks = [f"Paper's {name}: {published[name]['remark']}" for name in shown if published[name]["remark"]]
    return [*replicates, *MEANING, *(source if shown else []), *remarks, *own]


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--profiles",
    type=json.loads,
    nargs="+",
    required=True,
    help="for each training set model, seed, recipe, iteration, path, published (row of --yields); JSON",
)
parser.add_argument("--yields", type=Path, help="csv of published yields")
parser.add_argument("--note", action="append", default=[], help="sentence to stand below the table; may be repeated")
parser.add_argument("--csv", type=Output, required=True, help="csv to write: every number of every profile")
add_sheet_arguments(parser)

if __name__ == "__main__":
    cli.run(main, parser)
