"""Print the pairs of a ledger with their texts: instruction, input and response, scores, and why one was rejected.

The texts are read from the pairs of the checkpoints that wrote them, in the folders beside the ledger's own. Characters
that a terminal would act on are shown as their escapes.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from isheep import cli
from isheep.data.ledger import iterate_ledger
from isheep.files.reading import iterate_rows
from isheep.files.records import InputError
from isheep.terminal import indented, printable


def main(arguments: argparse.Namespace) -> None:
    """Print the first pairs that are asked for, in the ledger's order."""
    entries = list(islice(asked_for(arguments), arguments.limit))
    texts = texts_of(arguments.ledger, [entry["id"] for entry in entries])
    for entry in entries:
        print(shown(entry, texts[entry["id"]]))
    print(f"{len(entries)} pairs shown of those in {arguments.ledger} that are asked for")


def asked_for(arguments: argparse.Namespace) -> Iterator[dict]:
    """Yield the ledger's rows that fit the flags."""
    for entry in iterate_ledger(arguments.ledger, "id", "kept", "reason", "scores"):
        of_kept = arguments.kept == "all" or entry["kept"] == (arguments.kept == "yes")
        if of_kept and arguments.reason in (entry["reason"] or ""):
            yield entry


def texts_of(ledger: Path, ids: Iterable[str]) -> dict[str, Mapping]:
    """Return the pairs of these ids from <seed>/<checkpoint>/pairs/, which the ids name: `<checkpoint>:<shard>:…`.

    Raises InputError where a file or a pair is missing.
    """
    files: dict[Path, set[str]] = {}
    for id in ids:
        checkpoint, shard, _ = id.rsplit(":", 2)
        # The ledger is <seed>/<recipe>/iter<t>/ledger.jsonl.
        files.setdefault(ledger.absolute().parents[2] / checkpoint / f"pairs/shard{shard}.jsonl", set()).add(id)
    texts = {}
    for file, wanted in files.items():
        rows = iterate_rows(file, "id", "instruction", "input", "response")
        found = {row["id"]: row for row in rows if row["id"] in wanted}
        if lacking := sorted(wanted - found.keys()):
            raise InputError(
                f"{file}: it has no pair {lacking[0]!r}, which {ledger} names; give a ledger beside its pairs."
            )
        texts |= found
    return texts


def shown(entry: Mapping, pair: Mapping) -> str:
    """Return a pair as several lines, an empty one last; every line of its texts is indented."""
    scores = ", ".join(f"{criterion} {'missing' if n is None else n}" for criterion, n in entry["scores"].items())
    fate = "kept" if entry["kept"] else f"rejected: {entry['reason']}"
    lines = [printable(f"{entry['id']}  {fate}{'  (' + scores + ')' if scores else ''}")]
    for name in ("instruction", "input", "response"):
        if pair[name] or name != "input":
            lines += [f"  {name}:", indented(pair[name])]
    return "\n".join([*lines, ""])


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("ledger", type=Path, help="the ledger.jsonl of an iteration")
parser.add_argument("--kept", choices=["yes", "no", "all"], default="all", help="which pairs")
parser.add_argument("--reason", default="", help="only pairs whose reason has this text in it")
parser.add_argument("--limit", type=int, default=20, help="the most pairs to print")

if __name__ == "__main__":
    cli.run(main, parser)
