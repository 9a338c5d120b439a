"""Make one declared table from the collected scores, as csv, Markdown and LaTeX."""

import argparse
from pathlib import Path

import pandas
from pydantic import TypeAdapter

from isheep import cli
from isheep.files.csv_text import read_frame, write_frame
from isheep.files.ownership import Output
from isheep.report.published import load_published
from isheep.report.row_notes import Shown, add_selections_argument, training_notes
from isheep.report.table_notes import row_title, table_notes
from isheep.report.table_numbers import build_table, check_table, table_sheet
from isheep.report.table_text import add_sheet_arguments, write_sheet
from isheep.report.tables import Row, TableSettings


def main(arguments: argparse.Namespace) -> None:
    """Write the table in its three forms."""
    table = TableSettings.model_validate_json(arguments.table)
    rows = TypeAdapter(list[Row]).validate_json(arguments.rows)
    scores = read_frame(arguments.scores)
    published = arguments.published and load_published(arguments.published)
    tests = [read_frame(path) for path in arguments.significance]
    significance = pandas.concat(tests, ignore_index=True) if tests else None
    contamination = arguments.contamination and read_frame(arguments.contamination)
    check_table(arguments.csv.stem, table, rows, scores, published)
    numbers = build_table(scores, table, rows, published, significance)
    notes = table_notes(numbers, table, rows, scores, published, significance, contamination)
    notes += [note for note in training_notes(arguments.selections, map(shown_as, rows)) if note not in notes]
    sheet = table_sheet(numbers, table, notes)
    write_frame(arguments.csv, numbers)
    write_sheet(sheet, arguments)
    print(f"{arguments.markdown}: {len(numbers)} rows")


def shown_as(row: Row) -> Shown:
    """Return a row as the notes on its training data name it."""
    where = row.model_dump(include={"model", "recipe", "iteration", "checkpoint"})
    return Shown(title=row_title(row), **where)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--scores", type=Path, required=True, help="csv of all scores")
parser.add_argument("--table", required=True, help="the table's declaration, JSON")
parser.add_argument("--rows", required=True, help="the table's rows, JSON")
parser.add_argument("--published", type=Path, help="csv of the paper's numbers, with its remarks.csv beside it")
parser.add_argument("--significance", type=Path, nargs="*", default=[], help="csv files of compare_iterations.py")
parser.add_argument("--contamination", type=Path, help="csv of the test items that overlap with training data")
add_selections_argument(parser)
parser.add_argument("--csv", type=Output, required=True, help="csv to write; its stem is the table's name")
add_sheet_arguments(parser)

if __name__ == "__main__":
    cli.run(main, parser)
