"""What a run says before its first job, and what it refuses then."""

import json

import yaml

from workspace import Workspace

PROGRAMS = {
    "experiment": {"name": "programs", "recipes": [], "benchmarks": ["code"]},
    "benchmarks": {"code": {"kind": "programs", "format": "mbpp", "problems": "mbpp.jsonl"}},
    "tables": {"main": {"columns": [{"benchmark": "code", "metric": "pass@1", "label": "programs"}]}},
    "figures": {"figure_3": None},
}
PROBLEM = {"task_id": 11, "text": "Return 1.", "code": "def f(): return 1", "test_list": ["assert f() == 1"]}


def test_a_dry_run_names_each_benchmark_and_its_judge_once(tmp_path):
    workspace = Workspace(tmp_path)
    told = [line for line in workspace.snakemake("-n").stderr.splitlines() if line.startswith("To measure")]
    assert [line.split()[2] for line in told] == ["ifeval", "ifeval_clean", "choice", "alpaca_eval", "mt_bench"]
    assert told[4].endswith(
        "(mt_bench), 5 results; the judge demo (the model demo_judge) is asked 1,200 times at most, which costs "
        "nothing but time."
    )
    told = workspace.snakemake("-n", "results/demo/demo/weights").stderr
    assert "To measure" not in told, "only what the targets need"


def test_without_a_sandbox_a_run_with_programs_ends_before_its_first_job(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path / "there", "config/config.yaml", "programs.yaml")
    (workspace.folder / "programs.yaml").write_text(yaml.safe_dump(PROGRAMS))
    (workspace.folder / "mbpp.jsonl").write_text(json.dumps(PROBLEM) + "\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bwrap").write_text("#!/bin/sh\necho no user namespaces here >&2\nexit 1\n")
    (tmp_path / "bin/bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    run = workspace.snakemake(check=False)
    assert run.returncode == 1
    assert "To measure: code (programs), 1 result.\nError: benchmarks.code: programs that a model wrote" in run.stderr
    assert not (workspace.folder / "results/programs/demo").exists()
    assert "On this machine a run would end before its first job: benchmarks.code" in workspace.snakemake("-n").stderr
