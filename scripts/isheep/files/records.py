"""Reading and writing the workflow's files: JSON Lines, published whole or not at all."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from isheep.files import ownership
from isheep.files.durable import sync, sync_entry

PARTIAL = ".partial"


class InputError(Exception):
    """Bad input of the user's: one sentence that names the file or key, what is wrong and what to do."""


def claim(output: Path) -> None:
    """Claim an output (isheep.files.ownership). Raises InputError where it is another job's by now."""
    if not ownership.claim(output):
        raise _lost(output)


def read_text(path: str | Path) -> str:
    """Return the text of a file. Raises InputError, naming the file, where it cannot be read or is not UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str | Path, error: OSError | UnicodeDecodeError) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    return InputError(f"{path}: the file cannot be read ({reason}); correct the path, or make or fetch the file again.")


def read_jsonl(path: str | Path) -> list[dict]:
    """Read a JSON Lines file whose every line is one object. Raises InputError as `iterate_jsonl` does."""
    return list(iterate_jsonl(path))


def iterate_jsonl(path: str | Path) -> Iterator[dict]:
    """Yield the objects of a JSON Lines file, one a line, holding one at a time.

    Raises InputError, naming the file and, for an empty line or a line that is no JSON object, the line.
    """
    try:
        with open(path, encoding="utf-8") as lines:
            yield from _parse_each(lines, path)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def parse_lines(text: str, path: str | Path) -> list[dict]:
    """Return the object on each line; `path` is named in errors, which are those of `read_jsonl`."""
    return list(_parse_each(io.StringIO(text), path))


def _parse_each(lines: Iterable[str], path: str | Path) -> Iterator[dict]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise InputError(f"{path}: line {number} is empty; remove it.")
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}: line {number} is not valid JSON ({error.msg} at column {error.colno}); "
                "the line may be torn, restore it."
            ) from None
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number} is a JSON {type(row).__name__}, not an object.")
        yield row


def parse_list(text: str, path: str | Path) -> list[dict]:
    """Return the objects of a JSON list. Raises InputError, naming `path` and the line or row that is wrong."""
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno} is not valid JSON ({error.msg} at column {error.colno}); the file may be "
            "torn, fetch it again."
        ) from None
    if not isinstance(rows, list):
        raise InputError(f"{path}: it is a JSON {type(rows).__name__}, but it must hold one list of objects.")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"{path}: row {number} is a JSON {type(row).__name__}, not an object; correct it.")
    return rows


def read_objects(path: str | Path) -> list[dict]:
    """Return the objects of a JSON list or of JSON Lines, whichever the file holds. Raises InputError as both do."""
    text = read_text(path)
    return parse_list(text, path) if text.lstrip().startswith("[") else parse_lines(text, path)


def file_sha256(path: str | Path) -> str:
    """Return the checksum of a file, read in blocks, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed_checksums(path: str | Path) -> dict[str, str]:
    """Return the sha256 of each file that a list of sha256sum names."""
    lines = (line.split(maxsplit=1) for line in read_text(path).splitlines())
    return {name.lstrip("*"): sha256 for sha256, name in lines}


def files_read(paths: Iterable[str | Path | None]) -> dict[str, str]:
    """Return the sha256 of each file that is given, as records name what they were made from."""
    return {str(path): file_sha256(path) for path in paths if path is not None}


@contextmanager
def publish(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` only if the block ends without an error.

    Works for files and for folders; readers see the whole new version or none, and what they see no power cut takes.
    The temporary path is this process's own; isheep.engine.journal.remove_leftovers removes it where the process was
    killed.
    Raises InputError, and leaves `path` alone, if this program had claimed it and another one has done so since.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{ownership.this_writer()}{PARTIAL}")
    try:
        yield partial
        sync(partial)
        with ownership.keeping(path) as ours:
            if not ours:
                raise _lost(path)
            if path.is_dir():
                remove(path)
            os.replace(partial, path)
            sync_entry(path.parent)
    finally:
        remove(partial)


def _lost(output: Path) -> InputError:
    return InputError(f"{output}: another job has been asked for it since; nothing was written.")


def write_jsonl(path: str | Path, rows: Iterable[dict]) -> None:
    """Write one JSON object a line, published whole by one rename."""
    with publish(path) as partial, open(partial, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_json(path: str | Path, content: dict | list) -> None:
    """Write one indented JSON document, published whole by one rename."""
    with publish(path) as partial:
        partial.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def unfinished_folder(output: str | Path) -> Path:
    """Return the folder, beside a declared output, that keeps what a killed job has finished of it."""
    output = Path(output)
    return output.with_name(f".{output.name}.unfinished")


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
