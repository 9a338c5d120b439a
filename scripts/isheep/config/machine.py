"""What this machine has: GPUs, main memory and cores; and the keys of `hardware` that follow from it where the
configuration gives none.

Only the Snakefile uses it, before the first job. It holds for jobs that run here; of the nodes of a cluster the machine
that submits to them says nothing.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from isheep.config.hardware import HardwareSettings
from isheep.engine.devices import VISIBLE

SECONDS_FOR_DRIVER = 20
"""nvidia-smi answers in less than one, a driver that hangs never."""
QUERY = ["nvidia-smi", "--query-gpu=index,uuid,memory.total,mig.mode.current", "--format=csv,noheader,nounits"]
INSTANCE = re.compile(r"MIG \S*?(\d+)gb\S*\s.*UUID: (MIG-[^)\s]+)")
"""A line of `nvidia-smi -L` about a part of a GPU that is cut by MIG: its memory in GB, and its name."""
PART = 0.95
"""GiB of a part for each GB in its name: 10gb stands for a little less than 10 GiB."""
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container's memory limit is told, by cgroups of version 2 and 1."""


@dataclass(frozen=True)
class Machine:
    """What was found."""

    cores: int
    memory_gib: float
    gpus_gib: tuple[float, ...] = ()
    """Memory of each GPU that a job may use."""
    remark: str = ""
    """What is to be said about GPUs that are there and do not count; empty without such."""


@dataclass(frozen=True)
class Device:
    """A GPU, or a part of one."""

    names: tuple[str, ...]
    """By which CUDA_VISIBLE_DEVICES may list it; a uuid also by its beginning."""
    memory_gib: float


def look_at_machine(environment: Mapping[str, str] = os.environ, torch_version: str | None = None) -> Machine:
    """Return what this machine has for jobs of this process. GPUs that torch cannot use, or that CUDA_VISIBLE_DEVICES
    hides, do not count; of GPUs that MIG cuts into parts one part does, since no process can use two.

    torch_version: by default that of the package that is installed.
    """
    cores, memory = len(os.sched_getaffinity(0)), _memory_gib()
    whole, parts, unanswered = _devices()
    if unanswered:
        return Machine(cores, memory, remark=unanswered)
    devices = _visible(parts or whole, environment.get(VISIBLE))
    version = _torch_version() if torch_version is None else torch_version
    if devices and version.endswith("+cpu"):
        return Machine(cores, memory, remark=f"there are GPUs, but torch {version} cannot use them")
    if not devices and (parts or whole):
        return Machine(cores, memory, remark=f"{VISIBLE} hides all")
    memories = tuple(device.memory_gib for device in devices)
    if parts and memories:
        return Machine(cores, memory, (min(memories),), remark="of GPUs cut by MIG a job uses one part")
    return Machine(cores, memory, memories)


def left_out(given: HardwareSettings) -> list[str]:
    """Return the keys that the configuration leaves to the machine. null counts as given; without GPUs nothing is asked
    about them."""
    without_gpus = "gpus_per_node" in given.model_fields_set and not given.gpus_per_node
    keys = ["node_memory_gib"] if without_gpus else ["gpus_per_node", "gpu_memory_gib", "node_memory_gib"]
    return [key for key in keys if key not in given.model_fields_set]


def with_detected(given: HardwareSettings, machine: Machine) -> HardwareSettings:
    """Return the settings with what this machine has under the keys that were left out, and what follows from it."""
    default = HardwareSettings()
    gpus = len(machine.gpus_gib)
    found = {
        "gpus_per_node": gpus,
        "gpu_memory_gib": round(min(machine.gpus_gib, default=default.gpu_memory_gib), 1),
        "node_memory_gib": round(machine.memory_gib, 1),
    }
    found = {key: found[key] for key in left_out(given)}
    if "gpus_per_node" in found:
        found["cpus_per_gpu"] = max(1, min(default.cpus_per_gpu, machine.cores // max(gpus, 1)))
    if "node_memory_gib" in found:
        # A default made for large models must not take a small machine for too small.
        found["program_memory_gib"] = min(default.program_memory_gib, round(machine.memory_gib / 4, 1))
    kept = given.model_fields_set
    return given.model_copy(update={key: value for key, value in found.items() if key not in kept})


def told(given: HardwareSettings, machine: Machine) -> str:
    """Return the line that tells what was found here, and which keys override it."""
    keys = left_out(given)
    memories = machine.gpus_gib
    found = []
    if "gpus_per_node" in keys or "gpu_memory_gib" in keys:
        count = f"{len(memories)} GPU{'s' * (len(memories) > 1)} of {min(memories):.1f} GiB" if memories else "no GPU"
        found.append(f"{count} ({machine.remark})" if machine.remark else count)
    if "node_memory_gib" in keys:
        found.append(f"{machine.memory_gib:.1f} GiB of memory")
    return f"This machine: {', '.join([*found, f'{machine.cores} cores'])}. Override by {listed_keys(keys)}."


def listed_keys(keys: Sequence[str]) -> str:
    """Return keys of `hardware` as they are written in the configuration."""
    return f"hardware: {{{', '.join(f'{key}: …' for key in keys)}}}"


def told_elsewhere(given: HardwareSettings) -> str | None:
    """Return the line about jobs that run on other machines than this one, whose GPUs are not configured."""
    if "gpus_per_node" in given.model_fields_set:
        return None
    return (
        "Jobs run on other machines than this one, and are planned without GPUs; say what a node has: "
        f"{listed_keys(left_out(given))}."
    )


def _devices() -> tuple[list[Device], list[Device], str]:
    """Return the GPUs that are not cut into parts, the parts of the others, and what nvidia-smi failed with."""
    try:
        rows = [row.split(", ") for row in _output(QUERY).splitlines() if row.strip()]
        whole = [Device((row[0], row[1]), float(row[2]) / 1024) for row in rows if row[3] != "Enabled"]
        cut = len(rows) > len(whole)
        instances = INSTANCE.findall(_output(["nvidia-smi", "-L"])) if cut else []
        parts = [Device((str(n), name), PART * float(size)) for n, (size, name) in enumerate(instances)]
    except FileNotFoundError:
        return [], [], ""
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return [], [], "nvidia-smi gives no answer that can be read"
    return whole, parts, ""


def _output(command: list[str]) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS_FOR_DRIVER)
    return run.stdout


def _visible(devices: list[Device], listed: str | None) -> list[Device]:
    """Return the devices that CUDA_VISIBLE_DEVICES lists, up to the first that there is not, as CUDA reads it."""
    if listed is None:
        return devices
    found: list[Device] = []
    for name in (part.strip() for part in listed.split(",")):
        match = next((d for d in devices if name in d.names or (len(name) > 4 and d.names[-1].startswith(name))), None)
        if match is None:
            break
        found.append(match)
    return found


def _memory_gib() -> float:
    """Main memory of this machine, or of the container that this process runs in."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in map(Path, MEMORY_LIMITS):
        text = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        total = min(total, int(text)) if text.isdigit() else total
    return total / 2**30


def _torch_version() -> str:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:  # jobs bring their own, by conda
        return ""
