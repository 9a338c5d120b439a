"""Who writes an output: locks, and claims that let the job that was asked last have it.

A job may outlive its workflow, and be asked for again, with other settings, while it still runs. So a program claims
its outputs when it starts, each by a small file beside it that names the program; a later program's claim takes the
place of an earlier one's, and what has lost its claim cannot be published. Nor can a program claim an output that
Snakemake has asked another one for since it began.
"""

import base64
import fcntl
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PosixPath
from typing import IO, TextIO

CLAIM = ".claim"
WRITER = re.compile(r"(?P<process>\d+)-(?P<started>\d+)@(?P<machine>.+)")
"""How a process is named that no other one was ever named."""
SNAKEMAKE = Path(".snakemake")
"""What Snakemake keeps of its jobs, in the folder in which it and its programs run."""
SECONDS_TO_MARK = 5.0
"""Snakemake may mark the output of a job a moment after the job's program has begun."""

_claimed: set[Path] = set()
"""Outputs that this process has claimed and not published."""


class Output(PosixPath):
    """A file or folder that a program writes: the type of such a flag. isheep.cli claims it when it starts."""


def this_writer() -> str:
    """The name of this process, by its number, the moment of its start and the machine."""
    return f"{os.getpid()}-{_start_of(os.getpid())}@{platform.node()}"


def is_over(writer: str, if_unknown: bool) -> bool:
    """Whether the process of this name has ended; `if_unknown` for one of another machine, which cannot be asked."""
    named = WRITER.fullmatch(writer)
    if named is None or named["machine"] != platform.node():
        return if_unknown
    return _start_of(int(named["process"])) != named["started"]


def claim(output: Path) -> bool:
    """Make this program the one that may write an output; a program that had claimed it cannot publish it any more.

    False, and nothing is changed, where Snakemake has asked another one for it since this one began.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with _claim_of(output, "a+") as file:
        os.utime(file.fileno())
        if is_asked_since(output, os.fstat(file.fileno()).st_mtime):
            if not os.fstat(file.fileno()).st_size:
                claim_file(output).unlink()
            return False
        file.truncate(0)
        file.write(this_writer())
    _claimed.add(output.absolute())
    return True


def is_asked_since(output: Path, now: float) -> bool:
    """Whether Snakemake has started another job for an output after this process began, by its mark or its record.

    now: the time in seconds as the clock has it that marks files, which may not be the one of this machine.
    """
    asked = _last_asked(output)
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(_start_of(os.getpid())) / os.sysconf("SC_CLK_TCK")
    return asked is not None and now - asked < age - SECONDS_TO_MARK


@contextmanager
def keeping(output: Path) -> Iterator[bool]:
    """Yield whether this program may write an output: where it had claimed it, only if no other one has since.

    Inside the block nobody can claim it; at its end the claim is removed.
    """
    if output.absolute() not in _claimed:
        yield True
        return
    _claimed.discard(output.absolute())
    file = _claim_of(output, "r+")
    ours = file is not None and file.read() == this_writer()
    try:
        yield ours
    finally:
        if ours:
            claim_file(output).unlink()
        if file is not None:
            file.close()


def release() -> None:
    """Remove this program's claims on what it has not published."""
    for output in sorted(_claimed):
        with keeping(output):
            pass


def remove_claim(path: Path, if_unknown: bool) -> None:
    """Remove a claim whose program has ended (`is_over`)."""
    with open(path, "r+", encoding="utf-8") as file:
        # One that is locked is being taken, or made use of.
        if try_lock(file) and is_over(file.read(), if_unknown):
            path.unlink()


def claim_file(output: Path) -> Path:
    """The file beside an output that names the program that may write it."""
    return output.with_name(f".{output.name}{CLAIM}")


def open_alone(path: Path, what: str | Path, mode: str = "a+") -> TextIO | None:
    """Open a file and lock it (`lock`); None where another process has removed or replaced it meanwhile."""
    file = open(path, mode, encoding="utf-8", newline="\n")  # noqa: SIM115  closed by the caller
    lock(file, what)
    if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
        return file
    file.close()
    return None


def lock(file: IO | int, what: str | Path) -> None:
    """Lock an open file or folder for this process, until it is closed or the process ends, however that ends.

    Waits, with one line on standard error that names `what`, for another process that has it, such as a job that goes
    on though its workflow was killed. Says so where the file system knows no locks.
    """
    try:
        if not try_lock(file):
            print(f"{what}: another program writes it; waiting until that one ends", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        print(f"{what}: no file locks here, concurrent writers go unnoticed ({error.strerror})", file=sys.stderr)


def try_lock(file: IO | int) -> bool:
    """Lock an open file or folder unless another process has; return whether this one has it now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _claim_of(output: Path, mode: str) -> TextIO | None:
    """The open and locked claim on an output; None where it is not there, and `mode` does not make it."""
    while True:
        try:
            file = open_alone(claim_file(output), output, mode)
        except FileNotFoundError:
            return None
        if file is not None:
            return file


def _last_asked(output: Path) -> float | None:
    """When Snakemake marked an output, for a job that has not ended, or else for the one that made it."""
    with suppress(FileNotFoundError):
        return _kept("incomplete", output).stat().st_mtime
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        return float(json.loads(_kept("metadata", output).read_text(encoding="utf-8"))["starttime"])
    return None


def _kept(kind: str, output: Path) -> Path:
    """The file that Snakemake keeps about an output: base64 of its path, cut into folders `@…` where it is long."""
    folder = SNAKEMAKE / kind
    most = os.pathconf(folder, "PC_NAME_MAX") - 1
    name = base64.urlsafe_b64encode(str(output).encode()).decode()
    *folders, file = [name[start : start + most] for start in range(0, len(name), most)]
    return folder.joinpath(*(f"@{part}" for part in folders), file)


def _start_of(process: int) -> str | None:
    """When a process of this machine was started, in clock ticks since the machine was; None where there is none."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return status.rpartition(")")[2].split()[19]  # field 22 of proc(5); the second is a name in brackets
