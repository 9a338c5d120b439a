"""The paper's sets in lm-eval's protocol and in OpenCompass's on one checkpoint: neither disturbs the other."""

import csv
from pathlib import Path

import pytest
import yaml

from isheep.demo.world import World
from paper_small import data_sets, files
from paper_small.hub_server import HubServer
from workspace import ROOT, Workspace

pytestmark = pytest.mark.end_to_end

BASE = "demo/seed1/base/benchmarks"
OF_LM_EVAL = {"piqa": "acc", "arc_easy": "acc", "squadv2": "exact", "humaneval": "pass@1"}
OF_OPENCOMPASS = {
    "opencompass_piqa": "acc",
    "opencompass_arc_easy": "acc",
    "opencompass_openbookqa": "acc",
    "opencompass_commonsense_qa": "acc",
    "opencompass_triviaqa": "score",
    "opencompass_squad2": "score",
    "opencompass_humaneval": "pass@1",
}


@pytest.fixture(scope="module")
def finished(sandbox, preloaded_path, tmp_path_factory) -> Workspace:
    """A workspace in which lm-eval's suite has been measured, and then OpenCompass's beside it; `added` are the jobs of
    the second run."""
    folder = tmp_path_factory.mktemp("both")
    suites = ["config/suite.yaml", "config/suite_opencompass.yaml"]
    workspace = Workspace(folder, "config/config.yaml", *suites, "both.yaml")
    write_world(folder / "world")
    write_configuration(folder, OF_LM_EVAL | OF_OPENCOMPASS)
    with HubServer(folder / "world/hub", frozenset(), "a-token") as hub:
        workspace.variables = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
        workspace.snakemake("prefetch")
    workspace.variables = {"PATH": preloaded_path}
    workspace.configfiles.remove("config/suite_opencompass.yaml")
    write_configuration(folder, OF_LM_EVAL)
    workspace.snakemake()
    workspace.configfiles.insert(2, "config/suite_opencompass.yaml")
    write_configuration(folder, OF_LM_EVAL | OF_OPENCOMPASS)
    workspace.added = workspace.jobs()
    workspace.snakemake()
    return workspace


def write_configuration(folder: Path, metrics: dict[str, str]) -> None:
    (folder / "both.yaml").write_text(yaml.safe_dump(configuration(metrics)))


def configuration(metrics: dict[str, str]) -> dict:
    columns = [{"benchmark": name, "metric": metric, "label": name} for name, metric in metrics.items()]
    short = {name: {"max_tokens": 16} for name in metrics if name.endswith("humaneval")}
    main = {"columns": [{"published": "score"} | column for column in columns], "published": "world/main.csv"}
    main["rows"] = [{"model": "demo", "label": "base", "published": "base"}]
    fetch = {"sources": "world/sources.yaml", "mirror": "world/mirror", "lock": "world/sources.lock.yaml"}
    return {
        "fetch": fetch,
        "figures": {"figure_3": None},
        "experiment": {"name": "both", "recipes": [], "benchmarks": list(metrics)},
        "benchmarks": short,
        "tables": {"main": main},
    }


def write_world(folder: Path) -> None:
    """Write what is fetched, as a hub and a mirror have it, and a table of printed numbers."""
    world = World(ROOT / "config/demo/world.yaml")
    data_sets.write_data_sets(folder / "hub/datasets", world, ["anatomy"])
    files.write_mirror(folder / "mirror", world)
    hub = yaml.safe_load((ROOT / "config/sources.yaml").read_text())["hub"]
    files.write_manifest(folder / "mirror", hub, folder / "sources.yaml")
    (folder / "main.csv").write_text("row,score\nbase,50.00\n")
    (folder / "remarks.csv").write_text("table,row,column,comparable,remark\n")


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
    assert "piqa, arc_easy, squadv2, humaneval: The paper measured it by OpenCompass" in notes
