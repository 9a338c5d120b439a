"""Make one declared table from the collected scores, as csv, Markdown and LaTeX."""

import argparse
from pathlib import Path

import pandas
from pydantic import TypeAdapter

from isheep import program
from isheep.tables import Row, TableSettings, as_latex, as_markdown, benchmark_notes, build_table


def main(arguments: argparse.Namespace) -> None:
    """Write the table in its three forms."""
    table = TableSettings.model_validate_json(arguments.table)
    rows = TypeAdapter(list[Row]).validate_json(arguments.rows)
    scores = pandas.read_csv(arguments.scores)
    numbers, notes = build_table(scores, table, rows), benchmark_notes(scores, table)
    numbers.to_csv(arguments.csv, index=False)
    arguments.markdown.write_text(as_markdown(numbers, table, notes), encoding="utf-8")
    arguments.latex.write_text(as_latex(numbers, table, notes), encoding="utf-8")
    print(f"{arguments.markdown}: {len(numbers)} rows")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--scores", type=Path, required=True, help="csv of all scores")
parser.add_argument("--table", required=True, help="the table's declaration, JSON")
parser.add_argument("--rows", required=True, help="the table's rows, JSON")
parser.add_argument("--csv", type=Path, required=True, help="csv to write")
parser.add_argument("--markdown", type=Path, required=True, help="Markdown to write")
parser.add_argument("--latex", type=Path, required=True, help="LaTeX to write")

if __name__ == "__main__":
    program.run(main, parser)
