"""What a checkpoint is asked: to go on with a list of tasks, or to answer one, raw or in a chat."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from isheep.files.records import InputError, read_jsonl
from isheep.seeding import derive_seed

DEMONSTRATIONS = "{demonstrations}"
SEPARATOR = "###"
NO_INPUT = "<noinput>"
EXAMPLE = (
    '{"id": "mine_1", "instruction": "Sort these words.", "instances": [{"input": "pear, fig", "output": "fig, pear"}]}'
)
"""A seed task, to be shown in errors."""


@dataclass(frozen=True)
class SeedTask:
    """A task written by a person: an instruction and one example of its input (may be empty)."""

    id: str
    instruction: str
    input: str


def load_seed_tasks(path: str | Path, demonstrations: int = 1) -> list[SeedTask]:
    """Read seed tasks in Self-Instruct's format, one JSON object a line; the first instance gives the input.

    demonstrations: how many are shown in one prompt. Raises InputError, naming file, line and key and showing a right
    line, for a torn or empty line, a missing or repeated id, a missing instruction or instance; and for fewer seed
    tasks than demonstrations.
    """
    seeds: dict[str, SeedTask] = {}
    try:
        for line, row in enumerate(read_jsonl(path), start=1):
            seed = _seed_task(row, f"{path}: line {line}")
            if seed.id in seeds:
                raise InputError(f"{path}: line {line}: id: {seed.id!r} stands above too; give each line its own.")
            seeds[seed.id] = seed
    except InputError as error:
        raise InputError(f"{str(error).rstrip('.')} (a seed task is one line such as {EXAMPLE}).") from None
    if len(seeds) < demonstrations:
        raise InputError(
            f"{path}: {len(seeds)} seed tasks, but each prompt shows {demonstrations}; add seed tasks or "
            "lower instructions.demonstrations."
        )
    return list(seeds.values())


def _seed_task(row: dict, where: str) -> SeedTask:
    for key in ("id", "instruction"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise InputError(f"{where}: {key}: {_found(row, key)}, but it must be a text that is not empty.")
    instances = row.get("instances")
    if not isinstance(instances, list) or not instances or not isinstance(instances[0], dict):
        raise InputError(
            f"{where}: instances: {_found(row, 'instances')}, but it must be a list of at least one object."
        )
    if not isinstance(instances[0].get("input"), str):
        found = _found(instances[0], "input")
        raise InputError(f'{where}: instances.0.input: {found}, but it must be a text, "" where the task has none.')
    return SeedTask(row["id"], row["instruction"], instances[0]["input"])


def _found(row: dict, key: str) -> str:
    return f"found {json.dumps(row[key], ensure_ascii=False)}" if key in row else "missing"


def load_meta_prompt(path: str | Path) -> str:
    """Read the text before the demonstrations. Raises InputError unless it ends with `{demonstrations}`."""
    text = Path(path).read_text(encoding="utf-8").rstrip()
    if text.count(DEMONSTRATIONS) != 1 or not text.endswith(DEMONSTRATIONS):
        raise InputError(f"{path}: the text must have the placeholder {DEMONSTRATIONS} once, at its end; add it there.")
    return text


def drawn_demonstrations(seed_tasks: list[SeedTask], count: int, seed: int, number: int) -> list[SeedTask]:
    """Return the seed tasks that one of a shard's prompts shows, by its number. seed: of the shard's job."""
    return random.Random(derive_seed(seed, "demonstrations", number)).sample(seed_tasks, count)


def instruction_prompt(meta_prompt: str, demonstrations: list[SeedTask]) -> str:
    """Return the prompt to continue: meta-prompt, numbered demonstrations, and the opening of the next item.

    Alpaca's layout without its Output field, as in the method's released scripts.
    """
    blocks = []
    for number, seed in enumerate(demonstrations, start=1):
        instruction = " ".join(seed.instruction.split()).rstrip(":")
        blocks.append(
            f"{SEPARATOR}\n{number}. Instruction: {instruction}\n{number}. Input:\n{seed.input or NO_INPUT}\n"
        )
    opening = f"{SEPARATOR}\n{len(demonstrations) + 1}. Instruction:"
    return meta_prompt.replace(DEMONSTRATIONS, "".join(blocks) + opening)


def response_prompt(instruction: str, input: str, separator: str) -> str:
    """Return what a checkpoint is asked: the instruction, and its input behind the separator where there
    is one."""
    return f"{instruction}{separator}{input}" if input else instruction


def chat_messages(question: str, system_prompt: str | None) -> list[dict[str, str]]:
    """Return the messages of a one-turn chat: the system text, if there is one, and the user's question."""
    system = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
    return [*system, {"role": "user", "content": question}]
