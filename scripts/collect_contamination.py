"""Collect the contamination reports of all training sets: csv, Markdown and LaTeX."""

import argparse
import json

import pandas

from isheep import cli
from isheep.files.csv_text import write_frame
from isheep.files.ownership import Output
from isheep.files.reading import read_object
from isheep.files.records import InputError
from isheep.report.table_text import Line, Sheet, add_sheet_arguments, write_sheet

WHERE = ("model", "seed", "recipe", "iteration")
COUNTS = ("items", "thirteen_gram", "substring", "either")
PAIRS = ("pairs", "kept")
COLUMNS = [*WHERE, "benchmark", *COUNTS, *PAIRS]

CAPTION = "Test items that are in the data each checkpoint was trained on."
MEANING = (
    "Hit items / items. An item is hit if some pair of the training set has a run of 13 of its words, or all of it; "
    "case, punctuation and white space do not count. Pairs that are kept, but not trained on, count neither."
)


def main(arguments: argparse.Namespace) -> None:
    """Write the counts of every training set and benchmark."""
    places = arguments.reports
    reports = [read_report(place["path"]) for place in places]
    rows = [
        {key: place[key] for key in WHERE}
        | {"benchmark": benchmark}
        | {count: found[count] for count in COUNTS}
        | {count: report[count] for count in PAIRS}
        for place, report in zip(places, reports, strict=True)
        for benchmark, found in report["benchmarks"].items()
    ]
    sheet = make_sheet(places, reports)
    write_frame(arguments.csv, pandas.DataFrame(rows, columns=COLUMNS))
    write_sheet(sheet, arguments)
    print(f"{arguments.csv}: {len(reports)} training sets")


def read_report(path: str) -> dict:
    """Read a report of check_contamination.py. Raises InputError for another file."""
    report = read_object(path)
    if not {*PAIRS, "benchmarks"} <= report.keys():
        raise InputError(
            f"{path}: it has no 'pairs', 'kept' and 'benchmarks'; give a report of check_contamination.py."
        )
    return report


def make_sheet(places: list[dict], reports: list[dict]) -> Sheet:
    """A line for each training set, a column for each benchmark."""
    benchmarks = list(dict.fromkeys(name for report in reports for name in report["benchmarks"]))
    lines = [
        Line((*(str(place[key]) for key in WHERE), *(str(report[key]) for key in PAIRS), *cells(report, benchmarks)))
        for place, report in zip(places, reports, strict=True)
    ]
    return Sheet(CAPTION, (*WHERE, "trained on", "kept", *benchmarks), len(WHERE), lines, notes(reports, benchmarks))


def cells(report: dict, benchmarks: list[str]) -> list[str]:
    """`hits/items` for each benchmark; a dash where it was not looked for."""
    found = [report["benchmarks"].get(name) for name in benchmarks]
    return ["–" if one is None else f"{one['either']}/{one['items']}" for one in found]


def notes(reports: list[dict], benchmarks: list[str]) -> list[str]:
    """What was counted, and how many items could not be hit."""
    items = {name: report["benchmarks"][name] for report in reports for name in report["benchmarks"]}
    kinds = {
        "too_short_for_thirteen_gram": "Too short for a run of 13 words, so that only the whole item is looked for",
        "too_short_for_substring": "Too short to be looked for at all, having fewer than 4 words",
    }
    sentences = [MEANING]
    for key, text in kinds.items():
        short = [f"{name} {items[name][key]} of {items[name]['items']}" for name in benchmarks if items[name][key]]
        sentences += [f"{text}: {', '.join(short)}."] if short else []
    return sentences


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--reports",
    type=json.loads,
    nargs="+",
    required=True,
    help="for each training set model, seed, recipe, iteration, path; JSON",
)
parser.add_argument("--csv", type=Output, required=True, help="csv to write: a row per training set and benchmark")
add_sheet_arguments(parser, required=False)

if __name__ == "__main__":
    cli.run(main, parser)
