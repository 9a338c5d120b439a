"""Collect the scores of all result records into one tidy file: one row per checkpoint, seed, benchmark and metric."""

import argparse
import json
from pathlib import Path

import pandas

from isheep import program
from isheep.grid import Grid
from isheep.ownership import Output
from isheep.records import publish


def main(arguments: argparse.Namespace) -> None:
    """Write the scores as csv, in the order of the grid."""
    grid = Grid.model_validate_json(arguments.grid)
    rows = []
    for path, where in grid.records():
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        notes = record.get("notes", [])
        for score in record["scores"]:
            rows.append(where | score | {"note": "\n".join([*notes, *filter(None, [score.get("note")])])})
    with publish(arguments.scores) as partial:
        pandas.DataFrame(rows).to_csv(partial, index=False)
    print(f"{arguments.scores}: {len(rows)} scores")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--grid", required=True, help="folder, models with their checkpoints, seeds and benchmarks, JSON")
parser.add_argument("--scores", type=Output, required=True, help="csv to write")

if __name__ == "__main__":
    program.run(main, parser)
