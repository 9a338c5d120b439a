"""Select a training set from the pairs that a checkpoint wrote, and account for every one of them."""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

from isheep import program
from isheep.records import read_jsonl, write_jsonl
from isheep.selection import SelectionSettings, select_pairs


def main(arguments: argparse.Namespace) -> None:
    """Write the training set and the ledger."""
    pairs = [pair for path in arguments.pairs for pair in read_jsonl(path)]
    scores = defaultdict(dict)
    for path in arguments.scores:
        for row in read_jsonl(path):
            scores[row["id"]][row["criterion"]] = row["score"]
    pairs = first_of_each_source(pairs, arguments.count)
    kept, ledger = select_pairs(pairs, scores, SelectionSettings.model_validate_json(arguments.selection))
    write_jsonl(arguments.ledger, ledger)
    write_jsonl(arguments.training_set, kept)
    reasons = Counter(entry["reason"] for entry in ledger if not entry["kept"])
    rejected = "".join(f", {reason} {count}" for reason, count in reasons.most_common())
    print(f"{arguments.training_set}: {len(kept)} of {len(pairs)} pairs kept{rejected}")


def first_of_each_source(pairs: list[dict], count: int) -> list[dict]:
    """Return the first `count` pairs of each checkpoint: its last shard may hold more than the recipe asks for."""
    seen = Counter()
    chosen = []
    for pair in pairs:
        source = pair["id"].split(":")[0]
        seen[source] += 1
        if seen[source] <= count:
            chosen.append(pair)
    return chosen


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="JSON Lines of pairs, shard by shard")
parser.add_argument("--scores", type=Path, nargs="*", default=[], help="JSON Lines of scores")
parser.add_argument("--selection", required=True, help="settings of the selection, JSON")
parser.add_argument("--count", type=int, required=True, help="pairs to choose from, per checkpoint that wrote them")
parser.add_argument("--training-set", type=Path, required=True, help="JSON Lines to write: the kept pairs")
parser.add_argument("--ledger", type=Path, required=True, help="JSON Lines to write: what happened to each pair")

if __name__ == "__main__":
    program.run(main, parser)
