"""config/paper.yaml in miniature on the cluster, typed as README has it: fetched first, then judged by an API from the
login node."""

import re
from pathlib import Path

import pytest
from sites import Site

import cluster as machines
from paper_small.world import PaperInMiniature

pytestmark = pytest.mark.end_to_end

TARGETS = (
    "results/paper/tables/table_7.csv",
    "results/paper/tables/table_12.csv",
    "results/paper/figures/figure_3.svg",
)
WITH_A_MODEL = {"write_instructions", "write_responses", "assess_pairs", "train_adapter", "measure", "answer_mt_bench"}
CONFIGURATION = ("--configfile", "config/paper.yaml")
"""What the profile has too; the test's overlay of the profile has another."""


def test_the_paper_is_fetched_and_runs(cluster, tmp_path):
    paper = PaperInMiniature(tmp_path, "gate.yaml", "cluster.yaml", as_typed=True)
    site = Site(tmp_path)
    with paper.served():
        site.variables = paper.variables
        fetched = site.run("prefetch", *CONFIGURATION)
        paper.go_offline()
        site.variables = paper.variables
        said = site.run(*TARGETS, *CONFIGURATION)
        assert "Nothing to be done" in site.run(*TARGETS, *CONFIGURATION)
    assert finished(fetched) == {"fetch_file", "fetch_hub", "prefetch"}
    assert finished(said) >= WITH_A_MODEL | {"base_from_hub", "judge_mt_bench", "make_table", "plot_share"}
    queued = rules_in_the_queue(tmp_path)
    assert queued >= WITH_A_MODEL
    assert not queued & {"fetch_file", "fetch_hub", "judge_mt_bench"}, "the network is asked from the login node"
    assert all((tmp_path / target).stat().st_size for target in TARGETS)


def finished(output: str) -> set[str]:
    """The rules whose jobs ended well."""
    return set(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", output, flags=re.MULTILINE))


def rules_in_the_queue(folder: Path) -> set[str]:
    """The rules whose jobs were submitted from a folder."""
    lines = machines.ask("squeue", "--noheader", "--states=all", "--format=%k|%Z").splitlines()
    rows = [line.split("|") for line in lines]
    return {comment.removeprefix("rule_").partition("_wildcards_")[0] for comment, home in rows if Path(home) == folder}
