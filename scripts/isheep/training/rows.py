"""Which of the kept pairs a checkpoint is trained on, and which it is validated on."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from isheep.data.pairs import source_of
from isheep.seeding import derive_seed
from isheep.settings import Settings

Use = Literal["training", "validation"]


class RowSettings(Settings):
    """Which of the kept pairs one checkpoint is trained on."""

    rows: Literal["first", "sample"] = "first"
    """Which pairs are used where more than max_samples are kept, evenly of each checkpoint that wrote some: one that
    wrote fewer gives all, and the others share what is left. first: those of each that were written first; the trainer
    that the paper used takes the first rows of each file. sample: a seeded draw."""
    max_samples: int | None = Field(3000, ge=1)
    """At most so many pairs are used in all, those held out included; null uses all (paper: 3000, of each file)."""
    validation_share: float = Field(0.1, ge=0, lt=1)
    """Share of these pairs that is held out; the saved step with the lowest loss on them is kept (paper: 0.1). 0: none.
    """


def use_of_pairs(kept: Sequence[str], settings: RowSettings, seed: int | None) -> dict[str, Use]:
    """Return what each kept pair is used for, by its id; those beyond `max_samples` are not in it.

    kept: ids, in the order in which the pairs were written; the part before the first colon names the checkpoint that
    wrote the pair. seed: for what is drawn: the sample, and the pairs that are held out, of which there are as many as
    the share gives, rounded up. A single pair is never held out.
    """
    used = list(kept) if settings.max_samples is None else _evenly(kept, settings.max_samples, _rank(settings, seed))
    held_out = math.ceil(settings.validation_share * len(used)) if len(used) > 1 else 0
    drawn = set(sorted(used, key=lambda id: derive_seed(seed, "validation", id))[: min(held_out, len(used) - 1)])
    return {id: "validation" if id in drawn else "training" for id in used}


def _rank(settings: RowSettings, seed: int | None) -> Callable[[str], int]:
    """Those of lower rank are used first; those alike, in the order in which they were written."""
    return (lambda id: derive_seed(seed, "sample", id)) if settings.rows == "sample" else lambda _: 0


def _evenly(ids: Sequence[str], most: int, rank: Callable[[str], int]) -> list[str]:
    """At most so many of the ids, evenly of each source those of the lowest rank, in their order."""
    of_source = defaultdict(list)
    for id in ids:
        of_source[source_of(id)].append(id)
    chosen: set[str] = set()
    fewest_first = sorted(of_source.values(), key=len)
    for number, members in enumerate(fewest_first):
        share = (most - len(chosen)) // (len(fewest_first) - number)
        chosen |= set(sorted(members, key=rank)[:share])
    return [id for id in ids if id in chosen]


def rows_checksum(pairs: Iterable[Mapping[str, str]]) -> str:
    """Return the checksum of what is trained on, the same for the same texts in any order."""
    texts = (json.dumps([pair[key] for key in ("instruction", "input", "response")]) for pair in pairs)
    digests = sorted(hashlib.sha256(text.encode()).digest() for text in texts)
    return hashlib.sha256(b"".join(digests)).hexdigest()
