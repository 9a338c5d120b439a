"""Locks that say which run holds them, so that those of a killed run need no `--unlock`.

Snakemake writes what a run reads and makes into `.snakemake/locks`, and refuses a run that would make the same. These
files do not say whose they are: after a kill, every start is refused until somebody removes them. Here each has a file
beside it that names its owner, and a start removes the locks of a run that it knows to have ended.

Besides, a start and its look at the locks are one step, so that of two at the same moment one is refused; and a run
that ends removes its own locks alone, where Snakemake removes those of all runs in the folder.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from snakemake.persistence.file import FilePersistence

from isheep.files.ownership import lock
from isheep.files.records import write_json

take, warn, remove_all = FilePersistence.lock, FilePersistence.lock_warn_only, FilePersistence._delete_locks


@dataclass(frozen=True)
class Owner:
    """The run that holds a lock: a process, and all that tells it from one of the same number."""

    host: str
    machine: str
    """The machine's own name, "" where it has none: two machines may have one host name."""
    boot: str
    """Changes whenever the machine is started."""
    namespace: str
    """A container counts its processes by itself."""
    process: int
    started: str
    """When the process was started, in the kernel's own count."""
    since: str
    """When it took the lock."""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


def name_lock_owners() -> None:
    """Let the runs of this process say that the locks are theirs, and take over those of runs that have ended.

    Snakemake's class is changed since its locks have no other handle; the names are those of the release that is
    pinned in envs. A dry run only tells who holds the locks. Jobs, which take no locks, are not to call this.
    """
    FilePersistence.lock = _lock_by_name
    FilePersistence.lock_warn_only = _warn_by_name
    FilePersistence._delete_locks = _remove_own
    FilePersistence.cleanup_locks = remove_all  # which is what --unlock asks for


def this_run() -> Owner:
    """The owner that this process is."""
    return Owner(
        host=platform.node(),
        machine=_line("/etc/machine-id"),
        boot=_line("/proc/sys/kernel/random/boot_id"),
        namespace=os.readlink("/proc/self/ns/pid"),
        process=os.getpid(),
        started=_state(os.getpid())[1],
        since=time.strftime("%Y-%m-%d %H:%M:%S"),
    )


def whereabouts(owner: Owner, here: Owner) -> Literal["ended", "running", "elsewhere"]:
    """What can be known of an owner from the process `here`. "elsewhere": on another machine, or in a container."""
    if (owner.host, owner.machine) != (here.host, here.machine):
        return "elsewhere"
    if owner.boot != here.boot:
        return "ended"
    if owner.namespace != here.namespace:
        return "elsewhere"
    try:
        os.kill(owner.process, 0)
    except ProcessLookupError:
        return "ended"
    except PermissionError:
        pass  # another user's
    state, started = _state(owner.process)
    # A process that was killed keeps its number until its parent has looked at it: Z.
    return "ended" if state == "Z" or started not in ("", owner.started) else "running"


@contextmanager
def _lock_by_name(self: FilePersistence) -> Iterator[None]:
    """Snakemake's `lock`, after the locks of runs that have ended were removed."""
    here = this_run()
    with ExitStack() as held:
        with open(self.path / "starts", "w") as alone:
            lock(alone, alone.name)
            for owner in _remove_locks_of_ended(self, here):
                print(
                    f"The locks of a run that was killed are removed ({owner}); what it had made is kept.",
                    file=sys.stderr,
                )
            _say_who(self, here)
            held.enter_context(take(self))
            for file in self._lockfile.values():
                write_json(f"{file}.owner", asdict(here))
        yield


@contextmanager
def _warn_by_name(self: FilePersistence) -> Iterator[None]:
    """Snakemake's `lock_warn_only`, which a dry run calls, and who holds the locks."""
    _say_who(self, this_run())
    with warn(self):
        yield


def _say_who(self: FilePersistence, here: Owner) -> None:
    """Say in one line who holds the locks that are in the way, and what to do."""
    owners = _owners(self)
    if not owners or not self.locked:
        return
    said = {_about(owner, here) for owner in owners.values()}
    print(*sorted(said), sep="\n", file=sys.stderr)


def _about(owner: Owner | None, here: Owner) -> str:
    if owner is None:
        return "Locks do not say whose they are: if no run is at work in this folder, remove them with --unlock."
    advice = {
        "ended": "which has ended: the next run removes them by itself.",
        "running": f"which is at work: wait for it, or end it by kill -INT {owner.process}, and try again.",
        "elsewhere": "where it may be at work: look there; if it is not, type the command there, or remove the locks "
        "with --unlock.",
    }
    return f"Locks are held by {owner}, {advice[whereabouts(owner, here)]}"


def _owners(self: FilePersistence) -> dict[Path, Owner | None]:
    """Each lock's owner; None where it is not known."""
    return {path: _owner(Path(f"{path}.owner")) for path in Path(self._lockdir).glob("*.lock")}


def _owner(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _remove_locks_of_ended(self: FilePersistence, here: Owner) -> set[Owner]:
    """Remove the locks whose owner is known to have ended; return these owners."""
    ended = {path: owner for path, owner in _owners(self).items() if owner and whereabouts(owner, here) == "ended"}
    for path in ended:
        _remove_lock(path)
    return set(ended.values())


def _remove_own(self: FilePersistence) -> None:
    """Snakemake's `_delete_locks`, for the locks that this run took."""
    for path in self._lockfile.values():
        _remove_lock(path)
    self._lockfile.clear()


def _remove_lock(path: str | Path) -> None:
    Path(path).unlink(missing_ok=True)
    Path(f"{path}.owner").unlink(missing_ok=True)


def _state(process: int) -> tuple[str, str]:
    """A process's state and start; "" where they are not to be seen."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]


def _line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
