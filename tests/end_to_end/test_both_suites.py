"""The paper's sets in lm-eval's protocol and in OpenCompass's on one checkpoint: neither disturbs the other."""

import csv
import hashlib
import shutil

import pytest
import yaml

from isheep.demo_world import World
from isheep.hub_cache import folder_name
from paper_small import data_sets, files
from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

BASE = "demo/seed1/base/benchmarks"
OF_LM_EVAL = {"piqa": "acc", "arc_easy": "acc", "squadv2": "exact", "mbpp": "pass@1"}
OF_OPENCOMPASS = {
    "opencompass_piqa": "acc",
    "opencompass_arc_easy": "acc",
    "opencompass_openbookqa": "acc",
    "opencompass_commonsense_qa": "acc",
    "opencompass_triviaqa": "score",
    "opencompass_squad2": "score",
    "opencompass_mbpp": "pass@1",
}


@pytest.fixture(scope="module")
def finished(sandbox, tmp_path_factory) -> Workspace:
    """A workspace in which lm-eval's suite has been measured, and then OpenCompass's beside it; `added` are the jobs of
    the second run."""
    folder = tmp_path_factory.mktemp("both")
    workspace = Workspace(folder, "config/config.yaml", "config/suite.yaml", "both.yaml")
    write_fetched(folder)
    (folder / "both.yaml").write_text(yaml.safe_dump(configuration(OF_LM_EVAL)))
    workspace.snakemake()
    workspace.configfiles.insert(2, "config/suite_opencompass.yaml")
    (folder / "both.yaml").write_text(yaml.safe_dump(configuration(OF_LM_EVAL | OF_OPENCOMPASS)))
    workspace.added = workspace.jobs()
    workspace.snakemake()
    return workspace


def configuration(metrics: dict[str, str]) -> dict:
    columns = [{"benchmark": name, "metric": metric, "label": name} for name, metric in metrics.items()]
    short = {name: {"max_tokens": 16} for name in metrics if name.endswith("mbpp")}
    main = {"columns": [{"published": "score"} | column for column in columns], "published": "printed/main.csv"}
    main["rows"] = [{"model": "demo", "label": "base", "published": "base"}]
    return {
        "figures": {"figure_3": None},
        "experiment": {"name": "both", "recipes": [], "benchmarks": list(metrics)},
        "benchmarks": short,
        "tables": {"main": main},
    }


def write_fetched(folder) -> None:
    """Write data sets and files as `snakemake prefetch` leaves them, and a table of printed numbers."""
    world = World(ROOT / "config/demo/world.yaml")
    data_sets.write_data_sets(folder / "hub", world, ["anatomy"])
    for owner in (folder / "hub").iterdir():
        for repository in owner.iterdir():
            name = f"{owner.name}/{repository.name}"
            commit = hashlib.sha1(name.encode()).hexdigest()
            place = folder / "results/fetched/hub" / folder_name(name, "dataset")
            shutil.move(repository, place / "snapshots" / commit)
            (place / "refs").mkdir()
            (place / "refs/main").write_text(commit)
    files.write_mirror(folder / "results/fetched", world)
    (folder / "printed").mkdir()
    (folder / "printed/main.csv").write_text("row,score\nbase,50.00\n")
    (folder / "printed/remarks.csv").write_text("table,row,column,comparable,remark\n")


def test_the_second_suite_runs_nothing_of_the_first(finished):
    measured = finished.added["measure"] | finished.added["write_programs"] | finished.added["run_programs"]
    assert {path.removeprefix(f"{BASE}/").split("/")[0] for path in measured} == set(OF_OPENCOMPASS)
    assert finished.jobs() == {}


def test_scores_of_both_stand_side_by_side_and_only_one_is_compared_with_the_paper(finished):
    with open(finished.folder / "results/both/tables/main.csv", newline="") as file:
        [row] = csv.DictReader(file)
    for name in OF_LM_EVAL | OF_OPENCOMPASS:
        assert 0 <= float(row[name]) <= 100, name
        assert float(row[f"{name} n"]) > 0
    for name in OF_LM_EVAL:
        assert (row[f"{name} comparable"], row[f"{name} difference"]) == ("no", "")
    for name in OF_OPENCOMPASS:
        assert row[f"{name} comparable"] == "yes"
        assert float(row[f"{name} difference"]) == pytest.approx(float(row[name]) - 50)
    notes = (finished.folder / "results/both/tables/main.md").read_text()
    assert "50.00‡" in notes
    assert "piqa, arc_easy, squadv2 and mbpp: The paper measured it by OpenCompass" in notes
