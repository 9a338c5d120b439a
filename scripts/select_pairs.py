"""Select training data from the pairs that checkpoints wrote, and account for every one of them.

Of the kept pairs, a recipe may use but a part, and hold some of these out for validation.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from isheep import cli
from isheep.data.pairs import first_of_each_source
from isheep.data.selection import (
    METHODS_WITH_CLUSTERS,
    METHODS_WITH_PERPLEXITIES,
    Measurements,
    SelectionSettings,
    account,
    select_pairs,
)
from isheep.files.ownership import Output
from isheep.files.reading import iterate_some, shared
from isheep.files.records import InputError, file_sha256, files_read, iterate_jsonl, write_json, write_jsonl
from isheep.training.rows import RowSettings, rows_checksum, use_of_pairs


def main(arguments: argparse.Namespace) -> None:
    """Write the training set, the pairs held out, the ledger and the record."""
    settings = SelectionSettings.model_validate_json(arguments.selection)
    rows = RowSettings.model_validate_json(arguments.rows)
    check_flags(arguments, settings, rows)
    pairs = [{"id": pair["id"], "rejected_by": shared(pair["rejected_by"])} for pair in choices(arguments)]
    measurements = read_measurements(arguments)
    check_measurements(pairs, measurements, settings)
    kept, ledger = select_pairs(pairs, measurements, settings, arguments.seed)
    use = use_of_pairs([pair["id"] for pair in kept], rows, arguments.seed)
    write_jsonl(arguments.ledger, (row | {"used_for": use.get(row["id"])} for row in ledger))
    write_jsonl(arguments.training_set, used_for("training", arguments, use))
    write_jsonl(arguments.validation_set, used_for("validation", arguments, use))
    write_json(arguments.record, selection_record(arguments, settings, rows, use, len(kept)))
    counts = Counter(use.values())
    print(
        f"{arguments.training_set}: {len(kept)} of {len(ledger)} pairs kept, {counts['training']} to train on, "
        f"{counts['validation']} held out; {account(ledger)}"
    )


def used_for(what: str, arguments: argparse.Namespace, use: dict[str, str]) -> Iterator[dict]:
    """Yield the pairs that are used for this, in the order in which they were written."""
    return (pair for pair in choices(arguments) if use.get(pair["id"]) == what)


def choices(arguments: argparse.Namespace) -> Iterator[dict]:
    """Yield the pairs to choose from as their files have them: texts are read a second time rather than held."""
    return first_of_each_source((pair for path in arguments.pairs for pair in iterate_some(path)), arguments.count)


def check_flags(arguments: argparse.Namespace, settings: SelectionSettings, rows: RowSettings) -> None:
    """Raise InputError if a flag is missing that the method, or the choice of training rows, needs."""
    needed = [
        ("--scores", arguments.scores, settings.method == "scores" and settings.criteria),
        ("--perplexities", arguments.perplexities, settings.method in METHODS_WITH_PERPLEXITIES),
        ("--clusters", arguments.clusters, settings.method in METHODS_WITH_CLUSTERS),
        ("--seed", arguments.seed is not None, settings.method == "density"),
    ]
    for flag, given, asked in needed:
        if asked and not given:
            raise InputError(
                f"selection.method is {settings.method!r}, which needs {flag}, but it is not given; add it."
            )
    if arguments.seed is None and (rows.rows == "sample" or rows.validation_share):
        raise InputError("the choice of training rows draws some of them, which needs --seed; add it.")


def read_measurements(arguments: argparse.Namespace) -> Measurements:
    """Read all that was measured of the pairs."""
    scores = defaultdict(dict)
    for path in arguments.scores:
        for row in iterate_jsonl(path):
            scores[row["id"]][shared(row["criterion"])] = row["score"]
    perplexities = {
        row["id"]: {"response": row["response_perplexity"], "pair": row["pair_perplexity"]}
        for path in arguments.perplexities
        for row in iterate_jsonl(path)
    }
    clusters = {row["id"]: row["cluster"] for row in iterate_jsonl(arguments.clusters)} if arguments.clusters else {}
    return Measurements(scores, perplexities, clusters)


def check_measurements(pairs: list[dict], measured: Measurements, settings: SelectionSettings) -> None:
    """Raise InputError for a pair that was to be measured and has no row; one that could not be has a row with null."""
    ids = [pair["id"] for pair in pairs if pair["rejected_by"] is None]
    needed = []
    if settings.method == "scores":
        scored = [(f"--scores ({criterion})", criterion) for criterion in settings.criteria]
        needed += [(flag, {id for id, scores in measured.scores.items() if name in scores}) for flag, name in scored]
    if settings.method in METHODS_WITH_PERPLEXITIES:
        needed.append(("--perplexities", measured.perplexities))
    if settings.method in METHODS_WITH_CLUSTERS:
        needed.append(("--clusters", measured.clusters))
    for flag, found in needed:
        if lacking := [id for id in ids if id not in found]:
            raise InputError(
                f"{flag}: {len(lacking)} of {len(ids)} pairs have no row, the first is {lacking[0]}; give the files of "
                "all shards, and remove one that lacks rows, so that it is made again."
            )


def selection_record(
    arguments: argparse.Namespace, settings: SelectionSettings, rows: RowSettings, use: dict[str, str], kept: int
) -> dict:
    """What the training set was selected by, and what is trained on: counts, and the checksums of these pairs and of
    the ledger, which is written before."""
    files = [*arguments.pairs, *arguments.scores, *arguments.perplexities, arguments.clusters]
    counts = Counter(use.values())
    return {
        "method": settings.model_dump(mode="json"),
        "rows": rows.model_dump(mode="json"),
        "instructions": arguments.count,
        "seed": arguments.seed,
        "kept": kept,
        "trained_on": counts["training"],
        "held_out": counts["validation"],
        "ledger_sha256": file_sha256(arguments.ledger),
        "trained_on_sha256": rows_checksum(used_for("training", arguments, use)),
        "files": files_read(files),
    }


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="JSON Lines of pairs, shard by shard")
parser.add_argument("--scores", type=Path, nargs="*", default=[], help="JSON Lines of scores")
parser.add_argument("--perplexities", type=Path, nargs="*", default=[], help="JSON Lines of perplexities")
parser.add_argument("--clusters", type=Path, nargs="?", help="JSON Lines with the cluster of each pair")
parser.add_argument("--selection", required=True, help="settings of the selection, JSON")
parser.add_argument("--rows", required=True, help="which of the kept pairs are used, and for what, JSON")
parser.add_argument("--count", type=int, required=True, help="pairs to choose from, per checkpoint that wrote them")
parser.add_argument("--seed", type=int, help="seed of the draws: from each cluster, of a sample, of pairs held out")
parser.add_argument("--training-set", type=Output, required=True, help="JSON Lines to write: pairs to train on")
parser.add_argument("--validation-set", type=Output, required=True, help="JSON Lines to write: pairs held out")
parser.add_argument("--ledger", type=Output, required=True, help="JSON Lines to write: what happened to each pair")
parser.add_argument("--record", type=Output, required=True, help="JSON to write: what the pairs were selected by")

if __name__ == "__main__":
    cli.run(main, parser)
