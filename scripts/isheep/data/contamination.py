"""Overlap of a training set with the test items of benchmarks.

An item is hit by a pair in two ways. By a 13-gram: some run of 13 words of the item is in the pair, GPT-3's measure
(Brown et al. 2020, arXiv 2005.14165, appendix C). By its whole text: all words of the item, in their order and without
a gap, are in the pair. Case, punctuation and white space do not count. Where a shared run is common wording rather than
the item's own (such as a constraint that many IFEval prompts have), the listed run shows it.

A pair is read as instruction, input and response, one after the other.
"""

import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

RUN = 13
"""Words of a shared run (Brown et al. 2020, appendix C: at most 13)."""

LEAST_WORDS = 4
"""The fewest words of an item that is looked for as a whole; shorter ones ("Name a colour.") occur by chance."""

WORD = re.compile(r"[^\W_]+")
"""Letters and digits of any script; an underscore separates, as punctuation does."""

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no bit of a word's number is lost; 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4)."""

NO_WORD = 0
"""What stands between texts, and for a word that no pair has: never part of a run."""

WORDS_AT_ONCE = 1 << 20
"""Words of pairs that are searched together: some 40 MB of working memory."""

TABLE_BITS = 22
TABLE_SHIFT = np.uint64(64 - TABLE_BITS)
"""The first bits of a hash tell, in a table of 4 MB, of nearly every run of a pair that it is not sought."""


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
    """The pairs of a training set, held as the numbers of their words, among which test items are looked for."""

    def __init__(self, pairs: Iterable[Mapping]):
        """pairs: rows with id, instruction, input and response, of which one at a time is held."""
        self._ids: list[str] = []
        self._number_of: dict[str, int] = {}
        self._pairs = _NumberedTexts(self._numbered(pair) for pair in pairs)

    def _numbered(self, pair: Mapping) -> Iterator[int]:
        self._ids.append(pair["id"])
        for word in words(f"{pair['instruction']}\n{pair['input']}\n{pair['response']}"):
            yield self._number_of.setdefault(word, len(self._number_of) + NO_WORD + 1)

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, item: str, text: str) -> Hit | None:
        """Return which pairs have the item's text, or a run of it; None if no pair has."""
        return self.find_all([(item, text)])[0]

    def find_all(self, named_texts: Sequence[tuple[str, str]]) -> list[Hit | None]:
        """Return for each (item, text) what `find` does, in one search through all pairs."""
        items = _NumberedTexts([self._number_of.get(word, NO_WORD) for word in words(text)] for _, text in named_texts)
        first_run, of_run, whole = self._search(items)
        hits: list[Hit | None] = [None] * len(named_texts)
        for index in of_run.keys() | whole.keys():
            name, text = named_texts[index]
            split = words(text)
            found = split[first_run[index] :][:RUN] if index in of_run else split
            having = ([self._ids[pair] for pair in pairs.get(index, [])] for pairs in (of_run, whole))
            hits[index] = Hit(name, *having, " ".join(found))
        return hits

    def _search(self, items: "_NumberedTexts") -> tuple[np.ndarray, dict[int, list[int]], dict[int, list[int]]]:
        """Return of each item the first word of the first run that a pair has; and, for each item that is hit, the
        pairs with a run of it and those with all of it, in ascending order."""
        sought = {length: _SoughtRuns(items, length) for length in range(LEAST_WORDS, RUN + 1)}
        first = np.full(len(items.starts), len(items.numbers))
        of_run, whole = _Found(len(self)), _Found(len(self))
        for begin in range(0, self._pairs.words, WORDS_AT_ONCE):
            end = min(begin + WORDS_AT_ONCE, self._pairs.words)
            for length, hashes in _run_hashes(self._pairs.numbers, begin, end):
                if length not in sought:
                    continue
                places, in_items = sought[length].among(hashes)
                places, in_items = self._equal(begin + places, items, in_items, length)
                item = items.at(in_items)
                if length == RUN:
                    np.minimum.at(first, item, in_items - items.starts[item])
                    of_run.add(item, self._pairs.at(places))
                    at_start = in_items == items.starts[item]
                    places, in_items = self._equal(places[at_start], items, in_items[at_start])
                whole.add(items.at(in_items), self._pairs.at(places))
        return first, of_run.pairs(), whole.pairs()

    def _equal(
        self, places: np.ndarray, items: "_NumberedTexts", in_items: np.ndarray, length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keep those of the places, in pairs and in items, at which the same words follow: so many, or to the item's
        end."""
        lengths = items.lengths[items.at(in_items)] if length is None else np.full(len(in_items), length)
        for offset in range(lengths.max(initial=0)):
            follows = lengths > offset
            word = items.numbers[np.where(follows, in_items + offset, 0)]
            same = (word != NO_WORD) & (word == self._pairs.numbers[np.where(follows, places + offset, 0)])
            places, in_items, lengths = (each[same | ~follows] for each in (places, in_items, lengths))
        return places, in_items


class _NumberedTexts:
    """Texts as the numbers of their words, one text after another, with `NO_WORD` between them."""

    def __init__(self, texts: Iterable[Iterable[int]]):
        numbers, starts = array("I"), array("q")
        for text in texts:
            starts.append(len(numbers))
            numbers.extend(text)
            numbers.append(NO_WORD)
        self.words = len(numbers)
        numbers.extend([NO_WORD] * RUN)  # so that a run of any length can be read behind every word
        self.numbers = np.asarray(numbers)
        self.starts = np.asarray(starts)
        """Where in `numbers` each text begins."""
        self.lengths = np.diff(self.starts, append=self.words) - 1

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return the text in which each place lies."""
        return np.searchsorted(self.starts, places, "right") - 1


class _SoughtRuns:
    """The runs of one length that are looked for, by their hashes: all runs of 13 words, and shorter items as a
    whole."""

    def __init__(self, items: _NumberedTexts, length: int):
        *_, (_, hashes) = islice(_run_hashes(items.numbers, 0, items.words), length)
        known = sliding_window_view(items.numbers != NO_WORD, length).all(axis=1)
        places = np.flatnonzero(known[: items.words]) if length == RUN else items.starts[items.lengths == length]
        places = places[known[places]]
        order = np.argsort(hashes[places], kind="stable")
        self._places = places[order]
        self._hashes = hashes[self._places]
        self._first_bits = np.zeros(1 << TABLE_BITS, dtype=bool)
        self._first_bits[self._hashes >> TABLE_SHIFT] = True

    def among(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of the hashes are sought, each with every place where a run of this hash begins."""
        likely = np.flatnonzero(self._first_bits[hashes >> TABLE_SHIFT])
        first = np.searchsorted(self._hashes, hashes[likely], "left")
        count = np.searchsorted(self._hashes, hashes[likely], "right") - first
        nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(likely, count), self._places[np.repeat(first, count) + nth]


class _Found:
    """Which pairs have which items."""

    def __init__(self, pairs: int):
        self._pairs = pairs
        self._both: list[np.ndarray] = []

    def add(self, item: np.ndarray, pair: np.ndarray) -> None:
        """Count each pair as one that has the item."""
        self._both.append(np.unique(item * self._pairs + pair))

    def pairs(self) -> dict[int, list[int]]:
        """Return, by item, the pairs that have it, in ascending order."""
        pairs: dict[int, list[int]] = defaultdict(list)
        for both in np.unique(np.concatenate([np.empty(0, np.int64), *self._both])).tolist():
            pairs[both // self._pairs].append(both % self._pairs)
        return dict(pairs)


def _run_hashes(numbers: np.ndarray, begin: int, end: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield, for each length up to `RUN`, the hashes of the runs of so many words that begin from `begin` to `end`: a
    polynomial in the words' numbers, modulo 2^64. The array is the same each time."""
    hashes = np.zeros(end - begin, dtype=np.uint64)
    for offset in range(RUN):
        hashes *= MULTIPLIER
        hashes += numbers[begin + offset : end + offset]
        yield offset + 1, hashes


def check_benchmark(training_set: TrainingSet, items: Sequence[Mapping]) -> dict:
    """Count and list the items of one benchmark that the training set has.

    items: rows with `id` and `text`, each item once. `items` are all of them, `too_short_for_thirteen_gram` and
    `too_short_for_substring` those that cannot be hit in that way; `thirteen_gram`, `substring` and `either` those
    that are hit, each counted once however many pairs have it.
    """
    lengths = [len(words(item["text"])) for item in items]
    found = training_set.find_all([(item["id"], item["text"]) for item in items])
    hits = [hit for hit in found if hit]
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
