"""Whether two checkpoints differ on the items of a benchmark by more than chance, by how much, and what could be seen.

Both answered the same items, so everything is paired. The test is the sign-flip permutation test over items (Fisher
1935, section 21): were the two alike, each item's difference could as well have the other sign.
Where items are right or wrong it is the exact McNemar test. It is exact where the sums that the signs can give are few
enough to be counted, else it draws signs (Phipson and Smyth 2010 for the p-value of drawn ones). scipy's own
permutation_test counts all signs of 13 items and no more, and takes ten times as long for as many draws.

Items are the unit: the parts of an item, and its replicates, keep their signs together. From three replicates on, which
are trainings of their own, the p-value is the larger of this one and that of a t test whose variance has both parts,
between items and between replicates.

Confidence intervals are Bonett and Price's (2012) for paired proportions, over items of any value: two items are added,
one better and one worse by as much as any item differs, so that few items that differ make no narrow interval.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

ItemValues = Mapping[Hashable, Sequence[float | None]]
"""Item → the values of its parts, such as the turns of a question or the constraints of a prompt; None is missing."""

DRAWS = 100_000
"""Signs are drawn so often: a p-value of 0.05 is then known to about ±0.0014, one of 0.0002 to ±0.0001."""
EXACT_SUMS = 2**16
"""The most different sums that are counted one by one: those of any 16 items, and of most whole ratings."""
METHODS = {
    "exact": "exact sign-flip permutation test over items",
    "drawn": f"sign-flip permutation test over items ({DRAWS:,} draws)",
}
"""What the tests are called in a table's notes."""
SEEDS_TESTED = 3
"""From so many replicates on, how they differ from each other is a part of the test."""
LEVEL, POWER = 0.05, 0.8
"""Of a test, two-sided; and with what chance it shows the smallest difference that it can show."""
CHUNK = 2**20
"""Numbers that are made at once: 8 MB."""
LEAST_P = 1e-100
"""Smaller p-values of a t test are this one: its tail is not known beyond."""
ROUNDING = 1e-9
"""A smaller difference of an item is none: it is what is left of numbers that cancel."""


@dataclass(frozen=True)
class Comparison:
    """What is known of the difference between two checkpoints."""

    n: int
    """Items that both have a value of."""
    difference: float
    """Mean of the checkpoint minus mean of the one before, over all parts that both have a value of."""
    p: float
    """Two-sided p-value of no difference."""
    method: str
    """A key of METHODS."""
    low: float
    """Lower end of the 95 % confidence interval of the difference; NaN where no item differs."""
    high: float
    """Its upper end."""
    detectable: float
    """The smallest true difference that the test shows with a chance of POWER, as much as these items differ; NaN where
    no item differs, or where even equal differences of all items would not be below LEVEL."""


@dataclass
class _Differences:
    """Sums of the differences of parts, and how many parts: by item, and by replicate."""

    totals: dict[Hashable, float] = field(default_factory=dict)
    parts: dict[Hashable, int] = field(default_factory=dict)
    of_replicates: list[float] = field(default_factory=list)
    """Mean difference of each replicate that has a part."""


@dataclass(frozen=True)
class _Estimate:
    """A mean difference, and what its variance is made of: each part with its degrees of freedom."""

    mean: float
    variances: tuple[tuple[float, int], ...]

    @property
    def error(self) -> float:
        """The standard error."""
        return sum(variance for variance, _ in self.variances) ** 0.5

    def quantile(self, tail: float) -> float:
        """How many standard errors cut off this tail: the mean of each part's own, weighted by its variance, as in
        Cochran and Cox's test (1950), which with few replicates is on the safe side where Welch's is not."""
        from scipy.stats import t

        total = sum(variance for variance, _ in self.variances)
        return float(sum(variance * t.isf(tail, freedom) for variance, freedom in self.variances) / total)

    def p(self) -> float:
        """Two-sided p-value of no difference, at least LEAST_P."""
        from scipy.optimize import brentq

        found = abs(self.mean) / self.error
        if found < ROUNDING:
            return 1.0
        if found > self.quantile(LEAST_P / 2):
            return LEAST_P
        return 10 ** float(brentq(lambda power: self.quantile(10**power / 2) - found, math.log10(LEAST_P), 0))


def compare(values: Sequence[ItemValues], previous: Sequence[ItemValues], seed: int) -> Comparison | None:
    """Compare a checkpoint with the one before it; None where no item has a value on both sides.

    values, previous: one mapping for each replicate, with the same items and as many parts of each. Parts that are
    missing on one side are left out of both. `seed` is that of the signs, where they are drawn.
    """
    found = _differences(values, previous)
    if not found.totals:
        return None
    totals, parts = list(found.totals.values()), list(found.parts.values())
    p, method = sign_flip_p(totals, seed)
    low, high, detectable = (float("nan"),) * 3
    if max(map(abs, totals)) > ROUNDING:
        estimate = _adjusted(totals, parts, found.of_replicates)
        if len(found.of_replicates) >= SEEDS_TESTED:
            p = max(p, estimate.p())
        half = estimate.quantile(LEVEL / 2) * estimate.error
        low, high = estimate.mean - half, estimate.mean + half
        if 2.0 ** (1 - len(totals)) < LEVEL:
            detectable = half + estimate.quantile(1 - POWER) * estimate.error
    return Comparison(len(totals), sum(totals) / sum(parts), p, method, low, high, detectable)


def sign_flip_p(differences: Sequence[float], seed: int) -> tuple[float, str]:
    """Return the two-sided p-value of the sum of these differences, one for each item, and the key of METHODS.

    It is the share of all ways to give the differences signs whose sum is as far from zero, or farther. Where it is
    drawn, the signs that are there count as one draw more: at least 1 / (DRAWS + 1).
    """
    import numpy
    from scipy.stats import binomtest

    rounded = numpy.round(numpy.asarray(differences, dtype=float), 9)
    sizes = numpy.abs(rounded[numpy.abs(rounded) > ROUNDING])
    if len(numpy.unique(sizes)) == 1:
        return float(binomtest(int((rounded > ROUNDING).sum()), len(sizes)).pvalue), "exact"
    # What is left of rounding must not tell equal sums apart.
    least = abs(rounded.sum()) - ROUNDING * (len(sizes) + 1)
    counted = _all_sums(sizes)
    if counted is None:
        return (_draws_beyond(sizes, least, seed) + 1) / (DRAWS + 1), "drawn"
    sums, chances = counted
    return min(1.0, float(chances[numpy.abs(sums) >= least].sum())), "exact"


def _differences(values: Sequence[ItemValues], previous: Sequence[ItemValues]) -> _Differences:
    found = _Differences()
    for ours, theirs in zip(values, previous, strict=True):
        total, count = 0.0, 0
        for item, its_parts in ours.items():
            for new, old in zip(its_parts, theirs[item], strict=True):
                if new is None or old is None:
                    continue
                found.totals[item] = found.totals.get(item, 0.0) + new - old
                found.parts[item] = found.parts.get(item, 0) + 1
                total, count = total + new - old, count + 1
        if count:
            found.of_replicates.append(total / count)
    return found


def _all_sums(sizes: "numpy.ndarray") -> tuple["numpy.ndarray", "numpy.ndarray"] | None:
    """The sums that these numbers can have under all signs, and the chance of each; None where they are too many.

    Equal numbers are added together, by the binomial distribution of how many of them are positive.
    """
    import numpy
    from scipy.stats import binom

    sums, chances = numpy.zeros(1), numpy.ones(1)
    for size, count in zip(*numpy.unique(sizes, return_counts=True), strict=True):
        left = int(count)
        while left:
            added = min(left, max(1, CHUNK // len(sums) - 1))
            positive = numpy.arange(added + 1)
            sums = numpy.add.outer(sums, size * (2 * positive - added)).ravel()
            chances = numpy.multiply.outer(chances, binom.pmf(positive, added, 0.5)).ravel()
            _, first, place = numpy.unique(numpy.round(sums, 7), return_index=True, return_inverse=True)
            if len(first) > EXACT_SUMS:
                return None
            sums, chances = sums[first], numpy.bincount(place, chances)
            left -= added
    return sums, chances


def _draws_beyond(sizes: "numpy.ndarray", least: float, seed: int) -> int:
    """In how many of DRAWS draws of their signs the sum of these numbers is at least this far from zero.

    A drawn byte is the signs of eight numbers, whose sum is looked up.
    """
    import numpy

    eights = numpy.pad(sizes, (0, -len(sizes) % 8)).reshape(-1, 8)
    signs = 2.0 * numpy.unpackbits(numpy.arange(256, dtype=numpy.uint8)[:, None], axis=1) - 1
    sums_of_bytes = (eights @ signs.T).ravel()
    starts = 256 * numpy.arange(len(eights))
    generator, beyond, done = numpy.random.default_rng(seed), 0, 0
    while done < DRAWS:
        rows = min(DRAWS - done, max(1, CHUNK // len(eights)))
        drawn = generator.integers(256, size=(rows, len(eights)), dtype=numpy.uint8)
        beyond += int((numpy.abs(sums_of_bytes[starts + drawn].sum(axis=1)) >= least).sum())
        done += rows
    return beyond


def _adjusted(totals: Sequence[float], parts: Sequence[int], of_replicates: Sequence[float]) -> _Estimate:
    """The mean difference of a part once two items are added, with as many parts as an item has on average.

    Its variance over items is robust to the likeness of an item's parts. From SEEDS_TESTED replicates on, that between
    them is added: what both hold, the noise of single answers, is then counted twice, which is on the safe side.
    """
    import numpy

    largest, usual = max(map(abs, totals)), sum(parts) / len(parts)
    sums = numpy.array([*totals, largest, -largest])
    counts = numpy.array([*parts, usual, usual])
    mean, n, k = float(sums.sum() / counts.sum()), len(sums), len(of_replicates)
    between_items = n / (n - 1) * float(((sums - mean * counts) ** 2).sum() / counts.sum() ** 2)
    variances = [(between_items, n - 1)]
    if k >= SEEDS_TESTED:
        variances.append((float(numpy.var(of_replicates, ddof=1)) / k, k - 1))
    return _Estimate(mean, tuple(variances))
