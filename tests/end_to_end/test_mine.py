"""A model of one's own in ten lines: config/mine.yaml is run as it is shipped, on a local folder."""

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

MINE, SMALL = "config/mine.yaml", Path(__file__).parent / "mine_small.yaml"
TEMPLATE = "# chat_template: config/chat_templates/chatml.jinja"
"""The line of config/mine.yaml that the example's model needs."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GPU = "0, GPU-aaaa1111, 81920, Disabled"
SLURM = ROOT / ".venv-slurm/bin/python"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """The shipped configuration with a base model of a million parameters, which has no chat template, in its place."""
    workspace = Workspace(tmp_path_factory.mktemp("mine"), MINE, "mine_small.yaml")
    shutil.copy(SMALL, workspace.folder)
    shutil.copytree(ROOT / "tests/paper_small/model", workspace.folder / "models/mine")
    return workspace


@pytest.fixture(scope="module")
def chatting(workspace) -> Workspace:
    """It with the line that the message asks for."""
    file = workspace.folder / MINE
    text = file.read_text()
    assert TEMPLATE in text
    file.write_text(text.replace(TEMPLATE, TEMPLATE.removeprefix("# ")))
    return workspace


@pytest.fixture
def gpu(tmp_path, monkeypatch) -> Path:
    """A machine with a GPU, and a torch that could use it; the file that is there once nvidia-smi was asked."""
    program, package, asked = tmp_path / "bin/nvidia-smi", tmp_path / "torch-9.dist-info", tmp_path / "asked"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {asked}\necho '{GPU}'\n")
    program.chmod(0o755)
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9\n")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return asked


@contextmanager
def on_top(workspace: Workspace, text: str) -> Iterator[None]:
    """Put keys on top of the configuration, for the length of a block."""
    (workspace.folder / "more.yaml").write_text(text)
    workspace.configfiles.append("more.yaml")
    yield
    workspace.configfiles.pop()


def complaint(workspace: Workspace) -> str:
    run = workspace.snakemake(check=False)
    assert run.returncode == 1, run.stdout
    [line] = [line for line in run.stderr.splitlines() if line.startswith("Error: ")]
    return line


def test_a_missing_chat_template_is_told_before_any_job(workspace):
    line = complaint(workspace)
    assert "models.mine: the tokenizer of models/mine has no chat template" in line
    assert "write `chat_template: config/chat_templates/chatml.jinja` below models.mine in" in line
    assert not (workspace.folder / "results").exists()


@pytest.mark.parametrize(("keys", "flag"), [("", "--chats-as=mine "), ("experiment: {recipes: []}", "--chats-as= ")])
def test_of_a_model_to_fetch_the_job_that_takes_it_over_asks_for_a_template_if_it_is_trained(workspace, keys, flag):
    with on_top(workspace, f"models: {{mine: {{source: hub, path: null, repository: owner/name}}}}\n{keys}"):
        plan = workspace.snakemake("-n", "--printshellcmds", "results/mine/mine/weights").stdout
    assert flag in plan


def test_that_of_a_fetched_model_is_told_too(workspace):
    home = workspace.folder / "results/fetched/hub/models--owner--name"
    shutil.copytree(ROOT / "tests/paper_small/model", home / "snapshots" / COMMIT)
    (home / "refs").mkdir()
    (home / "refs/main").write_text(COMMIT)
    with on_top(workspace, "models: {mine: {source: hub, path: null, repository: owner/name}}"):
        line = complaint(workspace)
    shutil.rmtree(workspace.folder / "results")
    assert f"models.mine: the tokenizer of results/fetched/hub/models--owner--name/snapshots/{COMMIT} has no" in line


def test_ten_lines_run_to_a_table_and_a_curve(chatting, preloaded_path):
    chatting.variables["PATH"] = preloaded_path
    said = chatting.snakemake().stderr
    chatting.variables.clear()
    assert "This machine: " in said
    results = chatting.folder / "results/mine"
    for iteration in (1, 2):
        assert (results / f"mine/seed1/one_base/iter{iteration}/adapter/adapter_model.safetensors").is_file()
    table = (results / "tables/main.md").read_text()
    assert all(row in table for row in ("| mine | base |", "| one_base iter1 |", "| one_base iter2 |"))
    with open(results / "figures/score_curve.csv") as file:
        points = list(csv.DictReader(file))
    assert [point["checkpoint"] for point in points] == 2 * ["base", "one_base/iter1", "one_base/iter2"]
    assert all(point["mean"] for point in points)
    assert chatting.jobs() == {}


def test_a_sweep_on_top_computes_only_what_its_recipes_do_not_share(chatting):
    chatting.configfiles.append("config/sweep.yaml")
    jobs = chatting.jobs()
    chatting.configfiles.pop()
    assert "figures/threshold.svg" in jobs["plot_sweep"]
    chosen = {output.split("/")[2] for output in jobs["select_pairs"]}
    assert chosen == {"threshold_6", "threshold_7"}
    assert not any(output.startswith("mine/seed1/base/") for outputs in jobs.values() for output in outputs)


def test_another_machine_computes_nothing_again(chatting, gpu):
    assert chatting.jobs() == {}
    assert gpu.exists()


def test_a_gpu_is_found_told_and_used(chatting, gpu):
    said = chatting.snakemake("-n", "--printshellcmds", "--forcerun", "measure").stdout
    assert "This machine: 1 GPU of 80.0 GiB, " in said
    assert "Override by hardware: {gpus_per_node: …" in said
    claimed = re.findall(r"--gpus=(\S+)", said)
    assert claimed
    assert set(claimed) == {"1"}


def test_what_is_configured_is_not_looked_for(chatting, gpu):
    with on_top(chatting, "hardware: {gpus_per_node: 0, node_memory_gib: null}"):
        assert "This machine" not in chatting.snakemake("-n").stdout
    assert not gpu.exists()


@pytest.mark.skipif(not SLURM.exists(), reason="no Slurm plugin of Snakemake: make .venv-slurm/ready")
def test_the_machine_that_submits_says_nothing_about_a_clusters_nodes(chatting, gpu):
    shutil.copytree(ROOT / "slurm", chatting.folder / "slurm", symlinks=True)
    installed = importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None
    command = [sys.executable if installed else SLURM, "-m", "snakemake", "-n", "--profile", "slurm"]
    command += ["--software-deployment-method", "env-modules", "--configfile", *chatting.configfiles]
    run = subprocess.run(
        command, cwd=chatting.folder, env=chatting.environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "Jobs run on other machines than this one, and are planned without GPUs" in run.stdout
    assert not gpu.exists()
