"""A small ext4 file system in a file, and images of it as a power cut at that moment would leave the disk."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 512


def make_disk(file: Path) -> None:
    """Make a file that holds an empty ext4 file system."""
    with open(file, "wb") as disk:
        disk.truncate(MIB * 2**20)
    _run("mkfs.ext4", "-q", file)


@contextmanager
def mounted(file: Path, place: Path) -> Iterator[Path]:
    """Mount the file system of a file; after a power cut its journal is replayed first, as at a machine's start."""
    place.mkdir(parents=True, exist_ok=True)
    _run("mount", "-o", "loop", file, place)
    try:
        yield place
    finally:
        _run("umount", place)


def take_image(file: Path, image: Path) -> bool:
    """Copy a file system while it is written; return whether the copy is one that a power cut could leave.

    The copy takes a moment, in which the file system goes on, so that it may hold parts of two moments.
    """
    _run("cp", "--sparse=always", file, image)
    tried = image.with_suffix(".tried")
    _run("cp", "--sparse=always", image, tried)
    subprocess.run(["e2fsck", "-y", "-E", "journal_only", tried], capture_output=True, check=False)
    sound = subprocess.run(["e2fsck", "-f", "-n", tried], capture_output=True, check=False).returncode == 0
    tried.unlink()
    if not sound:
        image.unlink()
    return sound


def _run(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
