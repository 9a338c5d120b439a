"""Two experiments that share model, seed and settings: the second one does not write the same texts again."""

import pytest

from workspace import Workspace

pytestmark = pytest.mark.end_to_end

EXPERIMENT = """
experiment: {{name: {name}, recipes: [one_base], iterations: 1}}
runtime: {{shared_texts: texts}}
instructions: {{shard_size: 10, prompts_per_shard: 10}}
recipes: {{one_base: {{instructions: 10, selection: {{threshold: {threshold}}}}}}}
"""
SHARD = "results/{name}/demo/seed1/base/continuations/shard0.jsonl"
LOG = "results/{name}/demo/seed1/base/logs/continuations.shard0.log"


def test_a_second_experiment_takes_what_the_base_model_wrote_for_the_first(tmp_path):
    workspace = Workspace(tmp_path, "config/config.yaml", "experiment.yaml")
    for name, threshold in (("first", 8), ("second", 6)):
        (tmp_path / "experiment.yaml").write_text(EXPERIMENT.format(name=name, threshold=threshold))
        workspace.snakemake(SHARD.format(name=name))
    first, second = ((tmp_path / LOG.format(name=name)).read_text(errors="replace") for name in ("first", "second"))
    assert "journal: 10 to write, 0 reused" in first
    assert "journal: 0 to write, 10 reused" in second
    assert (tmp_path / SHARD.format(name="second")).read_bytes() == (tmp_path / SHARD.format(name="first")).read_bytes()
