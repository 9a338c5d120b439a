"""Published answers and judgments, run through the workflow's own rules, give the published scores."""

import csv
import gzip
import json

import pytest
import yaml

from isheep.files.records import read_jsonl, write_jsonl
from workspace import Workspace

pytestmark = pytest.mark.end_to_end

CONFIG = "config/published.yaml"
ALPACA_EVAL = {
    "vicuna-7b-v1.5": {
        "win_rate": 4.797493939167703,
        "n_wins": 35,
        "n_wins_base": 767,
        "n_draws": 3,
        "discrete_win_rate": 4.53416149068323,
        "length_controlled_win_rate": 7.616892731870527,
        "avg_length": 1083,
    },
    "alpaca-7b": {
        "win_rate": 2.591450540223603,
        "n_wins": 17,
        "n_wins_base": 785,
        "n_draws": 3,
        "discrete_win_rate": 2.298136645962733,
        "avg_length": 396,
    },
}
"""AlpacaEval 2's leaderboard, at commit cd543a149df8 of its repository."""
STANDARD_ERROR = {"vicuna-7b-v1.5": 0.6655960676971918, "alpaca-7b": 0.4870855382635108}
MT_BENCH = {
    "mamba_0_5_dpo_ep3": {"turn_1": 7.73750, "turn_2": 6.88750, "average": 7.312500},
    "mamba_0_5_dpo_ep1": {"turn_1": 7.59375, "turn_2": 6.65000, "average": 7.121875},
}
IFEVAL = {
    "prompt_level_strict_acc": (415, 538),
    "inst_level_strict_acc": (693, 828),
    "prompt_level_loose_acc": (429, 538),
    "inst_level_loose_acc": (709, 828),
}
LACKING = "lacking"
"""A baseline of which two instructions were not published."""
PROGRAMS = {
    ("canonical", "humaneval"): (164, 164),
    ("pass_bodies", "humaneval"): (0, 164),
    ("samples8", "humaneval"): (85, 164),
    ("example", "humaneval_example"): (3, 6),
    ("canonical", "mbpp"): (974, 974),
    ("canonical", "mbpp_sanitized"): (427, 427),
}


@pytest.fixture(scope="module")
def published(published_data, sandbox, tmp_path_factory):
    """A workspace in which config/published.yaml has run on a mirror, with more baselines of programs."""
    workspace = Workspace(tmp_path_factory.mktemp("published"), CONFIG, "more.yaml")
    more = {
        "fetch": {"mirror": str(published_data)},
        "runtime": {"threads": 2},
        "experiment": yaml.safe_load((workspace.folder / CONFIG).read_text())["experiment"],
        "benchmarks": {
            "humaneval_example": {
                "kind": "programs",
                "format": "humaneval",
                "problems": "results/fetched/humaneval/example_problem.jsonl",
            },
            "mbpp": {"kind": "programs", "format": "mbpp", "problems": "results/fetched/mbpp/mbpp.jsonl"},
            "mbpp_sanitized": {
                "kind": "programs",
                "format": "mbpp",
                "problems": "results/fetched/mbpp/sanitized-mbpp.json",
            },
        },
        "baselines": {
            "example": {
                "benchmarks": {
                    "humaneval_example": {"answers": "results/fetched/humaneval/example_samples.jsonl"},
                }
            },
            **programs_to_take(published_data, workspace.folder),
            LACKING: {"benchmarks": {"alpaca_eval": lacking_annotations(published_data, workspace.folder)}},
        },
    }
    more["experiment"]["baselines"] += list(more["baselines"])
    more["experiment"]["benchmarks"] += list(more["benchmarks"])
    # Of the published judgments only these two models' rows are in the mirror.
    judgments = str(published_data / "mt_bench/model_judgment/gpt-4_single.jsonl")
    for model in MT_BENCH:
        more["baselines"][model] = {"benchmarks": {"mt_bench": {"judgments": judgments}}}
    (workspace.folder / "more.yaml").write_text(yaml.safe_dump(more))
    workspace.snakemake()
    return workspace


def programs_to_take(published_data, folder):
    """Baselines whose programs are the problems' own solutions, or functions that do nothing."""
    with gzip.open(published_data / "humaneval/HumanEval.jsonl.gz", "rt") as file:
        humaneval = [json.loads(line) for line in file]
    mbpp = read_jsonl(published_data / "mbpp/mbpp.jsonl")
    sanitized = json.loads((published_data / "mbpp/sanitized-mbpp.json").read_text())
    taken = {
        ("canonical", "humaneval"): [(row["task_id"], row["canonical_solution"]) for row in humaneval],
        ("pass_bodies", "humaneval"): [(row["task_id"], "    pass\n") for row in humaneval],
        ("canonical", "mbpp"): [(row["task_id"], row["code"]) for row in mbpp],
        ("canonical", "mbpp_sanitized"): [(row["task_id"], row["code"]) for row in sanitized],
    }
    baselines = {}
    for (baseline, benchmark), samples in taken.items():
        path = folder / f"{baseline}_{benchmark}.jsonl"
        write_jsonl(path, [{"task_id": task, "completion": completion} for task, completion in samples])
        baselines.setdefault(baseline, {"benchmarks": {}})["benchmarks"][benchmark] = {"answers": path.name}
    return baselines


def lacking_annotations(published_data, folder):
    """A baseline's files: published annotations without those of the first and the last instruction."""
    name = "vicuna-7b-v1.5.glm.json"
    rows = json.loads((published_data / "alpaca_eval/annotations_ae2" / name).read_text())
    (folder / name).write_text(json.dumps(rows[1:-1]))
    return {"judgments": name, "missing": 2}


def record(workspace, baseline, benchmark):
    path = workspace.folder / "results/published/baselines" / baseline / "benchmarks" / benchmark / "result.json"
    content = json.loads(path.read_text())
    return content | {"scores": {row["metric"]: row for row in content["scores"]}}


@pytest.mark.parametrize("model", ALPACA_EVAL)
def test_alpaca_eval(published, model):
    found = record(published, model, "alpaca_eval")
    for metric, value in ALPACA_EVAL[model].items():
        tolerance = 1e-6 if metric.startswith("length") else 1e-12
        assert found["scores"][metric]["value"] == pytest.approx(value, rel=tolerance), metric
    assert found["scores"]["win_rate"]["standard_error"] == pytest.approx(STANDARD_ERROR[model], rel=1e-12)
    assert (found["scores"]["win_rate"]["n_valid"], found["scores"]["win_rate"]["n"]) == (805, 805)


def test_instructions_that_a_published_file_lacks_are_missing(published):
    found = record(published, LACKING, "alpaca_eval")["scores"]
    for metric in ("win_rate", "length_controlled_win_rate", "avg_length"):
        assert (found[metric]["n_valid"], found[metric]["n"]) == (803, 805), metric
    assert found["n_wins"]["value"] + found["n_wins_base"]["value"] + found["n_draws"]["value"] == 803
    table = (published.folder / "results/published/tables/published.md").read_text()
    assert f"{found['win_rate']['value']:.2f} (2 missing)" in table
    assert f"alpaca_eval of {LACKING} published: The published file lacks 2 of 805 instructions" in table


def test_a_length_controlled_rate_that_cannot_be_computed_is_missing_and_says_what_to_fetch(published):
    found = record(published, "alpaca-7b", "alpaca_eval")
    assert found["scores"]["length_controlled_win_rate"]["value"] is None
    assert "df_gamed.csv" in found["scores"]["length_controlled_win_rate"]["note"]


@pytest.mark.parametrize("model", MT_BENCH)
def test_mt_bench(published, model):
    found = record(published, model, "mt_bench")
    assert {metric: found["scores"][metric]["value"] for metric in MT_BENCH[model]} == MT_BENCH[model]
    assert (found["scores"]["average"]["n_valid"], found["scores"]["average"]["n"]) == (160, 160)


def test_ifeval_with_every_flag(published, published_data):
    found = record(published, "gpt-4", "ifeval")
    for metric, (right, of) in IFEVAL.items():
        assert round(found["scores"][metric]["value"] * of) == right, metric
        assert found["scores"][metric]["n"] == of
    items = read_jsonl(published.folder / "results/published/baselines/gpt-4/benchmarks/ifeval/items.jsonl")
    for kind in ("strict", "loose"):
        rows = read_jsonl(published_data / f"ifeval/gpt4_eval_results_{kind}_podtech.jsonl")
        flags = {row["prompt"]: row for row in rows}
        compared = [item for item in items if item["prompt"] in flags]
        assert len(compared) == len(items) == 538
        for item in compared:
            row = flags[item["prompt"]]
            assert item["metrics"][f"inst_level_{kind}_acc"] == row["follow_instruction_list"], item["prompt"]
            assert item["metrics"][f"prompt_level_{kind}_acc"] == row["follow_all_instructions"], item["prompt"]


@pytest.mark.parametrize(("baseline", "benchmark"), PROGRAMS)
def test_programs(published, baseline, benchmark):
    right, of = PROGRAMS[baseline, benchmark]
    assert record(published, baseline, benchmark)["scores"]["pass@1"]["value"] == pytest.approx(right / of)


def test_programs_with_every_flag(published, published_data):
    rows = read_jsonl(published_data / "humaneval/scored_samples/samples8_results.jsonl")
    items = read_jsonl(published.folder / "results/published/baselines/samples8/benchmarks/humaneval/items.jsonl")
    assert {row["task_id"]: row["passed"] for row in items} == {row["task_id"]: row["passed"] for row in rows}


def test_all_baselines_stand_in_one_table(published):
    with open(published.folder / "results/published/tables/published.csv") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert float(rows["vicuna-7b-v1.5"]["AlpacaEval 2 win rate"]) == pytest.approx(4.797493939167703)
    assert float(rows["mamba_0_5_dpo_ep3"]["average"]) == 7.3125
    assert rows["samples8"]["AlpacaEval 2 win rate"] == ""
    assert float(rows["samples8"]["HumanEval pass@1"]) == pytest.approx(100 * 85 / 164)
    assert "published" in (published.folder / "results/published/tables/published.md").read_text()
