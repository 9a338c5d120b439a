"""Reading the ledger of a selection: what happened to each pair that was to choose from."""

from collections.abc import Iterator
from pathlib import Path

from isheep.files.reading import iterate_rows, read_object
from isheep.files.records import InputError, file_sha256

SELECTION_RECORD = "selection.json"
"""Lies beside a ledger, and has its checksum."""


def iterate_ledger(path: str | Path, *keys: str) -> Iterator[dict]:
    """Yield the rows of a ledger, each with at least these keys, holding one at a time.

    Raises InputError as `iterate_rows` does, and, where the record of its selection lies beside it, for a ledger that
    is not as the selection wrote it.
    """
    record = Path(path).with_name(SELECTION_RECORD)
    if record.exists():
        written, found = read_object(record).get("ledger_sha256"), file_sha256(path)
        if written != found:
            raise InputError(
                f"{path}: it was changed after its selection (its sha256 is {found[:12]}, {record} has "
                f"{(written or 'none')[:12]}); remove it, and it is made again."
            )
    yield from iterate_rows(path, *keys)
