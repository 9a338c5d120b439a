"""Say what the data of one iteration looks like: yield of every filter, scores, lengths, duplicates, diversity."""

import argparse
from collections.abc import Iterator, Set
from pathlib import Path

from isheep import cli
from isheep.data.ledger import iterate_ledger
from isheep.data.profile import profile_instructions, profile_pairs, profile_scores, profile_texts
from isheep.files.ownership import Output
from isheep.files.reading import iterate_rows, iterate_shards, once_each, shared
from isheep.files.records import InputError, write_json


def main(arguments: argparse.Namespace) -> None:
    """Write the profile.

    Instructions are counted as their files have them. Pairs are counted where the ledger has them: a recipe may choose
    from fewer than the last shard holds.
    """
    instructions = iterate_shards(arguments.instructions, "id")
    candidates = profile_instructions(instructions, iterate_shards(arguments.rejected, "reason"))
    broken_by = {pair["id"]: shared(pair["rejected_by"]) for pair in once_each(written_pairs(arguments), "--pairs")}
    ledger = read_ledger(arguments.ledger)
    trained_on = {pair["id"] for pair in once_each(training_set(arguments), str(arguments.training_set))}
    check_ledger(arguments, ledger, broken_by.keys(), trained_on)

    chosen = {row["id"] for row in ledger}
    kept = {row["id"] for row in ledger if row["kept"]}
    rules = [{"rejected_by": broken_by[row["id"]]} for row in ledger]
    profile = {
        "instructions": candidates,
        "pairs": profile_pairs(rules, ledger),
        "scores": profile_scores(rules, ledger),
        "texts": {
            "generated": profile_texts(pair for pair in written_pairs(arguments) if pair["id"] in chosen),
            "kept": profile_texts(pair for pair in written_pairs(arguments) if pair["id"] in kept),
        },
    }
    write_json(arguments.profile, profile)
    print(f"{arguments.profile}: {len(kept)} of {len(ledger)} pairs kept, {len(trained_on)} trained on")


def written_pairs(arguments: argparse.Namespace) -> Iterator[dict]:
    """Yield the pairs of all shards; they are read for each purpose anew, rather than held."""
    return iterate_shards(arguments.pairs, "id", "instruction", "input", "response", "rejected_by")


def training_set(arguments: argparse.Namespace) -> Iterator[dict]:
    """Yield the pairs that are trained on."""
    return iterate_rows(arguments.training_set, "id", "instruction", "input", "response")


def read_ledger(path: Path) -> list[dict]:
    """Return what the profile needs of each row of a ledger."""
    return [
        {
            "id": row["id"],
            "kept": row["kept"],
            "used_for": shared(row["used_for"]),
            "reason": shared(row["reason"]),
            "scores": {shared(criterion): score for criterion, score in row["scores"].items()},
        }
        for row in once_each(iterate_ledger(path, "id", "kept", "used_for", "reason", "scores"), str(path))
    ]


def check_ledger(arguments: argparse.Namespace, ledger: list[dict], written: Set, trained_on: Set) -> None:
    """Raise InputError unless the ledger belongs to these pairs and to this training set, and something was kept.

    written, trained_on: ids of the pairs.
    """
    kept = {row["id"] for row in ledger if row["kept"]}
    if not kept:
        raise InputError(f"{arguments.ledger}: it has no kept pair, so there is no data to profile; select anew.")
    if unknown := [row["id"] for row in ledger if row["id"] not in written]:
        raise InputError(
            f"{arguments.ledger}: it has {len(unknown)} pairs that --pairs lacks, the first is {unknown[0]}; give all "
            "shards that were chosen from."
        )
    if different := sorted({row["id"] for row in ledger if row["used_for"] == "training"} ^ trained_on):
        raise InputError(
            f"{arguments.training_set}: it differs from the ledger's pairs for training in {len(different)}, the first "
            f"is {different[0]}; give the two files of one selection."
        )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--instructions", type=Path, nargs="+", required=True, help="JSON Lines of kept instructions")
parser.add_argument("--rejected", type=Path, nargs="*", default=[], help="JSON Lines of rejected candidates")
parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="JSON Lines of pairs, shard by shard")
parser.add_argument("--ledger", type=Path, required=True, help="JSON Lines: what happened to each pair")
parser.add_argument("--training-set", type=Path, required=True, help="JSON Lines of the pairs trained on")
parser.add_argument("--profile", type=Output, required=True, help="JSON to write")

if __name__ == "__main__":
    cli.run(main, parser)
