"""GPUs of one machine, shared out among the programs that run on it at the same time.

A scheduler gives each of its jobs devices of its own; on a machine without one, and among the programs inside one
job of a scheduler, nobody does. So a program claims what it uses: it holds a lock file per device until its process
ends, however that ends, since the kernel lets go of the locks of a process that is gone.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from isheep.files.ownership import try_lock
from isheep.files.records import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
"""Where schedulers name their job. Each job counts its devices from 0, so locks are those of one job."""
PREFIX = "isheep-devices"
SECONDS_UNTIL_OLD = 60 * 86400
"""No job runs so long: what is older of lock files that jobs have left on a node is removed."""
SECONDS_BETWEEN_LOOKS = 0.2

_claimed: list[IO] = []
"""The lock files of this process; open files, never closed, are what holds the devices."""


def claim_devices(count: int, devices: Sequence[str] | None = None, folder: Path | None = None) -> None:
    """Make `count` devices that no other program has claimed the only ones that this process and its children see.

    Waits, with one line on standard error, until so many are free; one program at a time collects devices, so that one
    that needs many is not overtaken for ever by those that need one. Call it before a library uses a GPU; a second call
    in the same process keeps what the first one claimed. With a count of 0 the process sees no device, and runs on the
    CPU.

    devices: those to choose from, by default visible_devices(). folder: of the lock files, by default default_folder().
    Raises InputError if there are fewer devices than asked for.
    """
    if _claimed:
        return
    if not count:
        os.environ[VISIBLE] = ""
        return
    found = visible_devices() if devices is None else list(devices)
    if count > len(found):
        raise InputError(
            f"{count} GPUs are asked for, but found {len(found)}{': ' if found else ''}{', '.join(found)}; correct "
            f"hardware.gpus_per_node, or what {VISIBLE} lists."
        )
    folder = folder or default_folder()
    _remove_old(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    taken = _take(count, found, folder)
    _claimed.extend(taken.values())
    os.environ[VISIBLE] = ",".join(device for device in found if device in taken)


def visible_devices() -> list[str]:
    """The devices that this process may use: those that CUDA_VISIBLE_DEVICES lists, else all that nvidia-smi does."""
    listed = os.environ.get(VISIBLE)
    if listed is None:
        try:
            command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
            listed = ",".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        except (FileNotFoundError, subprocess.CalledProcessError):
            listed = ""
    return [device.strip() for device in listed.split(",") if device.strip() not in ("", "-1")]


def default_folder() -> Path:
    """The folder of the lock files, the same for all programs of a user, or of one of his jobs under a scheduler,
    whatever their working directory or TMPDIR."""
    jobs = [os.environ[name] for name in JOB_VARIABLES if os.environ.get(name)]
    return Path("/tmp") / "-".join([PREFIX, str(os.getuid()), *jobs])


def _remove_old(folder: Path) -> None:
    """Remove the folders beside `folder` of jobs that have ended long ago."""
    for other in folder.parent.glob(f"{PREFIX}-{os.getuid()}-*"):
        with suppress(FileNotFoundError):  # another job of this node removes it too
            if other != folder and time.time() - other.stat().st_mtime > SECONDS_UNTIL_OLD:
                shutil.rmtree(other, ignore_errors=True)


def _take(count: int, devices: Sequence[str], folder: Path) -> dict[str, IO]:
    """Lock `count` of the devices, waiting for them; return the lock files by device."""
    taken: dict[str, IO] = {}
    announced = False
    with open(folder / "turn.lock", "w") as turn:
        # One collector at a time: two could deadlock on each other's devices.
        while not (try_lock(turn) and _collect(count, devices, folder, taken)):
            if not announced:
                print(f"waiting for {count} of the GPUs {', '.join(devices)}: others use them", file=sys.stderr)
                announced = True
            time.sleep(SECONDS_BETWEEN_LOOKS)
    return taken


def _collect(count: int, devices: Sequence[str], folder: Path, taken: dict[str, IO]) -> bool:
    """Add free devices to `taken`; return whether there are now enough."""
    for device in devices:
        if device not in taken and len(taken) < count:
            file = open(folder / f"device-{device.replace('/', '_')}.lock", "w")  # noqa: SIM115  held till the end
            if try_lock(file):
                # Stays locked where the process becomes another program (os.exec).
                os.set_inheritable(file.fileno(), True)
                taken[device] = file
            else:
                file.close()
    return len(taken) == count
