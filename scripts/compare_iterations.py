"""Test on one benchmark's items whether checkpoints differ from the ones before them: paired, two-sided."""

import argparse
from functools import cache
from pathlib import Path

import pandas
from pydantic import Field

from isheep import cli
from isheep.benchmarks.item_values import read_item_values, require_same_items
from isheep.files.csv_text import write_frame
from isheep.files.ownership import Output
from isheep.report.significance import compare
from isheep.seeding import derive_seed
from isheep.settings import Settings

COLUMNS = (
    *("model", "checkpoint", "previous", "benchmark", "metric", "n", "difference", "low", "high", "detectable"),
    *("p", "method"),
)


class CheckpointPair(Settings):
    """Two checkpoints of a model, and their items of the benchmark."""

    model: str
    """Name of the model."""
    checkpoint: str
    """The checkpoint."""
    previous: str
    """The checkpoint before it."""
    items: tuple[Path, ...] = Field(min_length=1)
    """items.jsonl of the checkpoint, one file a replicate."""
    previous_items: tuple[Path, ...]
    """The same of the checkpoint before it, in the same order of replicates."""


def main(arguments: argparse.Namespace) -> None:
    """Write one row for each pair of checkpoints and each metric that is a mean over items."""
    pairs = arguments.comparisons
    rows = [row for pair in pairs for row in compare_pair(arguments.benchmark, pair)]
    write_frame(arguments.output, pandas.DataFrame(rows, columns=COLUMNS))
    print(f"{arguments.output}: {len(rows)} differences of {len(pairs)} pairs of checkpoints")


def compare_pair(benchmark: str, pair: CheckpointPair) -> list[dict]:
    """The rows of one pair; a metric without an item that both have a value of is left out."""
    new, old = ([values_of(path) for path in paths] for paths in (pair.items, pair.previous_items))
    for path, values, previous_path, previous in zip(pair.items, new, pair.previous_items, old, strict=True):
        require_same_items(path, values, previous_path, previous)
    names = {"model": pair.model, "checkpoint": pair.checkpoint, "previous": pair.previous, "benchmark": benchmark}
    rows = []
    for metric in new[0]:
        if not all(metric in values for values in [*new, *old]):
            continue
        found = compare(
            [values[metric].items for values in new],
            [values[metric].items for values in old],
            derive_seed("significance", *names.values(), metric),
        )
        if found:
            scale = new[0][metric].scale
            scaled = {key: getattr(found, key) * scale for key in ("difference", "low", "high", "detectable")}
            rows.append(names | {"metric": metric, "n": found.n, **scaled, "p": found.p, "method": found.method})
    return rows


values_of = cache(read_item_values)
"""Each file is read once: a checkpoint is compared with the one before it and with those after it."""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--benchmark", required=True, help="name of the benchmark")
parser.add_argument(
    "--comparisons",
    type=CheckpointPair.model_validate_json,
    nargs="*",
    required=True,
    help="for each pair model, checkpoint, previous, and items and previous_items (an items.jsonl a replicate, with "
    "its result.json beside it); JSON",
)
parser.add_argument("--output", type=Output, required=True, help="csv to write")

if __name__ == "__main__":
    cli.run(main, parser)
