"""Reading the workflow's records with errors that a user can act on: a missing file, a torn one, a missing key."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from isheep.records import InputError, iterate_jsonl, read_text


def read_rows(path: str | Path, *keys: str) -> list[dict]:
    """Return the rows of a JSON Lines file, each with at least these keys. Raises InputError as `iterate_rows` does."""
    return list(iterate_rows(path, *keys))


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


def read_shards(paths: Sequence[str | Path], *keys: str) -> list[dict]:
    """Return the rows of several files, one file after another.

    Raises InputError as `read_rows` does, and for a file that is given twice: its rows would be counted twice.
    """
    twice = next((path for number, path in enumerate(paths) if path in paths[:number]), None)
    if twice is not None:
        raise InputError(f"{twice}: the file is given twice, and its rows would count twice; give it once.")
    return [row for path in paths for row in read_rows(path, *keys)]


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


def by_id(rows: Sequence[dict], what: str) -> dict[str, dict]:
    """Return the rows by their `id`. Raises InputError, naming `what` they are of, for an id that occurs twice."""
    found: dict[str, dict] = {}
    for row in rows:
        if row["id"] in found:
            raise InputError(f"{what}: the id {row['id']!r} occurs twice; each must be there once, remove one of them.")
        found[row["id"]] = row
    return found


def _list(keys: Sequence[str]) -> str:
    return ", ".join(map(repr, keys))
