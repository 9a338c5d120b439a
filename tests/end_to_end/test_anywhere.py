"""The workflow from other folders, as another workflow's module, and with results that were moved to a fresh clone."""

import csv
import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workspace import Workspace, environment

pytestmark = pytest.mark.end_to_end

TINY = """
include: [config/config.yaml]
experiment: {name: tiny, recipes: [], benchmarks: [choice]}
benchmarks: {choice: {limit: 10}}
tables: {main: {columns: [{benchmark: choice, metric: acc, label: choice}]}}
figures: {figure_3: null}
"""
ONE_COLUMN = "results/tiny/tables/main/scores.csv"
MODULE = """
configfile: "study.yaml"

module isheep:
    snakefile: "{snakefile}"
    config: config["isheep"]

use rule * from isheep as isheep_*

rule count_rows:
    default_target: True
    input: "{scores}"
    output: "rows.txt"
    shell: "wc -l < {{input}} > {{output}}"
"""


def snakemake(folder: Path, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess:
    """Run snakemake in any folder."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *map(str, arguments)]
    run = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert not check or run.returncode == 0, run.stdout + run.stderr
    return run


def planned(folder: Path, *arguments: str | Path) -> list[str]:
    """The outputs that a run in this folder would make."""
    summary = snakemake(folder, "--summary", *arguments).stdout
    rows = csv.DictReader(io.StringIO(summary), delimiter="\t")
    return [row["output_file"] for row in rows if row["plan"] != "no update"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A clone of the project in which an experiment of two benchmarked jobs has run."""
    workspace = Workspace(tmp_path_factory.mktemp("clone"), "tiny.yaml")
    (workspace.folder / "tiny.yaml").write_text(TINY)
    workspace.snakemake(ONE_COLUMN)
    return workspace


@pytest.fixture(scope="module")
def study(project, tmp_path_factory):
    """Another folder, with a `config` and `scripts` of its own, in which the same has run."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("config", "scripts"):
        (folder / name).mkdir()
    (folder / "tiny.yaml").write_text(TINY)
    snakemake(folder, ONE_COLUMN, "-s", project.folder / "Snakefile", "--configfile", "tiny.yaml")
    return folder


def test_a_run_in_another_folder_makes_the_same_there(project, study):
    assert (study / ONE_COLUMN).read_text() == (project.folder / ONE_COLUMN).read_text()
    assert planned(study, ONE_COLUMN, "-s", project.folder / "Snakefile", "--configfile", "tiny.yaml") == []


def test_results_have_their_configuration_beside_them_and_it_makes_nothing_again(project):
    kept = "results/tiny/configuration.yaml"
    assert "limit: 10" in (project.folder / kept).read_text()
    assert planned(project.folder, ONE_COLUMN, "--configfile", kept) == []


def test_a_named_directory_and_an_absolute_configuration_are_the_same_run(project, study, tmp_path):
    settings = ["-s", project.folder / "Snakefile", "--configfile", study / "tiny.yaml"]
    assert planned(tmp_path, ONE_COLUMN, "--directory", study, *settings) == []
    whole = planned(tmp_path, "--directory", study, *settings)
    assert whole
    assert not any(Path(tmp_path).iterdir())


def test_another_workflow_has_it_as_its_module(project, study):
    settings = "isheep:\n" + "".join(f"  {line}\n" for line in TINY.splitlines())
    (study / "study.yaml").write_text(settings + "  runtime: {threads: 2}\n")
    (study / "Snakefile").write_text(MODULE.format(snakefile=project.folder / "Snakefile", scores=ONE_COLUMN))
    assert planned(study) == ["rows.txt"]
    snakemake(study)
    assert (study / "rows.txt").read_text().strip() == "2"
    (study / "study.yaml").write_text(settings + "  runtime: {thread: 2}\n")
    run = snakemake(study, check=False)
    assert run.returncode == 1
    assert "Error: the module's config: unknown key 'runtime.thread'" in run.stderr
    text = (study / "Snakefile").read_text()
    (study / "Snakefile").write_text(text.replace("    config: config", '    prefix: "deeper"\n    config: config'))
    assert snakemake(study, check=False).stderr.rstrip().endswith("leave prefix out.")


def test_results_that_were_moved_to_a_fresh_clone_are_finished_there(project, tmp_path):
    clone = Workspace(tmp_path / "clone", "tiny.yaml")
    for file in clone.folder.rglob("*"):
        file.touch()  # as git leaves them
    (clone.folder / "tiny.yaml").write_text(TINY)
    for name in ("results", ".snakemake"):
        shutil.copytree(project.folder / name, clone.folder / name, symlinks=True)
    weights = clone.folder / "results/tiny/demo/weights/model.safetensors"
    assert weights.resolve() == clone.folder / "config/demo/base/model.safetensors"
    assert clone.jobs(ONE_COLUMN) == {}
    with clone.changed("config/demo/tasks/demo_choice.jsonl", '"label": 0', '"label": 1'):
        assert set(clone.jobs(ONE_COLUMN)) == {"measure", "collect_scores_of_table"}
    shipped = clone.folder / "config/demo/base/model.safetensors"
    content = shipped.read_bytes()
    shipped.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "demo_model_shipped" in clone.jobs(ONE_COLUMN)


def test_results_that_came_without_their_records_are_not_taken_for_finished(project, tmp_path):
    clone = Workspace(tmp_path / "clone", "tiny.yaml")
    shutil.copytree(project.folder / "results", clone.folder / "results", symlinks=True)
    now = time.time()
    for file in (clone.folder / "results").rglob("*"):
        # Newer than what they were made from, and none than another: by time alone they are finished.
        os.utime(file, (now, now), follow_symlinks=False)
    (clone.folder / "tiny.yaml").write_text(TINY)
    for command in ((ONE_COLUMN,), (ONE_COLUMN, "-n")):
        run = clone.snakemake(*command, check=False)
        assert run.returncode == 1
        assert "came here without Snakemake's record of how it was made" in run.stderr.splitlines()[-1]
    clone.snakemake(ONE_COLUMN, "--touch", "--forceall")
    assert clone.jobs(ONE_COLUMN) == {}
    (clone.folder / "tiny.yaml").write_text(TINY.replace("limit: 10", "limit: 11"))
    assert "measure" in clone.jobs(ONE_COLUMN)
