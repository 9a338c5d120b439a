"""What a run says that ends badly: one sentence, last, and where to read more."""

import os
import signal
import subprocess
import sys
import time

import pytest

from isheep import INTERRUPTED
from workspace import Workspace

pytestmark = pytest.mark.end_to_end

WEIGHTS = "results/demo/demo/weights"
LOG = "results/demo/demo/logs/weights.log"
PROGRAM = "scripts/provide_base.py"
WAITING = """
import time
from isheep import cli
import provided

def main(arguments):
    open("started", "w").close()
    time.sleep(60)

if __name__ == "__main__":
    cli.run(main, provided.parser)
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("failing"))


def last_lines(workspace, program: str) -> list[str]:
    """What is said on standard error by a run whose first program is replaced by this one."""
    path = workspace.folder / PROGRAM
    written = path.read_text()
    path.write_text(program)
    run = workspace.snakemake(WEIGHTS, check=False)
    path.write_text(written)
    assert run.returncode == 1
    assert run.stdout == ""
    return run.stderr.splitlines()


def test_a_failed_job_ends_the_run_with_its_sentence_once_and_its_log(workspace):
    said = last_lines(
        workspace, "import sys\nprint('noise', file=sys.stderr)\nsys.exit('Error: no such model; buy one.')"
    )
    assert said[-1] == f"Error: no such model; buy one. Log: {LOG}"
    assert sum("no such model" in line for line in said) == 1
    assert sum(line.startswith("Failed: job 0, rule demo_model_shipped") for line in said) == 1
    assert not any("set -euo" in line or "noise" in line or "--output=" in line for line in said)
    newest = max((workspace.folder / ".snakemake/log").iterdir())
    whole = newest.read_text()
    assert "--output=results/demo/demo/weights" in whole
    assert "noise" in whole


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("{}['x']", "Error: rule demo_model_shipped: KeyError: 'x'"),
        ("import sys\nsys.exit('Error: ours.\\nTraceback\\nValueError: theirs')", "Error: ours."),
        ("import os\nprint('at work', file=__import__('sys').stderr, flush=True)\nos.kill(os.getpid(), 9)", "at work"),
        ("import os\nos.kill(os.getpid(), 9)", "its log is empty"),
        ("import os\nos._exit(3)", "the program ended without a reason; its log is empty"),
    ],
)
def test_the_reason_of_any_failure_is_found(workspace, program, sentence):
    last = last_lines(workspace, program)[-1]
    assert sentence in last
    assert last.startswith("Error: ")
    assert last.endswith(f"Log: {LOG}")


@pytest.mark.parametrize(
    ("number", "said", "unsaid"),
    [
        (signal.SIGKILL, "was killed (SIGKILL), by the system if its memory was short", "SIGTERM"),
        (signal.SIGTERM, "was told to end (SIGTERM), by a person or another program", "memory"),
        (signal.SIGSEGV, "was ended by SIGSEGV;", "memory"),
    ],
)
def test_what_ended_a_program_is_told_apart(workspace, number, said, unsaid):
    """Also where an error that did not end it stands in its log."""
    program = f"import os, sys\nprint('ValueError: met and mended', file=sys.stderr)\nos.kill(os.getpid(), {number})"
    last = last_lines(workspace, program)[-1]
    assert last.startswith("Error: rule demo_model_shipped: the program ")
    assert said in last
    assert unsaid not in last


def test_an_interrupted_run_ends_with_one_line(workspace):
    path = workspace.folder / PROGRAM
    written = path.read_text()
    (path.with_name("provided.py")).write_text(written)
    path.write_text(WAITING)
    run = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", WEIGHTS],
        cwd=workspace.folder,
        env=workspace.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (workspace.folder / "started").exists():
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    _, said = run.communicate()
    path.write_text(written)
    assert run.returncode != 0
    assert said.splitlines()[-1] == INTERRUPTED
    assert said.count(INTERRUPTED) == 1
    assert "Traceback" not in said
    assert (workspace.folder / LOG).read_text() == f"{INTERRUPTED}\n"
