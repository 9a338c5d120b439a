"""Near-duplicate search: ROUGE-L F of a text against everything kept so far, exactly, comparing few pairs in
full.

ROUGE-L F of two texts with m and n tokens is 2·LCS/(m+n), LCS being the length of their longest common
subsequence. So "F above the threshold" asks for a least LCS, and the two bags of tokens share at least as
much. That is a set-similarity join, and its prefix filter applies (Chaudhuri et al. 2006, "A primitive
operator for similarity joins in data cleaning"; the count of shared prefix elements as in Xiao et al. 2008,
"Efficient similarity joins for near duplicate detection"): put all tokens in one fixed order, and two texts
that share enough share several of the first tokens of each. With the rare tokens first, few pairs remain to
be compared.
"""

import re
from array import array
from collections import Counter, defaultdict
from functools import cache, lru_cache, partial
from typing import NamedTuple

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Indel

# rapidfuzz may lose a pair that lies at its cutoff (0.8 for 4 of 5 tokens), so the cutoff is this much lower.
# It decides nothing: the decision is made from the number of common tokens.
CUTOFF_MARGIN = 1e-4

# The words that rouge_score's default tokenizer sees, without its stemmer.
TOKEN = re.compile(r"[a-z0-9]+")


class Match(NamedTuple):
    """The most similar text that was found, and its ROUGE-L F (0 to 1)."""

    text: str
    similarity: float


class NearDuplicates:
    """A growing collection of texts that answers which one is too similar to a new text.

    A text is too similar when its ROUGE-L F (rouge_score's default tokenizer, no stemmer) is above
    `threshold` (0 to 1). Decisions are those of rouge_score to the last bit: where F equals the threshold but
    rouge_score's floating-point value exceeds it (11 and 9 tokens, 7 in common, 0.7), so does it here. Texts
    without any token match nothing. Holds at most 1,114,112 distinct tokens, because a token is stored as one
    Unicode character.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._texts: list[str] = []
        self._sequences: list[str] = []
        self._lengths = array("q")
        self._longest = 0
        self._token_ids: dict[str, int] = {}
        self._element_ids: dict[tuple[str, int], int] = {}
        self._postings: dict[int, array] = defaultdict(partial(array, "q"))
        # A text is usually asked about and then added: encode it once.
        self._encode = lru_cache(maxsize=1)(self._encode)

    def add(self, text: str) -> None:
        """Add a text to those that later texts are compared with."""
        sequence, prefix = self._encode(text)
        for element in prefix:
            self._postings[element].append(len(self._texts))
        self._texts.append(text)
        self._sequences.append(sequence)
        self._lengths.append(len(sequence))
        self._longest = max(self._longest, len(sequence))

    def nearest_above(self, text: str) -> Match | None:
        """Return the most similar added text above the threshold (the earliest among equals), or None."""
        sequence, prefix = self._encode(text)
        found = process.extract(
            sequence,
            {index: self._sequences[index] for index in self._candidates(len(sequence), prefix)},
            scorer=Indel.normalized_similarity,
            score_cutoff=max(0.0, self.threshold - CUTOFF_MARGIN),
            limit=None,
        )
        similar = [(_rouge_l(sequence, other, indel), index) for other, indel, index in found]
        above = [(-similarity, index) for similarity, index in similar if similarity > self.threshold]
        if not above:
            return None
        similarity, index = min(above)
        return Match(self._texts[index], -similarity)

    def _candidates(self, length: int, prefix: list[int]) -> list[int]:
        """Return the indices of all added texts that share enough prefix elements to be above the
        threshold."""
        found = [self._postings[element] for element in prefix if element in self._postings]
        if not found:
            return []
        indices = np.concatenate([np.frombuffer(posting, np.int64) for posting in found])
        shared = np.bincount(indices, minlength=len(self._texts))
        lengths = np.frombuffer(self._lengths, np.int64)
        table_size = 1 << self._longest.bit_length()
        least_shared = _least_shared_prefix(length, table_size, self.threshold)
        return np.flatnonzero(shared >= least_shared[lengths]).tolist()

    def _encode(self, text: str) -> tuple[str, list[int]]:
        """Return a text's tokens, one character each (what rapidfuzz compares fastest), and its prefix.

        The prefix is the first elements in the fixed order, as many as can matter. An element is a token and
        which occurrence of it this is. Elements are numbered when first met: one that was met late is likely
        a rare one, so the largest numbers come first, and the order never changes.
        """
        ids = self._token_ids
        sequence = "".join([chr(ids.setdefault(token, len(ids))) for token in TOKEN.findall(text.lower())])
        counts: Counter[str] = Counter()
        elements = []
        for token in sequence:
            counts[token] += 1
            elements.append(self._element_ids.setdefault((token, counts[token]), len(self._element_ids)))
        return sequence, sorted(elements, reverse=True)[: _prefix_length(len(sequence), self.threshold)]


def _rouge_l(sequence: str, other: str, indel_similarity: float) -> float:
    lcs = round(indel_similarity * (len(sequence) + len(other)) / 2)
    return _rouge_l_f(lcs, len(sequence), len(other))


def _rouge_l_f(lcs: int, m: int, n: int) -> float:
    """Return ROUGE-L F in the floating-point steps of rouge_score, so that it rounds the same way."""
    precision, recall = lcs / m, lcs / n
    return 2 * precision * recall / (precision + recall) if lcs else 0.0


@cache
def _least_lcs(m: int, n: int, threshold: float) -> int:
    """Return the least LCS with which m and n tokens are above the threshold; above min(m, n) if there is
    none."""
    lcs = max(0, int(threshold * (m + n) / 2) - 1)
    while lcs <= min(m, n) and _rouge_l_f(lcs, m, n) <= threshold:
        lcs += 1
    return lcs


@cache
def _prefix_length(m: int, threshold: float) -> int:
    """Return how many elements of a text with m tokens must be looked up (0: no text can be above).

    Fewer than the least overlap may be left out. Partners longer than m need no look: they must share more.
    """
    least_overlap = min((_least_lcs(m, n, threshold) for n in range(1, m + 1)), default=m + 1)
    return max(0, m - least_overlap + 1)


@cache
def _least_shared_prefix(m: int, table_size: int, threshold: float) -> np.ndarray:
    """Return, for n = 0 … table_size-1, how many prefix elements texts of m and n tokens above the threshold
    share.

    Of two prefixes, one ends earlier in the order. Every shared element up to that end lies in both prefixes,
    so at most the rest of that one text is shared besides.
    """
    rest = [n - _prefix_length(n, threshold) for n in range(max(m + 1, table_size))]
    least = [_least_lcs(m, n, threshold) - max(rest[m], rest[n]) for n in range(1, table_size)]
    return np.array([m + 1, *least])
