"""Report which test items of every benchmark a training set has: shared runs of 13 words, and whole items."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.data.contamination import LEAST_WORDS, RUN, TrainingSet, check_benchmark
from isheep.files.ownership import Output
from isheep.files.reading import iterate_rows, iterate_some, once_each, read_object
from isheep.files.records import InputError, write_json


def main(arguments: argparse.Namespace) -> None:
    """Write the report."""
    items = read_test_items(arguments.test_items)
    pairs = iterate_some(arguments.training_set, "id", "instruction", "input", "response")
    kept = kept_pairs(arguments.selection)
    training_set = TrainingSet(once_each(pairs, str(arguments.training_set)))
    benchmarks = {name: check_benchmark(training_set, rows) for name, rows in items.items()}
    report = {
        "pairs": len(training_set),
        "kept": kept,
        "thirteen_gram_words": RUN,
        "substring_least_words": LEAST_WORDS,
        "benchmarks": benchmarks,
    }
    write_json(arguments.report, report)
    hit = ", ".join(f"{name} {found['either']} of {found['items']}" for name, found in benchmarks.items())
    print(f"{arguments.report}: test items in {len(training_set)} pairs: {hit}")


def kept_pairs(path: Path) -> int:
    """Return how many pairs a selection kept, by its record: training may use fewer."""
    kept = read_object(path).get("kept")
    if type(kept) is not int:
        raise InputError(f"{path}: it does not say how many pairs were kept; give a record of select_pairs.py.")
    return kept


def read_test_items(named_files: list[str]) -> dict[str, list[dict]]:
    """Read `name=FILE` for each benchmark. Raises InputError for another form, a name given twice, an id twice."""
    items: dict[str, list[dict]] = {}
    for named in named_files:
        name, equals, path = named.partition("=")
        if not (name and equals and path):
            raise InputError(f"--test-items: {named!r} is not a benchmark's name, =, and a file; correct it.")
        if name in items:
            raise InputError(f"--test-items: {name} is given twice; give each benchmark once.")
        items[name] = list(once_each(iterate_rows(path, "id", "text"), path))
    return items


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--training-set", type=Path, required=True, help="JSON Lines of pairs")
parser.add_argument("--selection", type=Path, required=True, help="JSON: the record of their selection")
parser.add_argument("--test-items", nargs="+", required=True, metavar="NAME=FILE", help="test items of each benchmark")
parser.add_argument("--report", type=Output, required=True, help="JSON to write")

if __name__ == "__main__":
    cli.run(main, parser)
