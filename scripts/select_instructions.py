"""Parse what a checkpoint wrote and keep exactly the asked number of new, well-formed instructions."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.data.instructions import InstructionFilters, parse_continuation, select_instructions, shortage
from isheep.data.prompts import load_seed_tasks
from isheep.files.ownership import Output
from isheep.files.reading import iterate_some
from isheep.files.records import InputError, remove, write_jsonl


def main(arguments: argparse.Namespace) -> None:
    """Write the kept instructions, each with an id, and the rejected candidates, each with its reason."""
    filters = InstructionFilters.model_validate_json(arguments.filters)
    candidates = (
        candidate
        for row in iterate_some(arguments.continuations)
        for candidate in parse_continuation(row["text"], arguments.demonstrations + 1)
    )
    kept, rejected = select_instructions(
        candidates,
        kept_before=[row["instruction"] for path in arguments.earlier for row in iterate_some(path)],
        seeds=load_seed_tasks(arguments.seed_tasks, arguments.demonstrations),
        filters=filters,
        count=arguments.count,
    )
    if len(kept) < arguments.count:
        write_jsonl(arguments.left, rejected)
        prompts = sum(1 for _ in iterate_some(arguments.continuations))
        said = shortage(len(kept), arguments.count, prompts, rejected, filters)
        raise InputError(
            f"{arguments.continuations}: {said}, or raise instructions.prompts_per_shard, so that more is written; the "
            f"rejected candidates are in {arguments.left}."
        )
    remove(Path(arguments.left))
    write_jsonl(arguments.rejected, rejected)
    write_jsonl(
        arguments.instructions,
        ({"id": f"{arguments.name}:{number}"} | row for number, row in enumerate(kept)),
    )
    print(f"{arguments.instructions}: {len(kept)} kept, {len(rejected)} rejected")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--continuations", type=Path, required=True, help="what write_instructions.py wrote")
parser.add_argument("--seed-tasks", type=Path, required=True, help="seed tasks, which no instruction may resemble")
parser.add_argument("--demonstrations", type=int, required=True, help="seed tasks shown in a prompt")
parser.add_argument("--earlier", type=Path, nargs="*", default=[], help="instructions of the earlier shards")
parser.add_argument("--filters", required=True, help="settings of the filters, JSON")
parser.add_argument("--count", type=int, required=True, help="how many instructions to keep, exactly")
parser.add_argument("--name", required=True, help="prefix of the instructions' ids")
parser.add_argument("--instructions", type=Output, required=True, help="JSON Lines to write: the kept ones")
parser.add_argument("--rejected", type=Output, required=True, help="JSON Lines to write: the others, with reasons")
parser.add_argument("--left", required=True, help="JSON Lines to write if too few are found: the rejected")

if __name__ == "__main__":
    cli.run(main, parser)
