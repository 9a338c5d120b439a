"""Whether a model's positions hold what it will be asked to read and write, by what its folder's small files say."""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

from isheep.data.assessment import load_assessment_prompt
from isheep.data.prompts import (
    DEMONSTRATIONS,
    SeedTask,
    drawn_demonstrations,
    instruction_prompt,
    load_meta_prompt,
    load_seed_tasks,
    response_prompt,
)
from isheep.files.reading import read_object
from isheep.files.records import InputError
from isheep.settings import Settings
from isheep.spelling import listed

Count = Callable[[str], int]
POSITIONS = ("max_position_embeddings", "n_positions")
"""What a model's config.json calls the most tokens of prompt and text together."""
AROUND_A_TEXT = 8
"""The most tokens that a tokenizer puts around a text."""
ROUND = 50
"""What is advised is a multiple of this, as the prompts that are not known yet may be longer than those that are."""


class Asked(Settings):
    """What a model and its checkpoints are asked to read and write in the loop, as far as it takes room."""

    seed_tasks: str
    """File of seed tasks; it may have yet to be fetched."""
    meta_prompt: str
    """File of the meta-prompt."""
    demonstrations: int
    """Seed tasks in a prompt."""
    seed: int
    """Of the first job that writes instructions."""
    prompts: int
    """How many prompts that job continues at most."""
    separator: str
    """Between an instruction and its input."""
    assessments: tuple[str, ...]
    """Files of the prompts that score pairs; none where no recipe asks for scores."""
    instructions: int
    """The most tokens of a continuation (`instructions.sampling.max_tokens`)."""
    responses: int
    """The most tokens of a response."""
    assessment: int
    """The most tokens of an assessment."""
    max_model_len: int | None
    """The engine's own limit."""


def require_room(folder: Path, model: str, asked: Asked, where: str) -> None:
    """Raise InputError, with the keys to lower, where a model has no room for what it is asked for.

    folder: a base model's. model: its name in the configuration. where: the file to write in. A prompt that nobody has
    written yet is taken to be as long as the seed tasks; a model whose folder does not say its limit has room.
    """
    content = read_object(folder / "config.json")
    positions = next((content[key] for key in POSITIONS if isinstance(content.get(key), int)), None)
    if positions is None:
        return
    limit = min(positions, asked.max_model_len or positions)
    if not _too_long(asked, _bytes, limit):
        return
    count = _tokens_of(folder)
    short = _too_long(asked, count, limit)
    if short:
        sums = [f"{prompt} + {written} for {name}" for name, (prompt, written) in short.items()]
        said_by = "engine.max_model_len" if limit < positions else "its config.json"
        raise InputError(
            f"models.{model}: {folder} takes at most {limit} tokens, prompt and text together ({said_by}), but will be "
            f"asked for {listed(sums)}; {_advice(asked, count, limit)} in {where}."
        )


def _too_long(asked: Asked, count: Count, limit: int) -> dict[str, tuple[int, int]]:
    """Section → tokens of prompt and text, of those that are longer than the limit together."""
    written = {"instructions": asked.instructions, "responses": asked.responses, "assessment": asked.assessment}
    sizes = {name: (prompt, written[name]) for name, prompt in _prompts(asked, count).items()}
    return {name: size for name, size in sizes.items() if sum(size) > limit}


@cache
def _prompts(asked: Asked, count: Count) -> dict[str, int]:
    """Section → tokens of the longest prompt that is known; an assessment's has a response of full length in it."""
    seeds = load_seed_tasks(asked.seed_tasks, asked.demonstrations) if Path(asked.seed_tasks).exists() else []
    meta_prompt = load_meta_prompt(asked.meta_prompt) if Path(asked.meta_prompt).exists() else DEMONSTRATIONS
    questions = [response_prompt(seed.instruction, seed.input, asked.separator) for seed in seeds]
    question = max(questions, key=count, default="")
    templates = [load_assessment_prompt(file) for file in asked.assessments if Path(file).exists()]
    frames = [count(template.render(question, "", "")) for template in templates]
    prompts = {
        "instructions": count(instruction_prompt(meta_prompt, _longest_draw(asked, seeds, count))),
        "responses": count(question),
    }
    return prompts | ({"assessment": max(frames) + asked.responses} if frames else {})


def _longest_draw(asked: Asked, seeds: list[SeedTask], count: Count) -> list[SeedTask]:
    """The seed tasks of the longest prompt of the first job that writes instructions."""
    sizes = {seed.id: count(f"{seed.instruction}\n{seed.input}") for seed in seeds}
    draws = (
        drawn_demonstrations(seeds, asked.demonstrations, asked.seed, number) if seeds else []
        for number in range(asked.prompts)
    )
    return max(draws, key=lambda draw: sum(sizes[seed.id] for seed in draw))


def _advice(asked: Asked, count: Count, limit: int) -> str:
    """What to lower, and to what, so that everything fits together: responses and assessments share what there is."""
    prompts = _prompts(asked, count)
    demonstrations, prompts["instructions"] = _demonstrations_that_leave_room(asked, count, limit)
    left = {name: limit - prompts[name] for name in ("instructions", "responses")}
    if "assessment" in prompts:
        shared = limit - (prompts["assessment"] - asked.responses)
        left["assessment"] = min(asked.assessment, max(shared // 2, shared - asked.responses))
        left["responses"] = min(left["responses"], shared - left["assessment"])
    if min(left.values()) < 1:
        return "take a model with more, or shorten what it reads (instructions.demonstrations, the prompts' files)"
    lower = {"instructions.demonstrations": demonstrations} if demonstrations < asked.demonstrations else {}
    lower |= {
        f"{name}.sampling.max_tokens": most // ROUND * ROUND or most
        for name, most in left.items()
        if most < getattr(asked, name)
    }
    return f"lower {listed(f'{key} to {value}' for key, value in lower.items())}"


def _demonstrations_that_leave_room(asked: Asked, count: Count, limit: int) -> tuple[int, int]:
    """The most demonstrations whose prompt leaves as much room as it takes, else one; and the tokens of that prompt.

    A continuation that is cut off within its first instructions gives none.
    """
    for number in range(asked.demonstrations, 0, -1):
        size = _prompts(asked.model_copy(update={"demonstrations": number}), count)["instructions"]
        if size + min(size, asked.instructions) <= limit or number == 1:
            return number, size


def _bytes(text: str) -> int:
    """No tokenizer of ours needs more tokens for a text than it has bytes, but for those around it."""
    return len(text.encode()) + AROUND_A_TEXT


def _tokens_of(folder: Path) -> Count:
    """How to count the tokens of a text; its words, which are fewer, where the tokenizer cannot be asked here."""
    file = folder / "tokenizer.json"
    if not file.is_file() or importlib.util.find_spec("tokenizers") is None:
        return lambda text: len(text.split())
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more special
        raise InputError(f"{file} is no tokenizer that can be read ({error}); restore the file.") from None
    tokenizer.no_truncation()
    return lambda text: len(tokenizer.encode(text).ids)
