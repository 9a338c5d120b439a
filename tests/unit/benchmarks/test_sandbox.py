"""Every way out of the sandbox is closed: what tries one fails, leaves nothing behind, and harms nobody."""

import functools
import os
import resource
import socket
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import pytest

from isheep.benchmarks import sandbox as module
from isheep.benchmarks.sandbox import Apptainer, Limits, find_sandbox
from isheep.files.records import InputError

LIMITS = Limits(cpu_seconds=1, memory_mib=256, wall_seconds=4)
SECRET = "a-secret-of-ours"


@pytest.fixture
def remaining(monkeypatch):
    """A function that lists the processes which the test's programs have left (or are still running)."""
    mark = uuid.uuid4().hex
    monkeypatch.setitem(module.ENVIRONMENT, "MARK", mark)

    def list_processes() -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark.encode() in (process / "environ").read_bytes():
                    found.append(process.name)
            except OSError:
                continue
        return found

    return list_processes


def attempt(sandbox, remaining, program: str, limits: Limits = LIMITS) -> str:
    """The result of a program that passes only if it gets out, after checking that it did no harm."""
    result = sandbox.run(program, limits)
    assert remaining() == []
    assert result.startswith(("failed: ", "timed out")), f"it got out: {program}"
    assert sandbox.run("assert sum(range(10)) == 45", LIMITS) == "passed"
    return result


def test_a_program_passes_only_by_reaching_its_end(sandbox):
    assert sandbox.run("import json, math, re, heapq, collections\nassert math.gcd(4, 6) == 2", LIMITS) == "passed"
    assert sandbox.run("assert 1 == 2, 'they differ'", LIMITS) == "failed: AssertionError: they differ"
    assert sandbox.run("def f(:", LIMITS).startswith("failed: SyntaxError")
    assert sandbox.run("def f(n): return f(n + 1)\nf(0)", LIMITS).startswith("failed: RecursionError")
    assert sandbox.run("import sys; sys.exit(0)", LIMITS).startswith("failed: SystemExit")
    assert sandbox.run("import os; os._exit(0)", LIMITS) == "failed: ended by itself with exit status 0"
    assert sandbox.run("print('\"passed\"'); raise ValueError", LIMITS) == "failed: ValueError"
    assert sandbox.run("assert input() is None", LIMITS).startswith("failed: EOFError")


def test_order_of_sets_is_the_same_in_every_run(sandbox):
    order = "assert False, list({'some', 'words', 'in', 'a', 'set', 'of', 'texts'})"
    assert sandbox.run(order, LIMITS) == sandbox.run(order, LIMITS)


def test_numpy_can_be_imported_and_other_packages_cannot(sandbox):
    pytest.importorskip("numpy")
    assert sandbox.run("import numpy\nassert numpy.ones((9, 9)).dot(numpy.ones(9)).sum() == 81", LIMITS) == "passed"
    assert sandbox.can_import("numpy")
    assert not sandbox.can_import("pytest")


def test_no_secret_is_in_the_environment(sandbox, remaining, monkeypatch):
    monkeypatch.setenv("ISHEEP_SECRET", SECRET)
    attempt(sandbox, remaining, "import os; assert 'ISHEEP_SECRET' in os.environ")
    search = """
import glob
texts = [open(path, 'rb').read() for path in glob.glob('/proc/*/environ')]
assert any(b'SECRET' in text for text in texts)
"""
    attempt(sandbox, remaining, search)


def test_no_file_of_home_or_project_can_be_read(sandbox, remaining):
    with tempfile.NamedTemporaryFile("w", dir=Path.home()) as at_home:
        at_home.write(SECRET)
        at_home.flush()
        for path in (at_home.name, __file__, module.__file__, "/etc/passwd"):
            assert Path(path).exists()
            assert attempt(sandbox, remaining, f"open({path!r})").startswith("failed: FileNotFoundError")


@pytest.mark.parametrize(
    "folder", ["/", "/etc", "/usr", "/usr/lib", "/dev", "/dev/shm", "/home", "/var/tmp", os.getcwd(), os.__file__]
)
def test_nothing_outside_can_be_written(sandbox, remaining, folder):
    path = Path(folder if Path(folder).is_dir() else Path(folder).parent) / f"written-{uuid.uuid4().hex}"
    # In a sandbox /tmp is its own, so a project that lies there may seem to be written.
    run = sandbox.run if path.is_relative_to("/tmp") else functools.partial(attempt, sandbox, remaining)
    run(f"open({str(path)!r}, 'w').write('x')", LIMITS)
    run(f"import os; os.makedirs({str(path)!r})", LIMITS)
    assert not path.exists()


def test_system_settings_and_devices_cannot_be_changed(sandbox, remaining):
    for path in ("/proc/sys/vm/swappiness", "/proc/sys/kernel/hostname", "/proc/self/oom_score_adj"):
        attempt(sandbox, remaining, f"open({path!r}, 'w').write(open({path!r}).read())")
    attempt(sandbox, remaining, "import os; os.chmod('/dev/null', 0o666)")
    attempt(sandbox, remaining, "import os; os.setxattr('/dev/null', 'user.x', b'x')")
    attempt(sandbox, remaining, "import socket; socket.sethostname('x')")


def test_temporary_files_are_private_and_gone_afterwards(sandbox):
    name = f"/tmp/{uuid.uuid4().hex}"
    assert sandbox.run(f"open({name!r}, 'w').write('x')\nassert open({name!r}).read() == 'x'", LIMITS) == "passed"
    assert not Path(name).exists()
    assert sandbox.run(f"open({name!r})", LIMITS).startswith("failed: FileNotFoundError")


def test_no_connection_leaves_the_sandbox(sandbox, remaining):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = server.getsockname()
        attempt(sandbox, remaining, f"import socket; socket.create_connection({address!r}, 2)")
        attempt(sandbox, remaining, f"import urllib.request as u; u.urlopen('http://{address[0]}:{address[1]}')")
        with pytest.raises(BlockingIOError):
            server.accept()
    # The network is gone by itself too, whatever system calls are refused.
    devices = "[line.split(':')[0].strip() for line in open('/proc/net/dev').read().splitlines()[2:]]"
    assert sandbox.run(f"assert {devices} in ([], ['lo'])", LIMITS) == "passed"


@pytest.mark.parametrize(
    "program",
    [
        "import os\nwhile True: os.fork()",
        "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
        "import subprocess; subprocess.run(['/usr/bin/env'])",
        "import threading\nwhile True: threading.Thread(target=print).start()",
        "import multiprocessing as m; m.get_context('fork').Process(target=print).start()",
        # The raw system calls, 56 clone, 57 fork, 58 vfork, 435 clone3 (x86_64) or 220 clone (aarch64).
        "import ctypes\nassert any(ctypes.CDLL(None).syscall(n, 17, 0, 0, 0, 0) >= 0 for n in (56, 57, 58, 220, 435))",
    ],
)
@pytest.mark.usefixtures("remaining")
def test_no_process_can_be_started(sandbox, remaining, program):
    """As root too, whose processes no resource limit counts."""
    most, done = 0, threading.Event()

    def count() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, len(remaining()))

    counter = threading.Thread(target=count)
    counter.start()
    try:
        result = sandbox.run(program, LIMITS)
    finally:
        done.set()
        counter.join()
    assert result.startswith(("failed: ", "timed out"))
    assert most <= 3, "bwrap outside, bwrap inside, and the one program"
    assert remaining() == []


def test_a_daemon_cannot_stay(sandbox, remaining):
    daemon = "import os, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(60)\nos._exit(0)"
    attempt(sandbox, remaining, daemon)
    attempt(sandbox, remaining, "import os; os.execv('/usr/bin/sleep', ['sleep', '60'])")
    assert attempt(sandbox, remaining, "import os, time; os.closerange(0, 99); time.sleep(60)") == "timed out"


def test_memory_is_limited(sandbox, remaining):
    assert attempt(sandbox, remaining, "x = bytearray(300 << 20)") == "failed: MemoryError"
    assert attempt(sandbox, remaining, "x = []\nwhile True: x.append(bytes(1 << 20))") == "failed: MemoryError"
    attempt(sandbox, remaining, "import os\nfor n in range(50): os.write(os.memfd_create(str(n)), bytes(10 << 20))")


def test_disk_is_limited(sandbox, remaining):
    attempt(sandbox, remaining, "open('/tmp/x', 'wb').write(bytes(30 << 20))")
    attempt(sandbox, remaining, "for n in range(99): open(f'/tmp/{n}', 'wb').write(bytes(1 << 20))")


def test_a_flood_of_output_is_thrown_away(sandbox, remaining):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert attempt(sandbox, remaining, "while True: print('x' * 100000)") == "timed out"
    everywhere = """
import os
for _ in range(10**9):
    for fd in range(20):
        try: os.write(fd, b'x' * 1000000)
        except OSError: pass
"""
    assert attempt(sandbox, remaining, everywhere) == "timed out"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "less than 64 MiB were kept"


def test_time_is_limited(sandbox, remaining):
    assert attempt(sandbox, remaining, "while True: pass") == "timed out"
    assert attempt(sandbox, remaining, "import time; time.sleep(60)") == "timed out"
    ignores = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    attempt(sandbox, remaining, ignores)


def test_nobody_outside_can_be_killed(sandbox, remaining):
    attempt(sandbox, remaining, f"import os; os.kill({os.getpid()}, 9)")
    attempt(sandbox, remaining, f"import os; os.kill({os.getppid()}, 9)")
    attempt(sandbox, remaining, "import os; os.kill(os.getppid(), 9); os.kill(-1, 9); os.abort()")


def test_a_running_program_is_seen_and_dies_with_whoever_waits_for_it(sandbox, remaining):
    """What the other tests rely on to say that nothing is left; and a killed job leaves nothing either."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(module.__file__).parents[2])!r})\n"
        "from isheep.benchmarks import sandbox as s\n"
        f"s.ENVIRONMENT['MARK'] = {module.ENVIRONMENT['MARK']!r}\n"
        "s.find_sandbox().run('import time; time.sleep(600)', s.Limits(60, 256))"
    )
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    wait_until(lambda: len(remaining()) == 3)
    os.kill(child, 9)
    os.waitpid(child, 0)
    wait_until(lambda: remaining() == [])


def wait_until(holds) -> None:
    """Fail if it does not come to hold in a minute."""
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it never came to hold")


def fake(folder: Path, name: str, script: str) -> None:
    """A program of that name, all that PATH then has."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_without_a_sandbox_nothing_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="none was found: install bubblewrap"):
        find_sandbox()
    fake(tmp_path, "apptainer", "exit 0")
    with pytest.raises(InputError, match="and give the benchmark an image"):
        find_sandbox()
    with pytest.raises(InputError, match=r"missing\.sif does not exist"):
        find_sandbox("missing.sif")


def test_a_sandbox_that_does_not_work_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    fake(tmp_path, "bwrap", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    with pytest.raises(
        InputError, match=r"could not start a program: bwrap: No permissions.*install bubblewrap 0\.8 or later"
    ):
        find_sandbox()
    fake(tmp_path, "bwrap", 'while [ "$1" != --chdir ]; do shift; done; shift 2; exec "$@"')
    with pytest.raises(InputError, match="does not confine here"):
        find_sandbox()


def test_a_report_that_a_flood_cuts_short_is_no_error_of_ours(sandbox):
    """Descriptor 3 is where reports go; what is kept of it ends before, within or behind the last one."""
    for kept in (-40, 0, 10, 900):
        flood = f"import os\nos.write(3, b'x' * ({module.OUTPUT_BYTES - kept} - 60) + b'\\n')"
        result = sandbox.run(flood, LIMITS)
        assert result in ("passed", "failed: ended by itself with exit status 0")
        assert (result == "passed") == (kept == 900)


def test_an_unknown_machine_is_refused_before_a_sandbox_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="only on x86_64 and aarch64, not on pdp11"):
        find_sandbox()


def test_apptainer_is_asked_to_confine(monkeypatch):
    monkeypatch.setenv("APPTAINERENV_SECRET", SECRET)
    confined = Apptainer("/usr/bin/apptainer", "/images/python.sif")
    command = confined.command()
    assert {"--containall", "--cleanenv", "--no-home", "--no-privs", "--net"} <= set(command)
    assert command[command.index("--network") + 1] == "none"
    assert command[-2:] == ["/images/python.sif", "python3"]
    assert SECRET not in confined.environment().values()
