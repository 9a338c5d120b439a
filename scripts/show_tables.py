"""Print an experiment's tables, and say where everything lies that was made for them."""

import argparse
import sys
from pathlib import Path

from isheep import cli
from isheep.files.records import InputError
from isheep.report.page import PAGE


def main(arguments: argparse.Namespace) -> None:
    """Print every Markdown table of the experiment and the folders of its results."""
    tables = sorted((arguments.results / "tables").glob("*.md"))
    if not tables:
        raise InputError(f"{arguments.results}/tables: there is no table yet; run the workflow first.")
    for table in tables:
        sys.stdout.write("\n" + table.read_text(encoding="utf-8"))
    print(f"\nTables:        {arguments.results}/tables/<table>.csv, .md, .tex")
    print(f"All scores:    {arguments.results}/tables/scores.csv")
    print(f"Figures:       {arguments.results}/figures/<figure>.svg, .pdf, and .csv with every number in them")
    print(f"Checkpoints:   {arguments.results}/<model>/seed<s>/<recipe>/iter<t>/")
    print("               training_set.jsonl, ledger.jsonl, weights/, benchmarks/, logs/, and what it wrote itself:")
    print("               instructions/, responses/, pairs/, assessment/")
    if (arguments.results / PAGE).exists():
        print(f"\nOpen in a browser: {arguments.results / PAGE}, with every table, figure, score and item")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--results", type=Path, required=True, help="folder of the experiment's results")

if __name__ == "__main__":
    cli.run(main, parser)
