"""Collect the scores of all result records into one tidy file: one row per checkpoint, seed, benchmark and metric.

A record that does not fit what lies there, or what is configured, is refused.
"""

import argparse

import pandas

from isheep import cli
from isheep.benchmarks.grid import Grid
from isheep.benchmarks.result_checks import Configured, check_result
from isheep.benchmarks.results import Score
from isheep.files.csv_text import write_frame
from isheep.files.ownership import Output

COLUMNS = ("model", "seed", "checkpoint", "benchmark", *Score.model_fields)
"""What the csv says of each score; its heading stands there without any score, too."""


def main(arguments: argparse.Namespace) -> None:
    """Write the scores as csv, in the order of the grid."""
    grid = Grid.model_validate_json(arguments.grid)
    configured = Configured.model_validate_json(arguments.configured)
    rows = []
    for path, where in grid.records():
        record = check_result(path, where, configured)
        for score in record.scores:
            notes = "\n".join(filter(None, [configured.notes.get(record.benchmark), *record.notes, score.note]))
            rows.append(where | score.model_dump() | {"note": notes})
    write_frame(arguments.scores, pandas.DataFrame(rows, columns=COLUMNS))
    print(f"{arguments.scores}: {len(rows)} scores")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--grid", required=True, help="folder, models with their checkpoints, seeds and benchmarks, JSON")
parser.add_argument("--configured", required=True, help="settings that the records must be made with, JSON")
parser.add_argument("--scores", type=Output, required=True, help="csv to write")

if __name__ == "__main__":
    cli.run(main, parser)
