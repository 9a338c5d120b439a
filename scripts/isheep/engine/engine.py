"""The engine: prompts in, completions out, for every text that a checkpoint writes.

A stage builds `Request`s, opens one `Engine` (isheep.engine.opening), and reads `Completion`s. What is alike for
all engines lives here (tokenization, limits, stop rules, progress), so that two engines differ only in
arithmetic. Heavy libraries are imported by the engine that is opened, never by importing this module.
"""

import json
import sys
import time
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol

from pydantic import Field

from isheep.engine.identity import checkpoint_identity, full_weights, is_adapter
from isheep.files.records import InputError
from isheep.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECONDS_BETWEEN_PROGRESS_LINES = 10.0


class Sampling(Settings):
    """How one completion is drawn."""

    temperature: float = Field(1.0, ge=0)
    """Divides the logits before a token is drawn; 0 takes the most likely token (greedy)."""

    top_p: float = Field(1.0, gt=0, le=1)
    """Draw only from the fewest most likely tokens whose probabilities add up to this; 1 draws from all."""

    max_tokens: int = Field(gt=0)
    """The most tokens that one completion may have."""

    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end a completion; the first one met is cut off with all that follows. One that spells a
    special token, such as `<|im_end|>`, stops at that token."""

    top_logprobs: int = Field(0, ge=0, le=20)
    """Report each written token's log-probability, and those of this many most likely tokens at its place;
    0 reports none. At most 20, as vLLM and OpenAI's API have it."""


class EngineSettings(Settings):
    """What can change a completion. Batch size and threads cannot, so they are arguments of open_engine."""

    kind: Literal["transformers", "vllm"] = "transformers"
    """`transformers` runs anywhere; `vllm` is the fast one on a GPU, and has a build for CPUs."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type of weights and activations; `auto` takes the one that the checkpoint was saved in."""

    max_model_len: int | None = Field(None, gt=0)
    """The most tokens of prompt and completion together; null takes the checkpoint's own limit."""

    adapters: Literal["served", "merged"] = "served"
    """How checkpoints of LoRA recipes are run. served: the adapter on the weights it was trained on, which takes no
    disk and no time beforehand. merged: full weights are made first and kept for a while; then the engine writes
    somewhat faster."""


@dataclass(frozen=True)
class Request:
    """One text to write. `id` is unique within a call of `Engine.complete`."""

    id: str
    prompt: str | Sequence[dict[str, str]]
    """A string is continued as it is, without a chat template, behind the token that the tokenizer puts at a text's
    beginning, if any (Llama 3 has one, Qwen none). Messages, each with `role`
    and `content`, go through the checkpoint's own chat template, with the assistant's turn opened."""
    sampling: Sampling
    seed: int


@dataclass(frozen=True)
class TokenLogprob:
    """A written token and the most likely tokens at its place.

    Log-probabilities are natural logarithms, of the model's own distribution: before temperature and top_p.
    """

    token: str
    logprob: float
    top: dict[str, float]
    """The `Sampling.top_logprobs` most likely tokens, the most likely first; the written one is among them only
    where it is one of them. Of tokens spelled alike (parts of one character) the most likely is kept."""


@dataclass(frozen=True)
class Completion:
    """The text written for the request of the same id."""

    id: str
    text: str
    """Without special tokens and without the stop text."""
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    """Tokens written until the completion ended, the one that ended it included."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """One for each token that `text` needs: neither the end token nor what follows it, but all of a token whose
    latter part belongs to a stop text. None unless `Sampling.top_logprobs` asked for them."""


@dataclass(frozen=True)
class EncodedRequest:
    """A request as an engine gets it: `prompt_ids` fits the context with all of `sampling.max_tokens`."""

    request: Request
    prompt_ids: list[int]
    stop_ids: tuple[int, ...]
    """Sorted ids of the tokens that end this completion."""


class PlaceLogprobs(NamedTuple):
    """Log-probabilities at the place of one written token: its own, and (token id, log-probability) of the
    `Sampling.top_logprobs` most likely tokens, the most likely first."""

    own: float
    top: list[tuple[int, float]]


class Written(NamedTuple):
    """What an engine wrote for a request: ids of tokens, and one PlaceLogprobs a token where they were asked for."""

    item: EncodedRequest
    ids: list[int]
    places: list[PlaceLogprobs] | None = None


class Completer(Protocol):
    """Whatever completes requests: a checkpoint in an `Engine`, or a model behind an API."""

    identity: dict
    """The JSON-ready facts that completions depend on."""

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion for each request as it finishes, in any order."""
        ...


class Engine(ABC):
    """A checkpoint that is ready to write and to score text: a folder of full weights, or an adapter on top of `base`.

    Attributes: `tokenizer`; `max_length`, the most tokens of prompt and completion together; `identity`, the
    JSON-ready facts that completions depend on (sha256 of the checkpoint, engine settings).
    """

    max_tokens_key = "max_tokens"
    """Where the most tokens of a completion are configured, for errors."""

    def __init__(self, checkpoint: Path, settings: EngineSettings, base: Path | None = None):
        from transformers import AutoConfig, AutoTokenizer

        self._weights = full_weights(checkpoint, base)
        self._adapter = checkpoint if is_adapter(checkpoint) else None
        self.identity = checkpoint_identity(checkpoint) | settings.model_dump()
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(self._weights)
        limit = AutoConfig.from_pretrained(self._weights).max_position_embeddings
        self.max_length = settings.max_model_len or limit
        if self.max_length > limit:
            raise InputError(
                f"engine.max_model_len is {self.max_length}, but {checkpoint} was built for at most {limit} "
                "tokens; lower it."
            )
        self._end_ids = _end_token_ids(self._weights, self.tokenizer)

    @abstractmethod
    def _generate(self, encoded: list[EncodedRequest]) -> Iterator[Written]:
        """Yield what was written for each request, as soon as it is done, in any order.

        The ids may run on behind a stop token or a stop text: `complete` cuts there.
        """

    @abstractmethod
    def _score(self, pairs: list[tuple[list[int], list[int]]]) -> Iterator[tuple[int, float, bool]]:
        """Yield (index of the pair, its continuation's log-probability, whether greedy), in any order."""

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion for each request as it finishes, in any order.

        The same request gives the same text again on the same machine, whatever other requests are made with
        it, as far as the engine's arithmetic does not depend on the batch (vLLM's does in the last bits).

        Raises InputError, before any text is written, if two requests share an id, or if a prompt with its
        `max_tokens` does not fit `max_length`.
        """
        encoded = self._encode(list(requests))
        progress = Progress("completions", len(encoded), "tokens")
        for written in self._generate(encoded):
            completion = self._completion(*written)
            progress.add(completion.completion_tokens)
            yield completion

    def loglikelihoods(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, bool]]:
        """Score continuations: for each pair (context ids, continuation ids) the sum of the continuation's
        token log-probabilities in nats, and whether each of its tokens is the most likely one at its place.

        Raises InputError if a context or a continuation is empty, or if both together are longer than
        `max_length - 1` tokens (vLLM always writes one token more).
        """
        listed = [(list(context), list(continuation)) for context, continuation in pairs]
        for index, (context, continuation) in enumerate(listed):
            if not context or not continuation:
                part = "continuation" if context else "context"
                raise InputError(f"text {index} to score has an empty {part}; each needs at least one token.")
            if len(context) + len(continuation) > self.max_length - 1:
                raise InputError(
                    f"text {index} to score has {len(context) + len(continuation)} tokens, but the engine "
                    f"scores at most {self.max_length - 1}; shorten it or raise engine.max_model_len."
                )
        progress = Progress("scored texts", len(listed), "tokens")
        scores: list[tuple[float, bool]] = [(0.0, False)] * len(listed)
        for index, logprob, greedy in self._score(listed):
            scores[index] = (logprob, greedy)
            progress.add(sum(map(len, listed[index])))
        return scores

    def encode(self, prompt: str | Sequence[dict[str, str]]) -> list[int]:
        """The token ids of a prompt as `Request.prompt` defines it."""
        if not isinstance(prompt, str):
            if not self.tokenizer.chat_template:
                raise InputError(
                    "the prompt is a list of messages, but the checkpoint has no chat template; add a "
                    "chat_template.jinja to it or query it with plain text."
                )
            prompt = self.tokenizer.apply_chat_template(list(prompt), tokenize=False, add_generation_prompt=True)
            return self.tokenizer.encode(prompt, add_special_tokens=False)
        # A prompt that lm-eval has put into the chat template begins with that token already.
        begun = self.tokenizer.bos_token is not None and prompt.startswith(self.tokenizer.bos_token)
        return self.tokenizer.encode(prompt, add_special_tokens=not begun)

    def _encode(self, requests: list[Request]) -> list[EncodedRequest]:
        require_unique_ids(requests)
        encoded = []
        for request in requests:
            ids = self.encode(request.prompt)
            if not ids:
                raise InputError(f"request {request.id!r}: its prompt is empty; give it at least one token.")
            special = self.tokenizer.get_added_vocab()
            spelled = {special[text] for text in request.sampling.stop if text in special}
            encoded.append(EncodedRequest(request, ids, tuple(sorted(self._end_ids | spelled))))
        self._require_room(encoded)
        return encoded

    def _require_room(self, encoded: list[EncodedRequest]) -> None:
        """Raise InputError for the longest request, with its completion, where that is longer than `max_length`."""
        by_length = {len(item.prompt_ids) + item.request.sampling.max_tokens: item for item in encoded}
        length = max(by_length, default=0)
        if length <= self.max_length:
            return
        item = by_length[length]
        prompt, asked = len(item.prompt_ids), item.request.sampling.max_tokens
        left = self.max_length - prompt
        advice = f"lower it to {left} or less" if left > 0 else "shorten the prompt"
        raise InputError(
            f"request {item.request.id!r}: its prompt has {prompt} tokens and {self.max_tokens_key} is {asked}, but "
            f"the model takes at most {self.max_length} together; {advice}."
        )

    def _completion(
        self, item: EncodedRequest, ids: list[int], places: list[PlaceLogprobs] | None = None
    ) -> Completion:
        """Cut `ids` where the completion ends and decode what is left."""
        request = item.request
        end = next((i for i, token in enumerate(ids) if token in item.stop_ids), None)
        ended = end is not None
        text = self.decode(ids[:end])
        cut = stop_position(text, request.sampling.stop)
        if cut is not None:
            text, ended = text[:cut], True
            count = self._tokens_until(lambda text: stop_position(text, request.sampling.stop) is not None, ids[:end])
        else:
            count = end + 1 if ended else len(ids)
        logprobs = None if places is None else self._logprobs(text, ids[:end], places)
        reason = "stop" if ended else "length"
        return Completion(request.id, text, reason, len(item.prompt_ids), count, logprobs)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _tokens_until(self, holds: Callable[[str], bool], ids: list[int]) -> int:
        """The fewest leading tokens whose text `holds`; the text of more tokens must do so too."""
        return fewest(len(ids), lambda count: holds(self.decode(ids[:count])))

    def _logprobs(self, text: str, ids: list[int], places: list[PlaceLogprobs]) -> tuple[TokenLogprob, ...]:
        """One TokenLogprob for each of the fewest leading tokens whose text starts with `text`."""
        count = self._tokens_until(lambda longer: longer.startswith(text), ids)
        spell = lru_cache(maxsize=None)(
            lambda token: self.tokenizer.decode([token], clean_up_tokenization_spaces=False)
        )
        return tuple(
            TokenLogprob(spell(token), place.own, top_by_text((spell(other), value) for other, value in place.top))
            for token, place in zip(ids[:count], places, strict=False)
        )


class Progress:
    """A line on standard error every ten seconds and at the end: items done of all, and units a second."""

    def __init__(self, what: str, total: int, unit: str):
        self._what, self._total, self._unit = what, total, unit
        self._items = self._units = 0
        self._started = self._printed = time.monotonic()

    def add(self, units: int) -> None:
        """Count one item of `units` units as done."""
        self._items += 1
        self._units += units
        now = time.monotonic()
        if self._items == self._total or now - self._printed >= SECONDS_BETWEEN_PROGRESS_LINES:
            self._printed = now
            speed = self._units / max(now - self._started, 1e-9)
            print(f"{self._what}: {self._items}/{self._total}, {speed:,.0f} {self._unit}/s", file=sys.stderr)


def require_unique_ids(requests: Iterable[Request]) -> None:
    """Raise InputError if two requests share an id."""
    seen = set()
    for request in requests:
        if request.id in seen:
            raise InputError(f"two requests share the id {request.id!r}; ids must be unique within a call.")
        seen.add(request.id)


def top_by_text(tokens: Iterable[tuple[str, float]]) -> dict[str, float]:
    """`TokenLogprob.top` from (spelling, log-probability) of the most likely tokens, in any order."""
    top: dict[str, float] = {}
    for text, logprob in sorted(tokens, key=lambda token: token[1], reverse=True):
        top.setdefault(text, logprob)
    return top


def fewest(limit: int, holds: Callable[[int], bool]) -> int:
    """The smallest count in 0 … limit for which `holds`, which must hold for all larger ones; limit if it never does.

    By bisection: `holds` is asked log2(limit) times.
    """
    return bisect_left(range(limit), True, key=holds)


def stop_position(text: str, stop: Sequence[str]) -> int | None:
    """Where the first stop text in `text` begins; None if it holds none."""
    return min((place for place in map(text.find, stop) if place >= 0), default=None)


def _end_token_ids(checkpoint: Path, tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """Ids of the tokens that end every completion: those of generation_config.json, the tokenizer's own, and
    the one that closes an assistant's turn in the chat template.

    A base model fine-tuned on chats still names only its end of text in generation_config.json.
    """
    ids = {tokenizer.eos_token_id, _turn_end_id(tokenizer)}
    path = Path(checkpoint) / "generation_config.json"
    if path.exists():
        named = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        ids.update(named if isinstance(named, list) else [named])
    return frozenset(ids - {None})


def _turn_end_id(tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """Id of the special token that the chat template puts behind an assistant's message; None without one."""
    if not tokenizer.chat_template:
        return None
    answer = "ANSWER"
    messages = [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": answer}]
    tail = tokenizer.apply_chat_template(messages, tokenize=False).rpartition(answer)[2]
    first = tokenizer.encode(tail, add_special_tokens=False)[:1]
    return first[0] if first and first[0] in tokenizer.added_tokens_decoder else None
