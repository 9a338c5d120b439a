"""AlpacaEval's judging: the alpaca-eval package asks and reads the judge, through our engine and journal.

The package pairs the outputs, draws their order (by a seed of its own and the instruction), fills the prompt and
parses what the judge says; here, its prompts become requests, and what it drops becomes a missing judgment.
"""

import hashlib
import importlib.util
import inspect
import logging
import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from isheep.benchmarks.alpaca_eval import DRAW, FROM_PACKAGE, MODEL_WINS, OLD_DRAW, REFERENCE_WINS
from isheep.engine.engine import Completion, Request, Sampling
from isheep.engine.journal import complete_with_journal
from isheep.files.records import InputError
from isheep.files.yaml_text import read_yaml
from isheep.seeding import derive_seed
from isheep.settings import Settings
from isheep.spelling import listed

if TYPE_CHECKING:
    from alpaca_eval.annotators import PairwiseAnnotator

    from isheep.benchmarks.judges import Judge

PLACEHOLDERS = ("instruction", "output_1", "output_2")
PLACEHOLDER = re.compile(r"{([^ \s]+?)}")
"""What alpaca-eval takes for a placeholder (alpaca_eval 0.6.6, utils.make_prompts)."""

TURN_TAGS = ("<|im_start|>", "<|im_end|>")
"""The tags by which alpaca-eval's prompt files mark a chat's turns."""


class CompletionsKwargs(Settings):
    """How the judge's text is drawn, under alpaca-eval's names."""

    temperature: float = Field(ge=0)
    """0: the most likely text."""
    max_tokens: int = Field(gt=0)
    """The most tokens that the judge writes."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Draw only from the most likely tokens whose probabilities add up to this."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end what the judge writes."""
    logprobs: bool = False
    """Ask for log-probabilities, which logprob_parser reads; the judge must be able to give them."""
    top_logprobs: int = Field(0, ge=0, le=20)
    """Of how many most likely tokens at each place."""

    @model_validator(mode="after")
    def _asks_for_some(self) -> "CompletionsKwargs":
        if self.logprobs != (self.top_logprobs > 0):
            raise ValueError("logprobs: true goes with top_logprobs from 1 to 20, logprobs: false with 0")
        return self

    @property
    def sampling(self) -> Sampling:
        """The same for the engine."""
        return Sampling(**self.model_dump(exclude={"logprobs"}))


class AnnotatorSettings(Settings):
    """One annotator of a `configs.yaml`, under alpaca-eval's names; the judge comes from the configuration."""

    prompt_template: str = Field(min_length=1)
    """File with the prompt, relative to the folder; `package:<file>` takes the file below evaluators_configs of the
    installed alpaca-eval."""
    completions_kwargs: CompletionsKwargs
    """How the judge's text is drawn."""
    fn_completion_parser: str
    """Which of alpaca-eval's completion parsers reads the judge's text."""
    completion_parser_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the parser."""
    completion_key: Literal["completions", "completions_all"] = "completions"
    """What the parser reads: the text, or (for logprob_parser) all with its log-probabilities."""
    batch_size: Literal[1] = 1
    """Pairs in one prompt."""
    is_randomize_output_order: bool = True
    """Show the two outputs in an order that is drawn for each instruction."""


@dataclass(frozen=True)
class Annotator:
    """How a judge is asked: a folder with `configs.yaml`, read and checked."""

    name: str
    settings: AnnotatorSettings
    prompt_file: Path

    @cached_property
    def prompt(self) -> str:
        """The prompt with its placeholders."""
        return self.prompt_file.read_text(encoding="utf-8")

    @property
    def record(self) -> dict:
        """What judgments depend on, JSON-ready."""
        prompt_sha256 = hashlib.sha256(self.prompt.encode()).hexdigest()
        return {"name": self.name, **self.settings.model_dump(mode="json"), "prompt_sha256": prompt_sha256}


def load_annotator(folder: str | Path) -> Annotator:
    """Read an annotator folder. Raises InputError, naming file and key, for a wrong key, prompt or placeholder."""
    file = Path(folder) / "configs.yaml"
    content = read_yaml(file)
    if not isinstance(content, dict) or len(content) != 1:
        found = listed(content) if isinstance(content, dict) else "no names"
        raise InputError(f"{file}: found {found}, but it must hold the settings of one annotator under its name.")
    [(name, settings)] = content.items()
    try:
        checked = AnnotatorSettings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, (name, *first["loc"])))
        raise InputError(f"{file}: {key}: {first['msg']}; correct it (the judge is named in the config).") from None
    annotator = Annotator(str(name), checked, _prompt_file(file, checked.prompt_template))
    _check_prompt(annotator)
    return annotator


def _prompt_file(file: Path, template: str) -> Path:
    if template.startswith(FROM_PACKAGE):
        package = importlib.util.find_spec("alpaca_eval")
        if package is None:
            raise InputError(f"{file}: prompt_template: alpaca-eval is not installed, which holds {template!r}.")
        path = Path(package.submodule_search_locations[0]) / "evaluators_configs" / template.removeprefix(FROM_PACKAGE)
    else:
        path = (file.parent / template).resolve()
    if not path.is_file():
        raise InputError(f"{file}: prompt_template: the file {path} does not exist; correct {template!r}.")
    return path


def _check_prompt(annotator: Annotator) -> None:
    found = sorted(PLACEHOLDER.findall(annotator.prompt))
    if found != list(PLACEHOLDERS):
        raise InputError(
            f"{annotator.prompt_file}: its placeholders are {listed(found)}, but it must have each of "
            f"{listed(PLACEHOLDERS)} once; correct the prompt."
        )


@dataclass(frozen=True)
class Judgments:
    """What a judge said on all pairs."""

    annotations: list[dict]
    """One row for each instruction, in the reference's order; `preference` is null where it is missing."""
    completions: list[Completion]
    """The judge's texts, of the pairs that it was asked about."""
    notes: list[str]
    """What a reader of the scores must know."""


def judge_pairs(
    reference: Sequence[dict],
    outputs: Sequence[dict],
    annotator: Annotator,
    judge: "Judge",
    seed: int,
    journal: Path,
) -> Judgments:
    """Let the judge compare each reference output with the model's output of the same place.

    reference, outputs: rows {instruction, output, generator, dataset}, both with the same instructions in the same
    order. journal: folder that keeps the judge's finished texts. Equal outputs are a draw and are not asked about.

    Raises InputError where judge and prompt do not fit together, and as `complete_with_journal` does.
    """
    pairs = [
        {
            "instruction": _untagged(ours["instruction"]),
            "output_1": _untagged(ours["output"]),
            "output_2": _untagged(its["output"]),
        }
        for ours, its in zip(reference, outputs, strict=True)
    ]
    asked = [index for index, pair in enumerate(pairs) if pair["output_1"] != pair["output_2"]]
    sampling = annotator.settings.completions_kwargs.sampling
    raw: dict[int, str | dict] = {}
    completions: list[Completion] = []

    def complete(prompts: Sequence[str]) -> dict[str, list]:
        requests = []
        for index, prompt in zip(asked, prompts, strict=True):
            request_seed = derive_seed(seed, reference[index]["instruction"])
            requests.append(Request(str(index), _prompt_for(judge, prompt), sampling, request_seed))
        completions.extend(complete_with_journal(judge, requests, journal))
        answers = {
            "completions": [done.text for done in completions],
            "completions_all": [_as_openai_choice(done) for done in completions],
        }
        raw.update(zip(asked, answers[annotator.settings.completion_key], strict=True))
        return answers

    _check_chat(annotator, judge)
    with _quiet():
        judged = _package_annotator(annotator, complete)(pairs, chunksize=None)
    annotations = [
        {
            "instruction": ours["instruction"],
            "output_1": ours["output"],
            "generator_1": ours["generator"],
            "dataset": ours["dataset"],
            "output_2": its["output"],
            "generator_2": its["generator"],
            "annotator": annotator.name,
            "preference": _number_or_none(row["preference"]),
            "raw_completion": raw.get(index),
        }
        for index, (ours, its, row) in enumerate(zip(reference, outputs, judged, strict=True))
    ]
    return Judgments(annotations, completions, _notes(reference, outputs))


def _package_annotator(annotator: Annotator, complete: Callable[[Sequence[str]], dict]) -> "PairwiseAnnotator":
    """alpaca-eval's annotator with our completions and without a cache: the journal is one, and its own would lie in
    site-packages.

    It takes its configuration only from a file, into which no function can be written. Rows are kept in order: with
    one pair in a prompt, the order of the prompts plays no role.
    """
    from alpaca_eval.annotators import PairwiseAnnotator

    kept = annotator.settings.model_dump(exclude={"prompt_template", "completions_kwargs"})
    config = {**kept, "prompt_template": str(annotator.prompt_file), "is_shuffle": False}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "configs.yaml"
        file.write_text(yaml.safe_dump({annotator.name: config}), encoding="utf-8")
        try:
            package_annotator = PairwiseAnnotator(annotators_config=file, caching_path=None)
        except AttributeError as error:
            raise InputError(f"annotator {annotator.name}: fn_completion_parser: {error}") from None
    single = package_annotator.annotators[annotator.name]
    _check_parser(annotator, single.fn_completion_parser)
    single.fn_completions = complete
    single.fn_completion_parser = _only_preferences(single.fn_completion_parser)
    return package_annotator


def _check_parser(annotator: Annotator, parse: Callable) -> None:
    """Raise InputError for wrong arguments of the parser, which alpaca-eval would take for texts it cannot parse."""
    try:
        inspect.signature(parse).bind("a text")
    except (TypeError, ValueError) as error:
        raise InputError(f"annotator {annotator.name}: completion_parser_kwargs: {error}; correct them.") from None


def _only_preferences(parse: Callable[[Any], Sequence]) -> Callable[[Any], list[float]]:
    """Let `parse` give preferences from 1 to 2, and not-a-number for all else, which would end the whole judging."""

    def preference(found: object) -> float:
        if isinstance(found, bool) or not isinstance(found, int | float):
            return float("nan")
        if found == OLD_DRAW:
            return DRAW
        return float(found) if REFERENCE_WINS <= found <= MODEL_WINS else float("nan")

    return lambda completion: [preference(found) for found in parse(completion)]


def _prompt_for(judge: "Judge", prompt: str) -> str | list[dict[str, str]]:
    """Messages for a judge that chats; for one that does not, the text without white space at its ends, as
    alpaca-eval sends it."""
    from alpaca_eval.utils import prompt_to_chatml

    return prompt_to_chatml(prompt) if judge.settings.chat else prompt.strip()


def _check_chat(annotator: Annotator, judge: "Judge") -> None:
    prompt = annotator.prompt.strip()
    tagged = prompt.startswith(TURN_TAGS[0]) and prompt.endswith(TURN_TAGS[1])
    if judge.settings.chat and not tagged:
        raise InputError(
            f"{annotator.prompt_file}: the judge chats, but the prompt has no turns in {TURN_TAGS[0]} and "
            f"{TURN_TAGS[1]}; add them, or set chat: false for a judge that continues raw text."
        )


def _untagged(text: str) -> str:
    """The text with turn tags spelled apart: in the judge's prompt they would begin or end a turn."""
    for tag in TURN_TAGS:
        text = text.replace(tag, tag.replace("<|", "< |"))
    return text


def _as_openai_choice(completion: Completion) -> dict:
    """A completion in the form of an answer of OpenAI's chat API, which alpaca-eval's logprob_parser reads."""
    tokens = [
        {
            "token": token.token,
            "logprob": token.logprob,
            "top_logprobs": [{"token": text, "logprob": logprob} for text, logprob in token.top.items()],
        }
        for token in completion.logprobs or ()
    ]
    return {
        "finish_reason": completion.finish_reason,
        "index": 0,
        "logprobs": {"content": tokens} if completion.logprobs is not None else None,
        "message": {"content": completion.text, "role": "assistant"},
        "text": completion.text,
        "total_tokens": completion.prompt_tokens + completion.completion_tokens,
    }


def _number_or_none(value: object) -> float | None:
    return None if value is None or value != value else float(value)


def _notes(reference: Sequence[dict], outputs: Sequence[dict]) -> list[str]:
    pairs = zip(reference, outputs, strict=True)
    texts = [(ours["instruction"], ours["output"], its["output"]) for ours, its in pairs]
    tagged = sum(any(_untagged(text) != text for text in pair) for pair in texts)
    if not tagged:
        return []
    return [f"{tagged} of {len(texts)} pairs hold a chat's turn tags, which the judge was shown spelled apart."]


@contextmanager
def _quiet():
    """Silence alpaca-eval's log, which prints every text that it cannot parse: such judgments are counted instead."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
