"""What the data of one iteration looks like: yield of every filter, scores, lengths, duplicates and diversity.

All functions take rows as the workflow's files have them. Words are what white space separates.
"""

import hashlib
import statistics
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from isheep.files.records import InputError

SCORES = range(1, 11)
"""The scores that a judge may give (arXiv 2408.08072, appendix A)."""
GZIP = 16 + zlib.MAX_WBITS
"""zlib's name for the format of gzip."""
NUMBERS_AT_ONCE = 1 << 20
"""The fewest numbers that are sorted among the known ones together."""


def profile_instructions(kept: Iterable[Mapping], rejected: Iterable[Mapping]) -> dict:
    """Count the candidates for instructions, those kept, and those that each filter rejected.

    rejected: rows with `reason`: the filter's name, or `format` or `unfinished` for an item that could not be read.
    """
    count, reasons = sum(1 for _ in kept), _counted(row["reason"] for row in rejected)
    return {"candidates": count + sum(reasons.values()), "kept": count, "rejected": reasons}


def profile_pairs(pairs: Sequence[Mapping], ledger: Sequence[Mapping]) -> dict:
    """Count what became of the pairs that a recipe chose from.

    pairs: rows with `rejected_by`, the response rule that the pair broke, or None; ledger: the row of each pair, in
    the same order, with `kept`, `used_for` (training, validation, or None), `reason` and `scores` (criterion → score,
    or None where it could not be read).

    `scored` are the pairs with a score on every criterion that the recipe asks for, None where it asks for none; the
    shares run from 0 to 1, and `kept_of_scored` is None where nothing was scored. `reasons` is the ledger's account of
    all that were not kept.
    """
    criteria = criteria_of(ledger)
    kept = sum(row["kept"] for row in ledger)
    complete = [all(row["scores"].get(criterion) is not None for criterion in criteria) for row in ledger]
    scored = sum(complete) if criteria else None
    rules = _counted(pair["rejected_by"] for pair in pairs if pair["rejected_by"] is not None)
    return {
        "generated": len(pairs),
        "broke_a_rule": sum(rules.values()),
        "rules": rules,
        "scored": scored,
        "kept": kept,
        "trained_on": sum(row["used_for"] == "training" for row in ledger),
        "held_out": sum(row["used_for"] == "validation" for row in ledger),
        "kept_of_generated": kept / len(pairs),
        "kept_of_scored": kept / scored if scored else None,
        "reasons": _counted(row["reason"] for row in ledger if not row["kept"]),
    }


def criteria_of(ledger: Sequence[Mapping]) -> list[str]:
    """Return the criteria on which any pair of the ledger was assessed."""
    return sorted({criterion for row in ledger for criterion in row["scores"]})


def profile_scores(pairs: Sequence[Mapping], ledger: Sequence[Mapping]) -> dict[str, dict]:
    """Return, per criterion, the pairs at each score from 1 to 10, those whose score is missing, and the mean score.

    Only pairs that broke no rule are assessed, so only they can miss a score. pairs, ledger: as for `profile_pairs`.
    Raises InputError for a score that is not a whole number from 1 to 10.
    """
    profiles = {}
    for criterion in criteria_of(ledger):
        found = [
            _checked(row, criterion)
            for pair, row in zip(pairs, ledger, strict=True)
            if criterion in row["scores"] or pair["rejected_by"] is None
        ]
        counts, valid = Counter(found), [score for score in found if score is not None]
        profiles[criterion] = {
            "histogram": {str(score): counts[score] for score in SCORES},
            "missing": counts[None],
            "mean": statistics.fmean(valid) if valid else None,
        }
    return profiles


def profile_texts(pairs: Iterable[Mapping]) -> dict:
    """Return what the texts of pairs look like: the share with a non-empty input, then `instruction` and `response`.

    pairs: rows with instruction, input and response, at least one; they are read once, and no text is held.
    """
    count = with_input = 0
    instructions, responses = _TextCounts(), _TextCounts()
    for pair in pairs:
        count += 1
        with_input += bool(pair["input"].strip())
        instructions.add(pair["instruction"])
        responses.add(pair["response"])
    return {
        "pairs": count,
        "with_input": with_input / count,
        "instruction": instructions.description(),
        "response": responses.description(),
    }


def describe(texts: Iterable[str]) -> dict:
    """Return lengths, duplicates and diversity of texts.

    words_mean, words_median: of the words in a text. repeated: how many different texts occur more than once; repeats:
    how many texts are a repeat of an earlier one, which is how many would go if each stayed once. Texts are the same if
    they differ in nothing but case and white space.
    """
    return _TextCounts(texts).description()


def diversity(texts: Iterable[str]) -> dict[str, float | None]:
    """Return distinct-1, distinct-2 and the compression ratio of texts; None where they have no word.

    distinct_n: the different runs of n words, in lower case and within a text, divided by the number of all words
    (Li et al. 2016, arXiv 1510.03055). It falls as texts are added, so compare it between sets of like size.
    compression_ratio: bytes of all texts, a line each, divided by their bytes after gzip; higher is more repetitive
    (Shaib et al. 2024, arXiv 2403.00553).
    """
    return _TextCounts(texts).diversity()


class _TextCounts:
    """What `describe` and `diversity` count. Of a text only its length, a checksum and its runs of two words stay."""

    def __init__(self, texts: Iterable[str] = ()):
        self._lengths = array("I")
        self._occurrences: Counter[bytes] = Counter()
        self._words = 0
        self._number_of: dict[str, int] = {}
        self._bigrams = _DistinctNumbers()
        self._gzip = zlib.compressobj(level=9, wbits=GZIP)
        self._raw = self._compressed = 0
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Count one text."""
        split = text.casefold().split()
        self._occurrences[hashlib.blake2b(" ".join(split).encode(), digest_size=16).digest()] += 1
        self._words += len(split)
        numbers = [self._number_of.setdefault(word, len(self._number_of)) for word in split]
        self._bigrams.add(one << 32 | other for one, other in pairwise(numbers))
        raw = (f"\n{text}" if self._lengths else text).encode()
        self._raw += len(raw)
        self._compressed += len(self._gzip.compress(raw))
        self._lengths.append(len(text.split()))

    def description(self) -> dict:
        """Return what `describe` does."""
        return {
            "words_mean": statistics.fmean(self._lengths),
            "words_median": statistics.median(self._lengths),
            "repeated": sum(count > 1 for count in self._occurrences.values()),
            "repeats": len(self._lengths) - len(self._occurrences),
            **self.diversity(),
        }

    def diversity(self) -> dict[str, float | None]:
        """Return what the function `diversity` does."""
        if self._words == 0:
            return {"distinct_1": None, "distinct_2": None, "compression_ratio": None}
        return {
            "distinct_1": len(self._number_of) / self._words,
            "distinct_2": len(self._bigrams) / self._words,
            "compression_ratio": self._raw / (self._compressed + len(self._gzip.copy().flush())),
        }


class _DistinctNumbers:
    """Different whole numbers from 0 to 2^64 - 1, held sorted, in 8 bytes each."""

    def __init__(self):
        self._known = np.empty(0, np.uint64)
        self._new = array("Q")

    def add(self, numbers: Iterable[int]) -> None:
        """Add numbers, known ones or not."""
        self._new.extend(numbers)
        if len(self._new) > max(NUMBERS_AT_ONCE, len(self._known) // 4):
            self._merge()

    def __len__(self) -> int:
        self._merge()
        return len(self._known)

    def _merge(self) -> None:
        self._known = np.unique(np.concatenate([self._known, self._new]))
        self._new = array("Q")


def _checked(row: Mapping, criterion: str) -> int | None:
    score = row["scores"].get(criterion)
    if score is not None and (type(score) is not int or score not in SCORES):
        raise InputError(
            f"the ledger gives {row['id']!r} the score {score!r} for {criterion}, but scores are whole numbers from 1 "
            "to 10 or null; make the ledger again."
        )
    return score


def _counted(names: Iterable[str]) -> dict[str, int]:
    """Count names, the most frequent first, equals in alphabetical order."""
    counts = Counter(names)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
