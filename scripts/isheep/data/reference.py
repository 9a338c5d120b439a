"""Instruction data that others made: rows of an instruction, its input and the response, from several forms."""

import random
from pathlib import Path

from isheep.fetch.hub_cache import fetched_commit
from isheep.files.records import InputError, read_objects
from isheep.spelling import listed

FORMS = "seed tasks (`instruction`, `instances`), conversations (`conversations`) or instruction, input and response"


def sample_reference(path: str | Path, count: int, seed: int) -> list[dict]:
    """Draw `count` rows without repeats from a file of instruction data: id, instruction, input and response.

    path: a file, or the folder of a hub data set in a hub cache with one such file: JSON Lines, or one JSON list, of
    seed tasks as Self-Instruct has them (the first instance is taken), of conversations as OpenHermes-2.5 has them (the
    first question and the first answer are taken), or of rows with instruction, input (may be absent) and response or
    output. The id is `reference:` and the row's number from 1; rows keep the order of the file. Raises InputError,
    naming file and row, for a torn file, a row of another form, or too few rows.
    """
    path = _only_file(Path(path)) if Path(path).is_dir() else path
    rows = read_objects(path)
    if count > len(rows):
        raise InputError(f"{path}: {count} rows are to be drawn, but it has {len(rows)}; lower the sample.")
    chosen = sorted(random.Random(seed).sample(range(len(rows)), count))
    return [
        {"id": f"reference:{index + 1}", **_question_and_answer(rows[index], f"{path}: row {index + 1}")}
        for index in chosen
    ]


def _only_file(folder: Path) -> Path:
    """The only JSON file of a hub data set that was fetched into a hub cache."""
    commit = fetched_commit(folder)
    found = sorted(file for form in ("*.json", "*.jsonl") for file in (folder / "snapshots" / str(commit)).glob(form))
    if len(found) != 1:
        names = listed(file.name for file in found) if found else "none"
        raise InputError(f"{folder}: a reference is one .json or .jsonl file, but it holds {names}; fetch one alone.")
    return found[0]


def _question_and_answer(row: dict, where: str) -> dict[str, str]:
    try:
        if "conversations" in row:
            instruction, input, response = _first_turn(row, "human"), "", _first_turn(row, "gpt")
        elif "instances" in row:
            instance = row["instances"][0]
            instruction, input, response = row["instruction"], instance["input"], instance["output"]
        else:
            instruction, input = row["instruction"], row.get("input", "")
            response = row["response"] if "response" in row else row["output"]
    except (KeyError, IndexError, TypeError, StopIteration):
        raise InputError(f"{where}: its form is not known; rows must be {FORMS}.") from None
    texts = {"instruction": instruction, "input": input, "response": response}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise InputError(f"{where}: its {name} is {text!r}, but it must be a text; correct it.")
    return texts


def _first_turn(row: dict, speaker: str) -> str:
    return next(turn["value"] for turn in row["conversations"] if turn["from"] == speaker)
