"""config/paper.yaml itself, in miniature: every rule of its graph runs, and no cell stays empty without a reason."""

import csv
import re

import pytest

from paper_small.world import PaperInMiniature
from workspace import Workspace

pytestmark = pytest.mark.end_to_end

LLAMA_AT_THE_HUB = "models/meta-llama/Meta-Llama-3-70B"


@pytest.fixture(scope="module")
def finished(sandbox, preloaded_path, tmp_path_factory) -> PaperInMiniature:
    """The gate's part of the miniature after its run, with the rules that ran as `rules`."""
    paper = PaperInMiniature(tmp_path_factory.mktemp("paper_small"), "gate.yaml")
    with paper.served() as hub:
        said = paper.snakemake("prefetch").stderr
        paper.asked_of_the_hub = list(hub.asked)
        paper.go_offline()
        paper.variables["PATH"] = preloaded_path
        said += paper.snakemake().stderr
        assert paper.jobs() == {}
    paper.rules = set(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", said, flags=re.MULTILINE))
    return paper


def rows(paper, table):
    with open(paper.folder / f"results/paper/tables/{table}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_rule_of_the_paper_has_run(finished, tmp_path):
    plan = Workspace(tmp_path, "config/paper.yaml").snakemake("prefetch", "all", "--dry-run", "--quiet", "host").stdout
    counted = plan.split("Job stats:")[1]
    assert finished.rules == set(re.findall(r"^(\w+) +\d+$", counted, flags=re.MULTILINE)) - {"total"}


def test_models_and_data_sets_were_fetched_from_the_hub_with_the_token(finished):
    asked = finished.asked_of_the_hub
    commits = [path for path in asked if path.startswith(f"api/{LLAMA_AT_THE_HUB}")]
    assert commits[0] == f"api/{LLAMA_AT_THE_HUB}", "the newest commit is asked for first, then the files at it"
    lock = (finished.folder / "world/sources.lock.yaml").read_text()
    [commit] = re.findall("models/meta-llama/Meta-Llama-3-70B: (.*)", lock)
    assert f"meta-llama/Meta-Llama-3-70B/resolve/{commit}/model.safetensors" in asked
    assert any("Qwen1.5-72B/resolve" in path and path.endswith("00001-of-00003.safetensors") for path in asked)


def test_without_the_token_a_gated_model_is_one_sentence(finished, tmp_path):
    paper = PaperInMiniature(tmp_path, "gate.yaml")
    with paper.served():
        paper.variables["HF_TOKEN"] = "another-token"
        run = paper.snakemake("results/fetched/hub/models--meta-llama--Meta-Llama-3-70B", check=False)
    assert run.returncode == 1
    expected = (
        "the model meta-llama/Meta-Llama-3-70B is gated: accept its terms on its page at the hub and set HF_TOKEN"
    )
    assert expected in run.stdout + run.stderr


def test_every_cell_that_the_paper_fills_has_a_number(finished):
    base, trained = rows(finished, "table_1")
    asked_of_base = {"HumanEval+", "MBPP"}
    columns = ["AlpacaEval", "MT-Bench", "IFEval prompt strict", "HumanEval+", "MBPP", "SQuAD2.0"]
    assert {column for column in columns if base[column]} == asked_of_base
    for column in columns:
        assert 0 <= float(trained[column]) <= 100, column
    [llama] = rows(finished, "table_7")
    assert all(0 <= float(llama[column]) <= 100 for column in ("GPQA-diamond", "WinoGrande"))
    [claim] = rows(finished, "claims")
    assert claim


def test_commands_of_the_readme_run_as_typed(tmp_path):
    paper = PaperInMiniature(tmp_path, as_typed=True)
    paper.configfiles = []
    typed = "results/paper/tables/table_5.csv prefetch --resources gpu=8 --configfile config/paper.yaml"
    plan = paper.snakemake(*typed.split(), "--dry-run", "--quiet", "host").stdout
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", plan, flags=re.MULTILINE))
    assert jobs["base_from_hub"] == "1", "Llama 3 alone"
    mirrored = [path for path in (tmp_path / "world/mirror").rglob("*") if path.is_file()]
    assert int(jobs["fetch_file"]) == len(mirrored), "what the overlay says is part of config/paper.yaml"
