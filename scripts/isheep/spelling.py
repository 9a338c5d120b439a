"""Names in error messages: what is allowed, and the nearest right spelling."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def listed(names: Iterable[str]) -> str:
    """Return the names as a list to print, such as `base, current`."""
    return ", ".join(str(name) for name in names) or "none is defined"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean '...'?` for the closest of `names`, or nothing where none is close."""
    close = difflib.get_close_matches(str(name), [str(n) for n in names], n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def nearest_file(file: str | Path, named_in: str | Path | None = None) -> str:
    """Return `; did you mean '...'?` for the file that is meant by one that does not exist: of this name as seen from
    the file that names it, or of the closest name beside it, or of the same name in the folder of the closest name;
    nothing where there is none."""
    path = Path(file)
    if named_in and (beside := Path(named_in).parent / path).exists():
        return f"; did you mean {str(beside)!r}?"
    if not path.parent.is_dir():
        found = [folder / path.name for folder in _alike(path.parent) if (folder / path.name).exists()]
    else:
        found = _alike(path)
    return f"; did you mean {str(found[0])!r}?" if found else ""


def _alike(path: Path) -> list[Path]:
    """What lies beside a path, the closest name first, as far as it is close."""
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return [path.with_name(name) for name in difflib.get_close_matches(path.name, names, cutoff=0.6)]
