"""The paper's whole matrix as a graph: what is shared is made once, and one table asks for its own part alone."""

import re

import pytest

from workspace import Workspace

pytestmark = pytest.mark.end_to_end

# One row of the paper's plan: (models or recipes) × (checkpoints that write) × (shards of 10,000 instructions).
WRITING = {
    "base models: one shard, 72B five, as the 50,000 instructions of one recipe contain all the others'": 6 + 5,
    "one_base: all iterations but the last; 3 each, 32B has 4, 72B has 6": 4 * 2 + 3 + 5 + 2,
    "one_last, total_base: the second iteration; the first is one_base's": 2,
    "simple, icl, perplexity, density, density_perplexity, quality, following": 7 * 2,
    "no_assessment, which is threshold 0": 2,
    "no filter: the first iteration is Self-Instruct's": 2,
    "thresholds 2, 4, 6, 9": 4 * 2,
    "20,000, whose first iteration is Direct's": 2 * 2,
    "30,000, whose first iteration is Direct's": 2 * 3,
    "40,000 and 50,000": 2 * 4 + 2 * 5,
}
ASSESSING = {
    "base models: two criteria": 6 * 2,
    "72B base: combined on five shards, simple on one, and one score by examples": 2 * 5 + 2 + 1,
    "one_base": 2 * (4 * 2 + 3 + 5 + 2),
    "one_last, total_base": 2 * 2,
    "simple, and with one score each icl, quality, following": 2 * 2 + 3 * 2,
    "thresholds 2, 4, 6, 9": 2 * 4 * 2,
    "20,000 to 50,000": 2 * 2 * (2 + 3 + 4 + 5),
}
TRAINING = {
    "one_base: 1.8B, 4B, 7B, 14B, 32B, 72B, Llama 3 70B": 4 * 3 + 4 + 6 + 3,
    "one_last, total_base: from the second iteration on": 2 * 2,
    "Direct, which is the first iteration of 20,000 and 30,000": 2,
    "Self-Instruct": 1,
    "simple, icl, perplexity, density, density_perplexity, no_assessment, quality, following": 8 * 3,
    "no filter, from the second iteration on": 2,
    "thresholds 2, 4, 6, 9": 4 * 3,
    "20,000 and 30,000, from the second iteration on; 40,000, 50,000": 2 * 2 + 2 * 3,
}


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("paper"), "config/paper.yaml")


def jobs_of(workspace, *targets):
    """How many jobs of each rule a dry run counts."""
    shown = workspace.snakemake(*targets, "--dry-run", "--quiet", "host").stdout
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", shown, flags=re.MULTILINE)}


def test_shared_work_is_done_once(paper):
    jobs = jobs_of(paper)
    writing, assessing, training = (sum(plan.values()) for plan in (WRITING, ASSESSING, TRAINING))
    for rule in ("write_instructions", "select_instructions", "write_responses", "filter_responses"):
        assert jobs[rule] == writing, rule
    assert jobs["assess_pairs"] == assessing
    assert jobs["train_adapter"] == jobs["select_pairs"] == training
    assert jobs["base_from_hub"] == 7
    assert jobs["make_table"] == 11
    assert jobs["plot_sweep"] + jobs["plot_share"] + jobs["plot_projection"] == 4


def test_one_table_asks_for_its_own_models_alone(paper):
    jobs = jobs_of(paper, "results/paper/tables/table_5.csv")
    assert jobs["base_from_hub"] == 1, "Llama 3 70B"
    assert jobs["train_adapter"] == jobs["measure"] == 3
    assert jobs["write_instructions"] == 3
    assert "judge_alpaca_eval" not in jobs
