"""Whether two checkpoints differ on the items of a benchmark by more than chance over items.

Both answered the same items, so the test is paired: the exact McNemar test where each item is simply right or wrong,
else a paired bootstrap over items (Efron and Tibshirani 1993, chapter 16; Koehn 2004, "Statistical significance tests
for machine translation evaluation").
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

ItemValues = Mapping[Hashable, Sequence[float | None]]
"""Item → the values of its parts, such as the turns of a question or the constraints of a prompt; None is missing."""

RESAMPLES = 10_000
"""Resamples of the bootstrap: its p-values are then known to about ±0.004 at 0.05."""
METHODS = {
    "mcnemar": "exact McNemar test over items",
    "bootstrap": f"paired bootstrap over items ({RESAMPLES:,} resamples)",
}
"""What the tests are called in a table's notes."""
CHUNK = 4_000_000
"""Numbers drawn at once: 32 MB."""
ROUNDING = 1e-11
"""A total this near to zero, for each item, is zero: what is left of numbers that cancel."""


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


def compare(values: Sequence[ItemValues], previous: Sequence[ItemValues], seed: int) -> Comparison | None:
    """Compare a checkpoint with the one before it; None where no item has a value on both sides.

    values, previous: one mapping for each replicate, with the same items and as many parts of each. Parts that are
    missing on one side are left out of both. What is tested is the mean over parts and replicates; what is resampled
    are items, whose parts and replicates stay together. `seed` is the bootstrap's.
    """
    totals: dict[Hashable, float] = {}
    parts, right_or_wrong = 0, len(values) == 1
    for ours, theirs in zip(values, previous, strict=True):
        for item, its_parts in ours.items():
            for new, old in zip(its_parts, theirs[item], strict=True):
                if new is None or old is None:
                    continue
                right_or_wrong &= item not in totals and {new, old} <= {0, 1}
                totals[item] = totals.get(item, 0.0) + new - old
                parts += 1
    if not totals:
        return None
    differences = list(totals.values())
    method = "mcnemar" if right_or_wrong else "bootstrap"
    p = mcnemar_p(differences) if right_or_wrong else bootstrap_p(differences, seed)
    return Comparison(len(totals), sum(differences) / parts, p, method)


def mcnemar_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of as many items won (1) as lost (-1), by the exact binomial distribution."""
    from scipy.stats import binomtest

    won, lost = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def bootstrap_p(differences: Sequence[float], seed: int) -> float:
    """Return the two-sided p-value of no difference: twice the smaller share of resamples on one side of zero.

    differences: one total for each item. A resample draws as many items as there are, with replacement; its mean over
    parts has the sign of its total, so the number of parts plays no role. Items of equal difference are drawn together,
    by the multinomial distribution of how often each difference comes up. At most 1, at least 1 / (RESAMPLES + 1), and
    at least the smallest p-value that any paired test has for so few items that differ: that all of them differ in the
    same direction has the probability 2 / 2^items by chance (Fisher 1935, section 21). Resamples of a single item know
    no chance.
    """
    import numpy

    distinct, frequency = numpy.unique(numpy.round(differences, 12), return_counts=True)
    generator, n = numpy.random.default_rng(seed), len(differences)
    below = above = done = 0
    while done < RESAMPLES:
        size = min(RESAMPLES - done, max(1, CHUNK // len(distinct)))
        totals = generator.multinomial(n, frequency / n, size) @ distinct
        below += int((totals <= ROUNDING * n).sum())
        above += int((totals >= -ROUNDING * n).sum())
        done += size
    differing = int(frequency[numpy.abs(distinct) > ROUNDING].sum())
    return min(1.0, max(2 * min(below, above) / RESAMPLES, 1 / (RESAMPLES + 1), 2.0 ** (1 - differing)))
