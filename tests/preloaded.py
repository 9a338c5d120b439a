"""A Python that has the large libraries imported already, for runs of many short jobs.

Importing torch takes most of a small job's time. With the path that `preloaded` yields, `python` asks this one to fork:
the same program runs in the job's folder, with its environment, streams and exit status, and ends where the job is
killed. Programs that must not find libraries imported start as ever.
"""

import array
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = (
    *("numpy", "pandas", "pyarrow", "pydantic", "scipy.stats", "sklearn.metrics", "torch", "transformers", "peft"),
    *("transformers.models.auto", "transformers.generation"),
    *("transformers.models.qwen2.modeling_qwen2", "transformers.models.llama.modeling_llama"),
)
"""What no program configures by its environment before it imports it."""
CONFIGURED_BEFORE = {"datasets", "nltk", "lm_eval"}
"""Libraries whose folders a program names before it imports them."""
STARTS_AS_EVER = ("launch_training.py", "fetch_hub.py", "run_programs.py")
"""Programs that become another one, that take the hub's address from the environment, and that fork sandboxes."""
STREAMS = (0, 1, 2)


@contextmanager
def preloaded(environment: dict[str, str]) -> Iterator[str]:
    """Start the server in this environment, and yield a PATH whose `python` asks it; end it with the block."""
    with tempfile.TemporaryDirectory() as folder:
        address, client = Path(folder, "socket"), Path(folder, "python")
        client.write_text(f"#!{sys.executable} -SsE\n{CLIENT.format(python=sys.executable, address=str(address))}")
        client.chmod(0o755)
        server = subprocess.Popen([sys.executable, __file__, str(address)], env=environment, cwd=folder)
        try:
            while not address.exists():
                if server.poll() is not None:
                    sys.exit("the preloaded Python did not start")
                time.sleep(0.1)
            yield f"{folder}{os.pathsep}{environment['PATH']}"
        finally:
            server.terminate()
            server.wait()


CLIENT = f"""import json, os, socket, sys
program = sys.argv[1] if len(sys.argv) > 1 else ""
if not program.startswith("scripts/") or os.path.basename(program) in {STARTS_AS_EVER}:
    os.execv({{python!r}}, [{{python!r}}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({{address!r}})
job = dict(command=sys.argv[1:], folder=os.getcwd(), environment=dict(os.environ))
socket.send_fds(server, [json.dumps(job).encode() + b"\\n"], [0, 1, 2])
status = server.recv(8)
sys.exit(int(status) if status else "the preloaded Python ended")
"""


def serve(address: str) -> None:
    """Import the libraries, then fork a watcher for each job that asks."""
    for library in LIBRARIES:
        __import__(library)
    if threading.active_count() > 1 or CONFIGURED_BEFORE & sys.modules.keys():
        sys.exit(f"what was imported cannot be shared: it started threads, or imported one of {CONFIGURED_BEFORE}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        while True:
            asking, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                watch(asking)
            asking.close()


def watch(asking: socket.socket) -> None:
    """Fork the job, tell its exit status, and kill it where who asked is gone."""
    message, streams, _, _ = socket.recv_fds(asking, 1 << 20, len(STREAMS))
    while not message.endswith(b"\n"):
        message += asking.recv(1 << 20)
    child = os.fork()
    if child == 0:
        asking.close()
        os._exit(run(json.loads(message), streams))
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, asking], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if ended in ready:
        asking.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def run(job: dict, streams: array.array | list[int]) -> int:
    """Be the program, as `python <program>` is; return its exit status."""
    for ours, theirs in zip(STREAMS, streams, strict=True):
        os.dup2(theirs, ours)
        os.close(theirs)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv = job["command"]
    sys.path[0] = str(Path(sys.argv[0]).absolute().parent)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code
        if not isinstance(status, int | None):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status or 0


if __name__ == "__main__":
    serve(sys.argv[1])
