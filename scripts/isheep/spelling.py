"""Names in error messages: what is allowed, and the nearest right spelling."""

import difflib
from collections.abc import Iterable


def listed(names: Iterable[str]) -> str:
    """Return the names as a list to print, such as `base, current`."""
    return ", ".join(str(name) for name in names) or "none is defined"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean '...'?` for the closest of `names`, or nothing where none is close."""
    close = difflib.get_close_matches(str(name), [str(n) for n in names], n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
