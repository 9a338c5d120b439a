"""Say what the data of one iteration looks like: yield of every filter, scores, lengths, duplicates, diversity."""

import argparse
from pathlib import Path

from isheep import program
from isheep.data_profile import profile_instructions, profile_pairs, profile_scores, profile_texts
from isheep.ownership import Output
from isheep.reading import by_id, read_rows, read_shards
from isheep.records import InputError, write_json


def main(arguments: argparse.Namespace) -> None:
    """Write the profile.

    Instructions are counted as their files have them. Pairs are counted where the ledger has them: a recipe may choose
    from fewer than the last shard holds.
    """
    instructions = read_shards(arguments.instructions, "id")
    rejected = read_shards(arguments.rejected, "reason")
    written = by_id(read_shards(arguments.pairs, "id", "instruction", "input", "response", "rejected_by"), "--pairs")
    ledger = by_id(read_rows(arguments.ledger, "id", "kept", "reason", "scores"), str(arguments.ledger))
    training_set = read_rows(arguments.training_set, "id", "instruction", "input", "response")
    check_ledger(arguments, ledger, written, by_id(training_set, str(arguments.training_set)))

    chosen_from, accounts = [written[id] for id in ledger], list(ledger.values())
    profile = {
        "instructions": profile_instructions(instructions, rejected),
        "pairs": profile_pairs(chosen_from, accounts),
        "scores": profile_scores(chosen_from, accounts),
        "texts": {"generated": profile_texts(chosen_from), "kept": profile_texts(training_set)},
    }
    write_json(arguments.profile, profile)
    print(f"{arguments.profile}: {len(training_set)} of {len(chosen_from)} pairs kept")


def check_ledger(arguments: argparse.Namespace, ledger: dict, written: dict, training_set: dict) -> None:
    """Raise InputError unless the ledger belongs to these pairs and to this training set, and something was kept."""
    kept = {id for id, row in ledger.items() if row["kept"]}
    if not kept:
        raise InputError(f"{arguments.ledger}: it has no kept pair, so there is no data to profile; select anew.")
    if unknown := [id for id in ledger if id not in written]:
        raise InputError(
            f"{arguments.ledger}: it has {len(unknown)} pairs that --pairs lacks, the first is {unknown[0]}; give all "
            "shards that were chosen from."
        )
    if different := sorted(kept.symmetric_difference(training_set)):
        raise InputError(
            f"{arguments.training_set}: it differs from the ledger's kept pairs in {len(different)}, the first is "
            f"{different[0]}; give the two files of one selection."
        )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--instructions", type=Path, nargs="+", required=True, help="JSON Lines of kept instructions")
parser.add_argument("--rejected", type=Path, nargs="*", default=[], help="JSON Lines of rejected candidates")
parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="JSON Lines of pairs, shard by shard")
parser.add_argument("--ledger", type=Path, required=True, help="JSON Lines: what happened to each pair")
parser.add_argument("--training-set", type=Path, required=True, help="JSON Lines of the kept pairs")
parser.add_argument("--profile", type=Output, required=True, help="JSON to write")

if __name__ == "__main__":
    program.run(main, parser)
