"""Compute the paper's claims again, from the published numbers and from ours, as csv, Markdown and LaTeX."""

import argparse
import csv
from pathlib import Path

from pydantic import TypeAdapter

from isheep import cli
from isheep.files.csv_text import guarded
from isheep.files.ownership import Output
from isheep.files.records import InputError, publish
from isheep.report.claims import CSV_COLUMNS, ClaimSettings, check_claim, claim_row, claims_sheet, read_table
from isheep.report.table_text import add_sheet_arguments, write_sheet


def main(arguments: argparse.Namespace) -> None:
    """Write the claims in three forms."""
    tables = {name: read_table(path) for name, path in map(named_file, arguments.tables)}
    claims = TypeAdapter(list[ClaimSettings]).validate_json(arguments.claims)
    checked = [check_claim(claim, tables) for claim in claims]
    with publish(arguments.csv) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS)
        writer.writeheader()
        writer.writerows(guarded_row(claim_row(found)) for found in checked)
    sheet = claims_sheet(checked)
    write_sheet(sheet, arguments)
    print(f"{arguments.markdown}: {len(checked)} claims, {sum(found.ours is not None for found in checked)} with ours")


def guarded_row(row: dict) -> dict:
    """A row for a csv file: texts that a spreadsheet would take for formulas are guarded."""
    return {key: guarded(cell) if isinstance(cell, str) else cell for key, cell in row.items()}


def named_file(text: str) -> tuple[str, Path]:
    """Name and path of `name=path`."""
    name, separator, path = text.partition("=")
    if not separator or not path:
        raise InputError(f"--tables: {text!r} is no name=path; give the table's name and its csv.")
    return name, Path(path)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--claims", required=True, help="the claims, JSON list")
parser.add_argument("--tables", nargs="+", required=True, metavar="NAME=CSV", help="tables made by make_table.py")
parser.add_argument("--csv", type=Output, required=True, help="csv to write")
add_sheet_arguments(parser)

if __name__ == "__main__":
    cli.run(main, parser)
