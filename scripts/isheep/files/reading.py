"""Reading the workflow's records with errors that a user can act on: a missing file, a torn one, a missing key."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from isheep.files.records import InputError, iterate_jsonl, read_text


def iterate_rows(path: str | Path, *keys: str) -> Iterator[dict]:
    """Yield the rows of a JSON Lines file, each with at least these keys, holding one at a time.

    Raises InputError, naming file and line, for a file that cannot be read, a torn line, or a missing key.
    """
    for line, row in enumerate(iterate_jsonl(path), start=1):
        missing = [key for key in keys if key not in row]
        if missing:
            raise InputError(f"{path}: line {line} has no {missing[0]!r}; its rows must all have {_list(keys)}.")
        yield row


def iterate_some(path: str | Path, *keys: str) -> Iterator[dict]:
    """Yield the rows of a JSON Lines file that is never written without any, such as the pairs of a shard.

    Raises InputError as `iterate_rows` does, and for an empty file.
    """
    row = None
    for row in iterate_rows(path, *keys):
        yield row
    if row is None:
        raise InputError(f"{path} is empty, but is never made so; remove it, and it is made again.")


def read_some(path: str | Path, *keys: str) -> list[dict]:
    """Return the rows that `iterate_some` yields."""
    return list(iterate_some(path, *keys))


def iterate_shards(paths: Sequence[str | Path], *keys: str) -> Iterator[dict]:
    """Yield the rows of several files, one file after another, holding one row at a time.

    Raises InputError as `iterate_rows` does, and for a file that is given twice: its rows would be counted twice.
    """
    twice = next((path for number, path in enumerate(paths) if path in paths[:number]), None)
    if twice is not None:
        raise InputError(f"{twice}: the file is given twice, and its rows would count twice; give it once.")
    for path in paths:
        yield from iterate_rows(path, *keys)


def read_object(path: str | Path) -> dict:
    """Return the one JSON object of a file. Raises InputError, naming the file, where it is missing or torn."""
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno} is not valid JSON ({error.msg} at column {error.colno}); the file may be "
            "torn, make it again."
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: it is a JSON {type(content).__name__}, but it must be one object; make it again.")
    return content


def once_each(rows: Iterable[dict], what: str) -> Iterator[dict]:
    """Yield the rows as they come. Raises InputError, naming `what` they are of, for an `id` that occurs twice."""
    seen = set()
    for row in rows:
        if row["id"] in seen:
            raise InputError(f"{what}: the id {row['id']!r} occurs twice; each must be there once, remove one of them.")
        seen.add(row["id"])
        yield row


def shared(name: str | None) -> str | None:
    """Return the one object that stands for all equal names: a file has the name anew in each of its rows."""
    return name and sys.intern(name)


def _list(keys: Sequence[str]) -> str:
    return ", ".join(map(repr, keys))
