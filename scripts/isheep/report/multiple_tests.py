"""p-values of several tests, adjusted so that chance alone seldom, or in a small share, makes one of them small."""

from collections.abc import Sequence
from typing import Literal

Correction = Literal["holm", "benjamini_hochberg", "none"]


def adjusted(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Return the adjusted p-values, in the same order; to be compared with the level as an unadjusted one is.

    holm: the chance that any star of the family is false stays below the level, however the tests depend on each other
    (Holm 1979). benjamini_hochberg: the expected share of false ones among the stars does (1995), for tests that do not
    depend on each other, or positively. none: as they are.
    """
    if correction == "benjamini_hochberg":
        from scipy.stats import false_discovery_control

        return [float(p) for p in false_discovery_control(p_values)] if len(p_values) else []
    return _holm(p_values) if correction == "holm" else list(p_values)


def _holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value times how many are not smaller, and never below that of a smaller one."""
    result, largest, count = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, place in enumerate(sorted(range(count), key=lambda place: p_values[place])):
        largest = min(1.0, max(largest, (count - rank) * p_values[place]))
        result[place] = largest
    return result
