"""Judges: a base model on the engine of the configuration, or a model behind an OpenAI-compatible API."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from isheep.engine.api_engine import ApiEngine, ApiSettings
from isheep.engine.engine import Completer, Completion, Request
from isheep.engine.flags import open_requested_engine
from isheep.files.records import InputError
from isheep.settings import Settings


class JudgeSettings(Settings):
    """Who judges, and how it is spoken to."""

    model: str | None = Field(None, min_length=1)
    """A base model of `models`, run by the engine of the configuration; exactly one of `model` and `api` is given."""
    api: ApiSettings | None = None
    """A model behind an OpenAI-compatible API."""
    chat: bool = True
    """Prompts are sent as messages; false for a base model that continues raw text: they are sent as one string."""

    @model_validator(mode="after")
    def _is_one_judge(self) -> "JudgeSettings":
        if (self.model is None) == (self.api is None):
            raise ValueError(f"a judge is either `model` or `api`; found {'both' if self.model else 'neither'}")
        return self


@dataclass(frozen=True)
class Judge:
    """A judge that is ready: `isheep.engine.journal.complete_with_journal` takes it as it takes an engine."""

    settings: JudgeSettings
    completer: Completer

    @property
    def identity(self) -> dict:
        """The JSON-ready facts that judgments depend on; nothing secret."""
        return self.completer.identity

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion for each request as it finishes, in any order."""
        return self.completer.complete(requests)


def add_judge_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say who judges, from which seed, and how requests are sent."""
    parser.add_argument("--judge", required=True, help="settings of the judge, JSON")
    parser.add_argument("--judge-weights", type=Path, help="folder with the weights of a judge that is a model")
    parser.add_argument("--engine", help="settings of the engine that runs a judge that is a model, JSON")
    parser.add_argument("--seed", type=int, required=True, help="seed of this job; every request derives its own")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a judge that is a model")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs to claim for a judge that is a model; 0: on the CPU")
    parser.add_argument("--batch-size", type=int, default=128, help="prompts that it judges at once")
    parser.add_argument("--concurrency", type=int, default=8, help="requests to an API at the same time")
    parser.add_argument("--attempts", type=int, default=6, help="how often a request to an API is tried")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to wait for an answer of an API")
    parser.set_defaults(base_weights=None)
    parser.add_argument(
        "--spending-limit",
        type=int,
        default=0,
        help="the most that this job may pay to an API, in hundredths of the prices' currency, with what it has paid "
        "already; 0 sets no limit",
    )


def open_requested_judge(arguments: argparse.Namespace, journal: Path) -> Judge:
    """Open the judge that the flags ask for.

    journal: folder of the job's journal, as `complete_with_journal` gets it; an API's spending is kept there too.
    Raises InputError for a model without weights or engine, and as ApiEngine and open_engine do.
    """
    settings = JudgeSettings.model_validate_json(arguments.judge)
    if settings.api is not None:
        judge = ApiEngine(
            settings.api,
            journal,
            concurrency=arguments.concurrency,
            attempts=arguments.attempts,
            timeout=arguments.timeout,
            spending_limit=arguments.spending_limit,
        )
        return Judge(settings, judge)
    if arguments.judge_weights is None or arguments.engine is None:
        raise InputError(f"the judge is the model {settings.model!r}: give --judge-weights and --engine.")
    engine = open_requested_engine(arguments, arguments.judge_weights, "the judge's max_tokens")
    return Judge(settings, engine)


def usage(settings: JudgeSettings, completions: Sequence[Completion]) -> dict:
    """What completions took: `requests`, `prompt_tokens`, `completion_tokens`, and their `cost` in `currency`, both
    null for a judge without prices. Answers that were lost on the way, and may be billed, are not in it."""
    prompt = sum(completion.prompt_tokens for completion in completions)
    written = sum(completion.completion_tokens for completion in completions)
    prices = settings.api.prices if settings.api else None
    return {
        "requests": len(completions),
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "cost": prices.cost(prompt, written) if prices else None,
        "currency": prices.currency if prices else None,
    }
