"""Perplexity: how much a text surprises a checkpoint, for the filter of the paper's section 4.3.

The perplexity of a whole text, as in the authors' released scripts: the exponential of the mean negative
log-likelihood of its tokens 2 … n. The first token follows nothing, so it has no likelihood; where the tokenizer puts
a token at a text's beginning (Llama 3), that is the first.
"""

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from isheep.engine.engine import Engine
from isheep.engine.journal import AppendedLines
from isheep.files.records import InputError

TEXTS_AT_ONCE = 512
"""Texts that are handed to the engine together: the most whose scores a killed job has to make again."""

LARGEST_MEAN = 700.0
"""The largest mean negative log-likelihood in nats whose exponential a float holds; working weights stay far below."""


class TextPerplexity(NamedTuple):
    """perplexity: None for a text of fewer than two tokens. cut: whether the text was longer than the engine scores,
    so that only its beginning was."""

    perplexity: float | None
    cut: bool


def measure_perplexities(engine: Engine, texts: Sequence[str], journal: Path) -> list[TextPerplexity]:
    """Return the perplexity of each text; one that is too long for the engine is cut at its end.

    journal: folder for the scores that a killed job had made; the caller removes it once the result is published.
    Raises InputError if the checkpoint's likelihoods are not finite, and as `AppendedLines.read_rows` does.
    """
    most = engine.max_length - 1
    encoded = [tuple(engine.encode(text)) for text in texts]
    scored = [ids[:most] for ids in encoded]
    logprobs = _score_with_journal(engine, {ids for ids in scored if len(ids) > 1}, journal)
    return [
        TextPerplexity(
            perplexity=_perplexity(logprobs[ids], len(ids) - 1) if len(ids) > 1 else None, cut=len(whole) > most
        )
        for ids, whole in zip(scored, encoded, strict=True)
    ]


def _perplexity(logprob: float, tokens: int) -> float:
    """logprob: sum over `tokens` tokens, in nats."""
    mean = -logprob / tokens
    if not mean < LARGEST_MEAN:
        raise InputError(
            f"the checkpoint gives {tokens} tokens of a text the log-likelihood {logprob}, which no working weights "
            "do; make the checkpoint again, or set engine.dtype to bfloat16 or float32."
        )
    return math.exp(mean)


def _score_with_journal(engine: Engine, texts: set[tuple[int, ...]], folder: Path) -> dict[tuple[int, ...], float]:
    """Token ids → log-likelihood of the second to the last; the engine is asked only for those not in the journal."""
    keys = {ids: _score_key(engine.identity, ids) for ids in texts}
    with AppendedLines(folder / "scores.jsonl") as lines:
        done = dict(lines.read_rows(lambda row: (row["key"], float(row["logprob"]))))
        missing = sorted((ids for ids in texts if keys[ids] not in done), key=lambda ids: (-len(ids), ids))
        print(f"journal: {len(missing)} texts to score, {len(texts) - len(missing)} reused", file=sys.stderr)
        for start in range(0, len(missing), TEXTS_AT_ONCE):
            chunk = missing[start : start + TEXTS_AT_ONCE]
            scores = engine.loglikelihoods([(ids[:1], ids[1:]) for ids in chunk])
            for ids, (logprob, _) in zip(chunk, scores, strict=True):
                lines.append_row({"key": keys[ids], "logprob": logprob})
                done[keys[ids]] = logprob
    return {ids: done[keys[ids]] for ids in texts}


def _score_key(identity: dict, ids: Sequence[int]) -> str:
    """The sha256 of all that a score depends on: checkpoint, engine and tokens."""
    return hashlib.sha256(json.dumps([identity, ids], sort_keys=True).encode()).hexdigest()
