"""Overlap of a training set with the test items of benchmarks.

An item is hit by a pair in two ways. By a 13-gram: some run of 13 words of the item is in the pair, GPT-3's measure
(Brown et al. 2020, arXiv 2005.14165, appendix C). By its whole text: all words of the item, in their order and without
a gap, are in the pair. Case, punctuation and white space do not count. Where a shared run is common wording rather than
the item's own (such as a constraint that many IFEval prompts have), the listed run shows it.

A pair is read as instruction, input and response, one after the other.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RUN = 13
"""Words of a shared run (Brown et al. 2020, appendix C: at most 13)."""

LEAST_WORDS = 4
"""The fewest words of an item that is looked for as a whole; shorter ones ("Name a colour.") occur by chance."""

WORD = re.compile(r"[^\W_]+")
"""Letters and digits of any script; an underscore separates, as punctuation does."""

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no bit of a word's number is lost; 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4)."""


@dataclass(frozen=True)
class Hit:
    """One test item that a training set has, and the ids of the pairs that have it."""

    item: str
    thirteen_gram: list[str]
    """Pairs that share a run of 13 words with the item."""
    substring: list[str]
    """Pairs that have all of the item."""
    words: str
    """What was found: the first shared run, or else the whole item, as compared."""


def words(text: str) -> list[str]:
    """Split a text into its words as they are compared.

    Characters that Unicode holds to be the same are made the same (NFKC), upper case becomes lower case.
    """
    return [match.group().casefold() for match in _matches(text)]


def _matches(text: str) -> list[re.Match]:
    return list(WORD.finditer(unicodedata.normalize("NFKC", text)))


class TrainingSet:
    """The pairs of a training set, with an index of their runs of words.

    The index finds candidates by 64-bit hashes; whether a candidate really has the words is then seen in its text.
    """

    def __init__(self, pairs: Sequence[Mapping]):
        """pairs: rows with id, instruction, input and response."""
        self._ids = [pair["id"] for pair in pairs]
        split = [words(f"{pair['instruction']}\n{pair['input']}\n{pair['response']}") for pair in pairs]
        self._texts = [_joined(of_pair) for of_pair in split]
        self._numbers = {word: number for number, word in enumerate(dict.fromkeys(w for s in split for w in s), 1)}
        numbered = [self._numbered(of_pair) for of_pair in split]
        self._runs = {length: _RunIndex(numbered, length) for length in (LEAST_WORDS, RUN)}

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, item: str, text: str) -> Hit | None:
        """Return which pairs have the item's text, or a run of it; None if no pair has."""
        split = words(text)
        numbered = self._numbered(split)
        pairs_of_run = self._pairs_with_a_run(split, numbered)
        whole = self._pairs_with_all(split, numbered)
        if not pairs_of_run and not whole:
            return None
        shared = next(iter(pairs_of_run.values()), " ".join(split))
        return Hit(
            item, [self._ids[pair] for pair in sorted(pairs_of_run)], [self._ids[pair] for pair in whole], shared
        )

    def _numbered(self, split: Sequence[str]) -> np.ndarray:
        """Number each word, from 1; 0 is a word that no pair has."""
        return np.fromiter((self._numbers.get(word, 0) for word in split), dtype=np.uint64, count=len(split))

    def _pairs_with_a_run(self, split: Sequence[str], numbered: np.ndarray) -> dict[int, str]:
        """Pair → the first run of 13 words that it shares, in the order in which the runs are in the item."""
        found: dict[int, str] = {}
        for start, candidates in self._runs[RUN].candidates(numbered):
            run = _joined(split[start : start + RUN])
            found |= {pair: run.strip() for pair in candidates if pair not in found and run in self._texts[pair]}
        return found

    def _pairs_with_all(self, split: Sequence[str], numbered: np.ndarray) -> list[int]:
        """Pairs with all of the item, sought among those that have its rarest run of 4 words."""
        if len(split) < LEAST_WORDS:
            return []
        text = _joined(split)
        return [pair for pair in self._runs[LEAST_WORDS].rarest(numbered) if text in self._texts[pair]]


class _RunIndex:
    """Which pairs may have a run of `length` words: hashes in ascending order, and the pair of each."""

    def __init__(self, numbered: Sequence[np.ndarray], length: int):
        self._length = length
        of_pairs = [_run_hashes(of_pair, length) for of_pair in numbered]
        hashes = np.concatenate([np.empty(0, np.uint64), *of_pairs])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._pairs = np.repeat(np.arange(len(of_pairs)), [len(of_pair) for of_pair in of_pairs])[order]

    def candidates(self, numbered: np.ndarray) -> list[tuple[int, list[int]]]:
        """Return, for each run of an item that some pair may have, where it starts and those pairs."""
        first, last = self._bounds(numbered)
        return [(int(start), self._of(first[start], last[start])) for start in np.flatnonzero(last > first)]

    def rarest(self, numbered: np.ndarray) -> list[int]:
        """Return the pairs that may have that run of an item which the fewest have; the item has at least one run."""
        first, last = self._bounds(numbered)
        start = int(np.argmin(last - first))
        return self._of(first[start], last[start])

    def _bounds(self, numbered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hashes = _run_hashes(numbered, self._length)
        return np.searchsorted(self._hashes, hashes, "left"), np.searchsorted(self._hashes, hashes, "right")

    def _of(self, first: int, last: int) -> list[int]:
        return sorted(set(self._pairs[first:last].tolist()))


def _run_hashes(numbered: np.ndarray, length: int) -> np.ndarray:
    """One hash for each run of `length` words: a polynomial in the words' numbers, modulo 2^64."""
    count = max(len(numbered) - length + 1, 0)
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        hashes = hashes * MULTIPLIER + numbered[offset : offset + count]
    return hashes


def _joined(split: Sequence[str]) -> str:
    """Join words so that a part of one is never found as a word."""
    return f" {' '.join(split)} "


def check_benchmark(training_set: TrainingSet, items: Sequence[Mapping]) -> dict:
    """Count and list the items of one benchmark that the training set has.

    items: rows with `id` and `text`, each item once. `items` are all of them, `too_short_for_thirteen_gram` and
    `too_short_for_substring` those that cannot be hit in that way; `thirteen_gram`, `substring` and `either` those
    that are hit, each counted once however many pairs have it.
    """
    lengths = [len(words(item["text"])) for item in items]
    hits = [hit for item in items if (hit := training_set.find(item["id"], item["text"]))]
    return {
        "items": len(items),
        "too_short_for_thirteen_gram": sum(length < RUN for length in lengths),
        "too_short_for_substring": sum(length < LEAST_WORDS for length in lengths),
        "thirteen_gram": sum(bool(hit.thirteen_gram) for hit in hits),
        "substring": sum(bool(hit.substring) for hit in hits),
        "either": len(hits),
        "hits": [vars(hit) for hit in hits],
    }


def without_frame(texts: Sequence[str]) -> list[str]:
    """Return texts without the words with which all of them begin and end.

    A task puts each document into a frame, such as `Question: … Answer:`, with which no pair would ever have the whole
    text. Words are compared as by `words`; every text keeps at least one. A single text is returned as it is.
    """
    if len(set(texts)) < 2:
        return list(texts)
    split = [words(text) for text in texts]
    spare = min(map(len, split)) - 1
    leading = _common(split, spare)
    trailing = _common([of_text[::-1] for of_text in split], spare - leading)
    return [_cut(text, leading, trailing) for text in texts]


def _common(split: Sequence[Sequence[str]], most: int) -> int:
    """Count the words, at most so many, with which all texts begin."""
    for position in range(most):
        if len({of_text[position] for of_text in split}) > 1:
            return position
    return max(most, 0)


def _cut(text: str, leading: int, trailing: int) -> str:
    if not leading and not trailing:
        return text
    found = _matches(text)
    start = found[leading].start()
    end = found[-trailing].start() if trailing else None
    return found[leading].string[start:end].strip()
