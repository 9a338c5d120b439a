"""A disk that takes nothing, since it is full or read-only, said in one sentence: which one, and what to do."""

import errno
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from isheep.files.records import InputError

CODES = {errno.ENOSPC, errno.EDQUOT}
TEXTS = (
    os.strerror(errno.ENOSPC),
    os.strerror(errno.EDQUOT),
    "PytorchStreamWriter failed writing",
    "unexpected pos ",
)
"""How libraries put it that do not pass the system's error on: safetensors by its text, and torch only by what it could
not do."""
TOO_LITTLE = 2**24
"""Bytes that the logs of a job may need: with less, the reason why it failed may be in none."""


def is_of_full_disk(error: BaseException) -> bool:
    """Whether an error, or one that it comes from, says that a disk is full or a quota used up."""
    if isinstance(error, OSError) and error.errno in CODES:
        return True
    if any(text in str(error) for text in TEXTS):
        return True
    origin = error.__cause__ or error.__context__
    return origin is not None and is_of_full_disk(origin)


def full_disk(paths: Iterable[Path]) -> str:
    """Return the sentence about the disk, of those that the paths lie on, that has the least free space."""
    disk = min({_mount_point(path) for path in paths}, key=lambda place: shutil.disk_usage(place).free)
    usage = shutil.disk_usage(disk)
    return (
        f"the disk at {disk} is full, or your quota of it is used up: {usage.free / 2**20:.1f} MiB of "
        f"{usage.total / 2**20:.1f} are free. Nothing that was finished is lost; make room, then type the same command "
        "again."
    )


def explain_full_disk(*paths: str) -> None:
    """Print the sentence, where a run has failed, where a path's disk has too little space even for a log."""
    there = [Path(path) for path in paths if os.path.exists(path)]
    if any(shutil.disk_usage(path).free < TOO_LITTLE for path in there):
        print(f"Error: {full_disk(there)}", file=sys.stderr)


def refuse_read_only(*folders: str) -> None:
    """Raise InputError for the first folder, or where it is not there the one that it would be made in, that this user
    cannot write in: Snakemake says so by a traceback, or only when the first job begins."""
    for folder in map(Path, folders):
        there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
            raise InputError(
                f"{there} cannot be written in, by its permissions or since its disk is mounted read-only, but the run "
                f"has to write {folder}; run in a folder of yours, or name one by --directory."
            )


def _mount_point(path: Path) -> Path:
    path = path.resolve()
    while not path.is_mount():
        path = path.parent
    return path
