"""A run of the workflow that is killed: the next one finishes, and nothing that was written is paid for again."""

import re
import signal
import subprocess
import sys
import time

import pytest

from isheep.files.records import read_jsonl, unfinished_folder
from workspace import Workspace

pytestmark = pytest.mark.end_to_end

PROMPTS = 40
TINY = f"""
experiment: {{name: tiny, recipes: [one_base], iterations: 1}}
runtime: {{batch_size: 2}}
instructions: {{shard_size: 40, prompts_per_shard: {PROMPTS}}}
recipes: {{one_base: {{instructions: 40}}}}
"""
SHARD = "results/tiny/demo/seed1/base/continuations/shard0.jsonl"


def test_a_job_that_outlives_its_run_is_waited_for_and_not_repeated(tmp_path):
    workspace = Workspace(tmp_path, "config/config.yaml", "tiny.yaml")
    (tmp_path / "tiny.yaml").write_text(TINY)
    journal = unfinished_folder(tmp_path / SHARD) / "completions.jsonl"
    run = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", SHARD, "--configfile", *workspace.configfiles],
        cwd=tmp_path,
        env=workspace.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert run.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    run.send_signal(signal.SIGSTOP)  # so that it cannot end before another start has met it
    refused = workspace.snakemake(SHARD, check=False)
    assert refused.returncode == 1
    assert "Directory cannot be locked" in refused.stderr
    assert f"Locks are held by process {run.pid} on " in refused.stderr
    run.kill()  # the workflow alone: its job goes on
    run.wait()
    again = workspace.snakemake(SHARD)
    assert again.stderr.count(f"The locks of a run that was killed are removed (process {run.pid} on ") == 1
    log = (tmp_path / "results/tiny/demo/seed1/base/logs/continuations.shard0.log").read_text(errors="replace")
    assert re.findall(r"journal: (\d+) to write, (\d+) reused", log) == [("0", str(PROMPTS))]
    assert workspace.jobs(SHARD) == {}
    assert [path.name for path in (tmp_path / SHARD).parent.iterdir()] == ["shard0.jsonl"]


def test_more_instructions_are_written_and_answered_beside_those_that_are_there(tmp_path):
    workspace = Workspace(tmp_path, "config/config.yaml", "tiny.yaml")
    home = tmp_path / "results/tiny/demo/seed1/base"
    answered = []
    for count in (10, 15):
        (tmp_path / "tiny.yaml").write_text(TINY.replace("instructions: 40", f"instructions: {count}"))
        workspace.snakemake("results/tiny/demo/seed1/base/responses/shard0.jsonl")
        answered.append(read_jsonl(home / "responses/shard0.jsonl"))
        assert len(answered[-1]) == count, "though a shard may hold 40"
    assert answered[1][:10] == answered[0]
    log = (home / "logs/responses.shard0.log").read_text(errors="replace")
    assert re.findall(r"journal: (\d+) to write, (\d+) reused", log) == [("5", "10")]
    log = (home / "logs/continuations.shard0.log").read_text(errors="replace")
    assert re.findall(r"journal: (\d+) to write, (\d+) reused", log) == [("5", "10")]
    assert [path.name for path in (home / "responses").iterdir()] == ["shard0.jsonl"]
    assert workspace.jobs("results/tiny/demo/seed1/base/responses/shard0.jsonl") == {}
    bound = "filters: {near_duplicate_threshold: 0.8}, max_prompts_per_shard: 99, prompts_per_shard"
    (tmp_path / "tiny.yaml").write_text((tmp_path / "tiny.yaml").read_text().replace("prompts_per_shard", bound))
    assert workspace.jobs(SHARD) == {}, "how long a shard is refilled changes no instruction"
