"""Let a checkpoint write instructions: raw continuation of the meta-prompt and a few seed tasks (paper section 3.3).

A shard that has too few of them is refilled: more prompts are continued, up to a bound. How many were continued changes
no instruction that is kept, since the first ones that pass are: so neither the number of prompts nor the filters are a
part of a request.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from isheep import cli
from isheep.data.instructions import (
    InstructionFilters,
    more_prompts,
    parse_continuation,
    select_instructions,
    shortage,
)
from isheep.data.prompts import drawn_demonstrations, instruction_prompt, load_meta_prompt, load_seed_tasks
from isheep.engine.earlier_texts import EarlierTexts
from isheep.engine.engine import Request, Sampling
from isheep.engine.flags import (
    add_checkpoint_argument,
    add_engine_arguments,
    add_sampling_argument,
    open_requested_engine,
)
from isheep.engine.journal import Journal, complete_with_journal
from isheep.files.ownership import Output
from isheep.files.records import InputError, remove, unfinished_folder, write_jsonl
from isheep.seeding import derive_seed


def main(arguments: argparse.Namespace) -> None:
    """Write one continuation per prompt; what is in them is parsed by select_instructions.py.

    Raises InputError, and keeps what was written for the next attempt, where the most prompts give too few.
    """
    engine = open_requested_engine(arguments, arguments.checkpoint, "instructions.sampling.max_tokens")
    journal = unfinished_folder(arguments.continuations)
    earlier = EarlierTexts(arguments.continuations, "text")
    prompts = arguments.prompts
    while True:
        requests = requests_of(arguments, prompts)
        written = complete_with_journal(engine, requests, journal, earlier)
        kept, rejected = candidates_kept(arguments, (completion.text for completion in written))
        if kept >= arguments.aim:
            break
        if prompts >= arguments.max_prompts:
            if kept < arguments.count:
                refuse(arguments, kept, prompts, rejected)
            break
        prompts = more_prompts(prompts, kept, arguments.aim, arguments.max_prompts)
    remove(Path(arguments.left))
    rows = (
        earlier.named(
            {"prompt": int(asked.id), "text": completion.text}, earlier.key(engine.identity, asked), completion
        )
        for asked, completion in zip(requests, written, strict=True)
    )
    write_jsonl(arguments.continuations, rows)
    Journal(journal).finish()
    print(f"{arguments.continuations}: {prompts} prompts continued, with at least {kept} instructions")


def requests_of(arguments: argparse.Namespace, prompts: int) -> list[Request]:
    """The requests of the first so many prompts: each depends on its number alone, not on how many there are."""
    seed_tasks = load_seed_tasks(arguments.seed_tasks, arguments.demonstrations)
    meta_prompt = load_meta_prompt(arguments.meta_prompt)
    sampling = Sampling.model_validate_json(arguments.sampling)
    requests = []
    for number in range(prompts):
        demonstrations = drawn_demonstrations(seed_tasks, arguments.demonstrations, arguments.seed, number)
        prompt = instruction_prompt(meta_prompt, demonstrations)
        requests.append(Request(str(number), prompt, sampling, derive_seed(arguments.seed, "sampling", number)))
    return requests


def candidates_kept(arguments: argparse.Namespace, texts: Iterable[str]) -> tuple[int, list[dict]]:
    """Return how many instructions of these continuations a shard would keep, and the rejected candidates.

    Those of earlier shards are not known yet, since shards are written at the same time.
    """
    kept, rejected = select_instructions(
        (candidate for text in texts for candidate in parse_continuation(text, arguments.demonstrations + 1)),
        kept_before=(),
        seeds=load_seed_tasks(arguments.seed_tasks, arguments.demonstrations),
        filters=InstructionFilters.model_validate_json(arguments.filters),
        count=arguments.aim,
    )
    return len(kept), rejected


def refuse(arguments: argparse.Namespace, kept: int, prompts: int, rejected: list[dict]) -> None:
    """Leave the rejected candidates to look at, and raise InputError."""
    write_jsonl(arguments.left, rejected)
    filters = InstructionFilters.model_validate_json(arguments.filters)
    said = shortage(kept, arguments.count, prompts, rejected, filters)
    raise InputError(
        f"{arguments.continuations}: {said}, or raise instructions.max_prompts_per_shard; what was written is kept, "
        f"and the rejected candidates are in {arguments.left}."
    )


parser = argparse.ArgumentParser(description=__doc__)
add_engine_arguments(parser)
add_sampling_argument(parser)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that write")
parser.add_argument("--seed-tasks", type=Path, required=True, help="seed tasks, Self-Instruct format")
parser.add_argument("--meta-prompt", type=Path, required=True, help="text with the placeholder {demonstrations}")
parser.add_argument("--demonstrations", type=int, required=True, help="seed tasks shown in a prompt")
parser.add_argument("--prompts", type=int, required=True, help="how many prompts to continue at first")
parser.add_argument(
    "--max-prompts", type=int, required=True, help="how many to continue at most, where too few are kept"
)
parser.add_argument("--filters", required=True, help="settings of the filters that count what is kept, JSON")
parser.add_argument("--count", type=int, required=True, help="how many instructions are to be kept")
parser.add_argument(
    "--aim", type=int, required=True, help="how many to write, as far as --max-prompts allows: at least --count"
)
parser.add_argument("--continuations", type=Output, required=True, help="JSON Lines to write, one row a prompt")
parser.add_argument("--left", required=True, help="JSON Lines to write if too few are found: the rejected")

if __name__ == "__main__":
    cli.run(main, parser)
