"""Every stage runs with the packages of its own environment and no others, and finds what it finds with all of them.

Snakemake builds the environments itself, by the stand-in for conda in bin/: a few GB and some minutes, once for each
content of an environment file. `make test-environments` says where.
"""

import hashlib
import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from workspace import ROOT, Workspace

HERE = Path(__file__).parent
FOLDER = os.environ.get("ISHEEP_ENVIRONMENTS")

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not FOLDER, reason="ISHEEP_ENVIRONMENTS is not set; make test-environments sets it"),
]

PROBLEM = json.dumps(
    {"task_id": 1, "text": "Double a number.", "code": "def f(x): return 2 * x", "test_list": ["assert f(1) == 2"]}
)
PRINTED = "row,PS\nbase,10.0\niter1,20.0\n"
REMARKS = "table,row,column,comparable,remark\n"
MERGED = "results/stages/demo/seed1/adapter/iter1/weights"
"""What the tables do not need."""

NOT_RUN = {
    "base_from_hub": ("transformers", "provide_base"),
    "demo_base_built": ("transformers", "provide_base"),
    "demo_base_trained": ("training", "train_demo_base"),
    "demo_world": ("transformers", "build_demo_world"),
    "fetch_hub": ("transformers", "fetch_hub"),
    "measure_published": ("transformers", "measure"),
    "take_alpaca_eval_outputs": ("transformers", "answer_alpaca_eval"),
    "take_mt_bench_answers": ("transformers", "answer_mt_bench"),
    "take_programs": ("transformers", "write_programs"),
}
"""Rules that need a network, published files or half an hour: their environments and programs."""
TARGETS = {"all", "prefetch", "tables", "figures", "report"}
"""Rules that only ask for others."""


def write_workspace(folder: Path) -> Workspace:
    """A workspace that runs every stage once; it fetches a file from a mirror, and has a printed table."""
    workspace = Workspace(folder, "config/config.yaml", "every_stage.yaml")
    source = {
        "mirror": "problem",
        "sha256": hashlib.sha256(PROBLEM.encode()).hexdigest(),
        "bytes": len(PROBLEM),
        "licence": "none",
    }
    files = {
        "every_stage.yaml": (HERE / "every_stage.yaml").read_text(),
        "problem": PROBLEM,
        "printed.csv": PRINTED,
        "remarks.csv": REMARKS,
        "sources.yaml": yaml.safe_dump({"files": {"problem.jsonl": source}}),
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    return workspace


def run(workspace: Workspace, *arguments: str) -> str:
    """Make the tables and figures, then what they do not need; return what Snakemake says."""
    runs = [workspace.snakemake(*arguments, target) for target in ("all", MERGED)]
    return "".join(run.stdout + run.stderr for run in runs)


@pytest.fixture(scope="module")
def separate(tmp_path_factory) -> tuple[Workspace, str]:
    """A workspace that has run with each rule's environment, and what Snakemake said."""
    workspace = write_workspace(tmp_path_factory.mktemp("separate"))
    deployment = ["--software-deployment-method", "conda", "--conda-prefix", str(Path(FOLDER).resolve())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(HERE / "bin"), prepend=os.pathsep)
        return workspace, run(workspace, *deployment)


def jobs_of(said: str) -> Counter[str]:
    """How many jobs of each rule the runs announced."""
    jobs = Counter()
    for rule, count in re.findall(r"^(\w+) +(\d+)$", said, flags=re.MULTILINE):
        jobs[rule] += int(count)
    del jobs["total"], jobs["all"]
    return jobs


def test_every_rule_runs_in_its_environment(separate):
    workspace, said = separate
    jobs = jobs_of(said)
    rules = set(re.findall(r"^\w+", workspace.snakemake("--list-rules", "--quiet", "all").stdout, flags=re.MULTILINE))
    assert rules - set(jobs) == TARGETS | set(NOT_RUN)
    activated = re.findall(r"^Activating conda environment: (\S+)$", said, flags=re.MULTILINE)
    assert len(activated) == jobs.total()
    assert {environment(path.stem) for path in (ROOT / "envs").glob("*.yaml") if path.stem != "vllm"} == {
        (workspace.folder / path).resolve() for path in activated
    }


def test_the_tables_are_those_of_one_environment(separate, tmp_path):
    workspace = write_workspace(tmp_path)
    run(workspace)
    tables = [path.relative_to(tmp_path) for path in (tmp_path / "results/stages/tables").rglob("*.csv")]
    assert len(tables) > 5
    for table in tables:
        assert (separate[0].folder / table).read_text() == (tmp_path / table).read_text(), table


@pytest.mark.parametrize("rule", NOT_RUN)
def test_other_programs_start_in_their_environment(separate, rule):
    name, program = NOT_RUN[rule]
    command = [environment(name) / "bin/python", ROOT / "scripts" / f"{program}.py", "--help"]
    started = subprocess.run(command, capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr


def environment(name: str) -> Path:
    """The folder that Snakemake has built from envs/<name>.yaml; it keeps a copy of the file beside it."""
    wanted = (ROOT / "envs" / f"{name}.yaml").read_text()
    [copy] = [path for path in Path(FOLDER).resolve().glob("*.yaml") if path.read_text() == wanted]
    return copy.with_suffix("")
