"""The engine that runs anywhere: transformers' own `generate`, in left-padded batches."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, DynamicCache, GenerationConfig, PretrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.utils import logging

from isheep.engine.engine import (
    EncodedRequest,
    Engine,
    EngineSettings,
    PlaceLogprobs,
    Sampling,
    Written,
    stop_position,
)
from isheep.files.records import InputError

STEPS_BETWEEN_STOP_CHECKS = 8
"""A stop text is cut off exactly in any case; looking for it less often only writes a few tokens too many."""

LOGITS_AT_ONCE = 2**27
"""The most logits that scoring holds at a time (0.5 GiB in float32)."""


class TransformersEngine(Engine):
    """Writes the rows of a batch independently: each draws from its own generator, seeded by its request."""

    def __init__(
        self, checkpoint: Path, settings: EngineSettings, batch_size: int, threads: int, base: Path | None = None
    ):
        super().__init__(checkpoint, settings, base)
        torch.set_num_threads(threads)
        logging.disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = opened(self._weights, settings.dtype)
        if self._adapter is not None:
            from peft import PeftModel

            # Merged in memory it costs nothing at each token.
            model = PeftModel.from_pretrained(model, self._adapter).merge_and_unload()
        self._model = model.to(device).eval()
        # `generate` fills in from here what it is not told; a checkpoint's penalties must not leak in.
        self._model.generation_config = GenerationConfig()
        self._batch_size = batch_size
        # Never seen by the model, since masked, nor in a completion, since it is cut before.
        self._pad_id = self.tokenizer.pad_token_id or 0

    def _generate(self, encoded: list[EncodedRequest]) -> Iterator[Written]:
        alike = defaultdict(list)
        for item in encoded:
            alike[item.request.sampling].append(item)
        for sampling, items in alike.items():
            items.sort(key=lambda item: len(item.prompt_ids), reverse=True)
            for start in range(0, len(items), self._batch_size):
                batch = items[start : start + self._batch_size]
                yield from map(Written, batch, *self._generate_batch(batch, sampling))

    @torch.inference_mode()
    def _generate_batch(
        self, batch: list[EncodedRequest], sampling: Sampling
    ) -> tuple[list[list[int]], list[list[PlaceLogprobs] | None]]:
        """For each row the ids of the written tokens, and their log-probabilities or None."""
        input_ids, attention_mask = self._left_padded([item.prompt_ids for item in batch])
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=list(batch[0].stop_ids) or None,
            pad_token_id=self._pad_id,
        )
        seeds = [item.request.seed for item in batch]
        processors = [SeededNoise(seeds, sampling, input_ids.device)] if sampling.temperature else []
        recorder = LogprobRecorder(processors, sampling.top_logprobs) if sampling.top_logprobs else None
        criteria = [StopTexts(self, sampling.stop, input_ids.shape[1])] if sampling.stop else []
        written = self._model.generate(
            input_ids=input_ids,
            attention_mask=attention_mask,
            past_key_values=roomy_cache(self._model.config, input_ids.shape[1] + sampling.max_tokens),
            generation_config=config,
            logits_processor=processors if recorder is None else [recorder],
            stopping_criteria=criteria,
        )
        places = [None] * len(batch) if recorder is None else recorder.places()
        return written[:, input_ids.shape[1] :].tolist(), places

    def _score(self, pairs: list[tuple[list[int], list[int]]]) -> Iterator[tuple[int, float, bool]]:
        order = sorted(range(len(pairs)), key=lambda i: sum(map(len, pairs[i])), reverse=True)
        while order:
            longest = max(len(pairs[i][1]) for i in order[: self._batch_size])
            rows = LOGITS_AT_ONCE // (longest * self._model.config.vocab_size)
            batch, order = _split(order, max(1, min(rows, self._batch_size)))
            yield from zip(batch, *self._score_batch([pairs[i] for i in batch]), strict=True)

    @torch.inference_mode()
    def _score_batch(self, pairs: list[tuple[list[int], list[int]]]) -> tuple[list[float], list[bool]]:
        # The last token predicts nothing that is scored, so it is not read.
        input_ids, attention_mask = self._left_padded([(context + ids)[:-1] for context, ids in pairs])
        targets, scored = self._left_padded([ids for _, ids in pairs])
        logits = self._model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=(attention_mask.cumsum(-1) - 1).clamp(min=0),
            logits_to_keep=targets.shape[1],
            use_cache=False,
        ).logits.float()
        logprobs = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
        hits = (logits.argmax(-1) == targets) | (scored == 0)
        return (logprobs * scored).sum(-1).tolist(), hits.all(-1).tolist()

    def _left_padded(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask, both (rows, longest), with each row's ids at its right end."""
        longest = max(map(len, rows))
        ids = torch.tensor([[self._pad_id] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        return ids.to(self._model.device), mask.to(self._model.device)


def opened(weights: Path, dtype: str) -> PreTrainedModel:
    """Return a checkpoint's model. Raises InputError for a folder whose files do not fit each other."""
    try:
        return AutoModelForCausalLM.from_pretrained(weights, dtype=dtype)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{weights} cannot be opened as a model ({type(error).__name__}: {reason}); see that config.json and the "
            "weights belong together."
        ) from error


class SeededNoise:
    """Logits processor after which the *largest* score is a draw from the softmax at temperature and top_p.

    It adds Gumbel noise, -log E with E exponential: the argmax is then distributed as the softmax is.
    Each row has its own generator, so its draws depend on nothing else in the batch.
    """

    def __init__(self, seeds: list[int], sampling: Sampling, device: torch.device):
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._sampling = sampling

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: logits (rows, vocabulary); returns the same shape."""
        scores = scores.float() / self._sampling.temperature
        if self._sampling.top_p < 1:
            scores = keep_top_p(scores, self._sampling.top_p)
        noise = torch.empty_like(scores)
        for row, generator in zip(noise.unbind(), self._generators, strict=True):
            row.exponential_(generator=generator)
        return scores - noise.clamp_(min=torch.finfo(noise.dtype).tiny).log_()


class LogprobRecorder:
    """Logits processor that runs others, and records log-probabilities from before them of what is picked after.

    count: how many of the most likely tokens are recorded with the picked one, at most the vocabulary's size.
    """

    def __init__(self, processors: list[Callable], count: int):
        self._processors, self._count = processors, count
        self._steps: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: logits (rows, vocabulary); returns the same shape."""
        logprobs = scores.float().log_softmax(-1)
        for process in self._processors:
            scores = process(input_ids, scores)
        top = logprobs.topk(min(self._count, logprobs.shape[-1]))
        picked = logprobs.gather(-1, scores.argmax(-1, keepdim=True))[:, 0]
        self._steps.append((picked, top.indices, top.values))
        return scores

    def places(self) -> list[list[PlaceLogprobs]]:
        """For each row, one entry a step; those behind the row's end token mean nothing."""
        picked, ids, values = (torch.stack(parts, dim=1).tolist() for parts in zip(*self._steps, strict=True))
        return [
            [PlaceLogprobs(own, list(zip(*top, strict=True))) for own, *top in zip(*row, strict=True)]
            for row in zip(picked, ids, values, strict=True)
        ]


def keep_top_p(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    """Set to -inf, per row, all but the fewest largest scores whose softmax adds up to at least `top_p`."""
    ordered, index = scores.sort(-1, descending=True)
    before = ordered.softmax(-1).cumsum(-1).roll(1, -1)
    before[..., 0] = 0
    return scores.scatter(-1, index, ordered.masked_fill(before >= top_p, -torch.inf))


class RoomyLayer(DynamicLayer):
    """A layer's key-value cache with room for all tokens from the start.

    The library's own grows by a copy of itself at every token, which for small models is most of the time.
    """

    def __init__(self, room: int):
        super().__init__()
        self._room = room

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """States: (rows, heads, tokens, size of a head)."""
        super().lazy_initialization(key_states, value_states)
        self._stores = [
            states.new_empty(*states.shape[:-2], self._room, states.shape[-1]) for states in (key_states, value_states)
        ]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the states of the newest tokens; return those of all tokens."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        for store, states in zip(self._stores, (key_states, value_states), strict=True):
            store[..., start:end, :] = states
        self.keys, self.values = (store[..., :end, :] for store in self._stores)
        return self.keys, self.values


def roomy_cache(config: PretrainedConfig, room: int) -> DynamicCache:
    """The library's cache for this architecture, with RoomyLayer in place of each plain growing layer."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class StopTexts:
    """Stopping criterion that ends each row soon after its own text holds a stop text."""

    def __init__(self, engine: Engine, stop: tuple[str, ...], prompt_length: int):
        self._engine, self._stop, self._prompt_length = engine, stop, prompt_length
        # A token spells at least one byte, so a stop text has at most as many tokens as bytes; four more for
        # a character that the window cuts in two.
        self._window = STEPS_BETWEEN_STOP_CHECKS + max(len(text.encode()) for text in stop) + 4
        self._done: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """input_ids: (rows, prompt and written tokens); returns for each row whether it is done."""
        if self._done is None:
            self._done = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        written = input_ids.shape[1] - self._prompt_length
        if written % STEPS_BETWEEN_STOP_CHECKS == 0:
            tails = input_ids[:, -min(written, self._window) :].tolist()
            holds = [stop_position(self._engine.decode(tail), self._stop) is not None for tail in tails]
            self._done |= torch.tensor(holds, device=input_ids.device)
        return self._done


def _split(items: list[int], size: int) -> tuple[list[int], list[int]]:
    return items[:size], items[size:]
