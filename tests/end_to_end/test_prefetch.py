"""`snakemake prefetch` from a mirror folder: what the configuration needs, verified, and nothing fetched twice."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
import yaml

from workspace import Workspace

CONTENT = b"a published file\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """A workspace whose manifest has one file that a mirror has, one that only the network has, and one that nothing
    asks for."""
    workspace = Workspace(tmp_path_factory.mktemp("prefetch"), "config/config.yaml", "asks.yaml")
    own = ["config/demo/tasks/demo_choice.yaml", "config/demo/tasks/demo_choice.jsonl"]
    asked = [*own, "results/fetched/set/a.txt", "results/fetched/set/b.txt"]
    (workspace.folder / "asks.yaml").write_text(yaml.safe_dump({"benchmarks": {"choice": {"files": asked}}}))
    entry = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT), "licence": "MIT"}
    files = {
        "set/a.txt": {**entry, "mirror": "there/a.txt"},
        "set/b.txt": {**entry, "url": "http://127.0.0.1:9/b.txt"},
        "set/c.txt": {**entry, "mirror": "there/a.txt"},
    }
    (workspace.folder / "small.yaml").write_text(yaml.safe_dump({"files": files}))
    for name in ("mirror", "damaged"):
        (workspace.folder / name / "there").mkdir(parents=True)
    (workspace.folder / "mirror/there/a.txt").write_bytes(CONTENT)
    (workspace.folder / "damaged/there/a.txt").write_bytes(CONTENT[:-1])
    return workspace


def prefetch(workspace, mirror, *targets, sources="small.yaml", check=True):
    keys = [f"sources: {sources}", *([f"mirror: {mirror}"] if mirror else [])]
    return workspace.snakemake(*(targets or ["prefetch"]), "--config", f"fetch={{{', '.join(keys)}}}", check=check)


def test_a_damaged_file_is_refused_and_leaves_nothing(workspace):
    run = prefetch(workspace, "damaged", check=False)
    output = run.stdout + run.stderr
    assert run.returncode == 1
    assert (
        f"set/a.txt: damaged/there/a.txt has another content: expected sha256 {hashlib.sha256(CONTENT).hexdigest()}"
        in output
    )
    assert f"found {hashlib.sha256(CONTENT[:-1]).hexdigest()}" in output
    assert not (workspace.folder / "results/fetched/set").exists()


def test_what_a_mirror_has_is_copied_once(workspace):
    prefetch(workspace, "mirror")
    assert (workspace.folder / "results/fetched/set/a.txt").read_bytes() == CONTENT
    assert not (workspace.folder / "results/fetched/set/b.txt").exists(), "the mirror does not have it"
    assert not (workspace.folder / "results/fetched/set/c.txt").exists(), "nothing asks for it"
    shutil.copytree(workspace.folder / "mirror", workspace.folder / "other")
    assert "Nothing to be done" in prefetch(workspace, "other").stderr


def test_without_a_network_the_address_is_named(workspace):
    run = prefetch(workspace, None, "results/fetched/set/b.txt", check=False)
    assert run.returncode == 1
    assert "Error: http://127.0.0.1:9/b.txt cannot be had" in run.stdout + run.stderr


def test_the_published_files_of_a_configuration(tmp_path):
    data = os.environ.get("ISHEEP_DATA")
    if not data:
        pytest.skip("ISHEEP_DATA is not set: it names the folder with the published benchmark files")
    workspace = Workspace(tmp_path, "config/published.yaml")
    workspace.snakemake("prefetch", "--config", f"fetch={{mirror: {data}}}")
    fetched = workspace.folder / "results/fetched"
    for name in ("mt_bench/question.jsonl", "alpaca_eval/model_outputs/gpt4_1106_preview.json"):
        assert (fetched / name).read_bytes() == (Path(data) / name).read_bytes()
    assert (fetched / "nltk_data/tokenizers/punkt_tab/english/collocations.tab").exists()
    assert not (fetched / "self_instruct").exists(), "no checkpoint writes instructions"
