"""The whole loop at a reduced size: what a user finds afterwards, and exactly what a change then redoes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from changes import CONFIG, EXACT, NOTHING, SMALL

from isheep.data.contamination import words
from isheep.demo.world import World
from isheep.files.recorded import RECORDS, outputs_in
from isheep.files.records import read_jsonl
from workspace import ROOT

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def home(finished):
    """The folder of the only replicate."""
    return finished.folder / "results/small/demo/seed1"


def test_nothing_is_left_to_do(finished):
    assert finished.jobs() == {}


def test_every_checkpoint_has_every_score(finished):
    scores = pandas.read_csv(finished.folder / "results/small/tables/scores.csv")
    checkpoints = {
        "base",
        *(f"one_base/iter{t}" for t in (1, 2)),
        "all_last/iter2",
        "self_instruct/iter1",
        "adapter/iter1",
        "dense/iter1",
    }
    assert set(scores.checkpoint) == checkpoints
    judged = scores.benchmark == "alpaca_eval"
    assert set(scores[judged].checkpoint) == {"base", "one_base/iter1"}, "only what a table shows"
    scores = scores[~judged]
    assert not scores.value.isna().any()
    assert (scores.groupby("checkpoint").size() == scores.groupby("checkpoint").size()["base"]).all()
    assert (scores.n_valid == scores.n).all()


def test_table_has_one_row_per_recipe_and_iteration(finished):
    table = pandas.read_csv(finished.folder / "results/small/tables/main.csv")
    assert [f"{row.recipe} {row.iteration}" for row in table.itertuples()] == [
        *("base 0", "one_base 1", "one_base 2", "self_instruct 1", "adapter 1", "all_last 1", "all_last 2", "dense 1")
    ]
    rows = table.set_index(["recipe", "iteration"]).drop(columns="label")
    assert rows.loc[("all_last", 1)].equals(rows.loc[("one_base", 1)]), "they share their first checkpoint"
    for form in ("md", "tex"):
        assert "one\\_base iter2" in (finished.folder / "results/small/tables/main.tex").read_text()
        assert (finished.folder / f"results/small/tables/main.{form}").stat().st_size > 500


def test_exactly_the_asked_instructions_all_different_and_none_a_seed(home, finished):
    kept = [row for shard in (0, 1) for row in read_jsonl(home / f"base/instructions/shard{shard}.jsonl")]
    seeds = {row["instruction"] for row in read_jsonl(finished.folder / "config/demo/seed_tasks.jsonl")}
    assert len(kept) == 120
    instructions = {row["instruction"] for row in kept}
    assert len(instructions) == 120
    assert not instructions & seeds


def test_every_rejected_candidate_has_its_reason(home):
    rejected = read_jsonl(home / "base/instructions/shard1.rejected.jsonl")
    assert rejected
    assert all(row["reason"] for row in rejected)


@pytest.mark.parametrize(
    ("checkpoint", "sources"),
    [("one_base/iter2", ["one_base/iter1"]), ("all_last/iter2", ["base", "one_base/iter1"])],
)
def test_ledger_accounts_for_every_pair(home, checkpoint, sources):
    pairs = [row for s in sources for k in (0, 1) for row in read_jsonl(home / s / f"pairs/shard{k}.jsonl")]
    ledger = read_jsonl(home / checkpoint / "ledger.jsonl")
    training_set = read_jsonl(home / checkpoint / "training_set.jsonl")
    assert [entry["id"] for entry in ledger] == [pair["id"] for pair in pairs]
    assert [pair["id"] for pair in training_set] == [entry["id"] for entry in ledger if entry["kept"]]
    for entry in ledger:
        if entry["kept"]:
            assert all(entry["scores"][criterion] > 8 for criterion in ("quality", "following"))
        else:
            assert entry["reason"]


def test_filter_keeps_less_than_no_filter(home):
    assert len(read_jsonl(home / "self_instruct/iter1/training_set.jsonl")) == 120
    assert 0 < len(read_jsonl(home / "one_base/iter1/training_set.jsonl")) < 120


def test_no_training_set_has_a_subject_of_the_clean_tasks(home):
    unseen = World("config/demo/world.yaml", unseen=True).subject_words
    training_sets = list(home.glob("*/iter*/training_set.jsonl"))
    assert training_sets
    for row in (row for file in training_sets for row in read_jsonl(file)):
        assert not unseen & set(words(f"{row['instruction']} {row['input']} {row['response']}")), row


def test_adapter_is_kept_and_merged_weights_are_not(home):
    assert (home / "adapter/iter1/adapter/adapter_model.safetensors").exists()
    assert not (home / "adapter/iter1/weights").exists()
    assert (home / "one_base/iter1/weights/model.safetensors").exists()


LEFT = (".partial", ".unfinished", ".finished", ".claim")


def test_nothing_half_written_or_temporary_is_left(finished):
    left = [path for path in (finished.folder / "results").rglob(".*") if path.suffix in LEFT]
    assert left == []


def test_result_record_says_what_it_takes_to_trust_it(home):
    raw = json.loads((home / "base/benchmarks/ifeval/result.json").read_text())
    chat = json.loads((home / "one_base/iter1/benchmarks/ifeval/result.json").read_text())
    score = next(score for score in chat["scores"] if score["metric"] == "prompt_level_strict_acc")
    assert score["n"] == score["n_valid"] == 40
    assert score["standard_error"] > 0
    assert {"lm_eval", "transformers", "torch"} <= set(chat["versions"])
    assert len(chat["answered_by"]["chat_template_sha256"]) == 64
    assert raw["answered_by"]["chat_template_sha256"] is None
    assert len(read_jsonl(home / "one_base/iter1/benchmarks/ifeval/items.jsonl")) == 40


def homes(jobs, *rules):
    """The checkpoints (folders below the seed's) that the jobs of these rules belong to."""
    outputs = {output for rule in rules for output in jobs.get(rule, ())}
    return {"/".join(output.split("/")[2 : 3 if output.split("/")[2] == "base" else 4]) for output in outputs}


@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
def test_what_cannot_change_a_result_redoes_nothing(finished, change):
    with finished.changed(change.file, change.old, change.new):
        assert finished.jobs() == {}


@pytest.mark.parametrize("change", EXACT.values(), ids=EXACT)
def test_a_change_redoes_exactly_what_depends_on_it(finished, change):
    with finished.changed(change.file, change.old, change.new):
        jobs = finished.jobs()
    assert set(jobs) == set(change.jobs)
    for rule, outputs in change.jobs.items():
        assert jobs[rule] == outputs, rule


def test_make_clean_removes_the_demo_and_leaves_other_experiments_their_records(finished):
    demo = Path("results/demo/demo/weights")
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", demo],
        cwd=finished.folder,
        env=finished.environment(),
        check=True,
    )
    shutil.copy(ROOT / "Makefile", finished.folder)
    before = recorded_outputs(finished)
    assert str(demo) in before
    subprocess.run(["make", "clean"], cwd=finished.folder, env=finished.environment(), check=True)
    assert not (finished.folder / "results/demo").exists()
    assert recorded_outputs(finished) == {output for output in before if not output.startswith("results/demo/")}
    change = EXACT["threshold"]
    with finished.changed(change.file, change.old, change.new):
        assert finished.jobs() == change.jobs


def recorded_outputs(workspace):
    """The outputs of which Snakemake has a record."""
    return {output for _, output in outputs_in(workspace.folder / ".snakemake" / RECORDS)}


def test_one_more_iteration_runs_that_iteration_alone(finished):
    with finished.changed(CONFIG, "    instructions: 800 ", "    iterations: 3\n    instructions: 800 "):
        jobs = finished.jobs()
    trained = homes(jobs, "select_pairs", "train_all_weights", "train_adapter", "measure")
    # adapter and dense say their own number of iterations
    assert trained == {"one_base/iter3", "all_last/iter3"}
    assert homes(jobs, "write_instructions", "write_responses", "assess_pairs") == {
        "one_base/iter2",
        "all_last/iter2",
    }


def test_another_seed_is_computed_beside_the_first(finished):
    with finished.changed(CONFIG, "seeds: [1]", "seeds: [1, 2]"):
        jobs = finished.jobs()
    outputs = {output for rule in jobs for output in jobs[rule]}
    assert all(output.startswith(("demo/seed2/", "tables/", "figures/", "report")) for output in outputs)
    assert "plot_projection" not in jobs, "it shows the first seed"
    assert len(jobs["train_all_weights"]) == 5


def test_another_model_is_computed_beside_the_first(finished):
    with finished.changed(CONFIG, "models: [demo] ", "models: [demo, demo_judge] "):
        jobs = finished.jobs()
    outputs = {output for rule in jobs for output in jobs[rule]}
    assert all(output.startswith(("demo_judge/", "tables/", "report")) for output in outputs)
    assert homes(jobs, "train_all_weights") == {"one_base/iter1", "one_base/iter2"} | {
        *("self_instruct/iter1", "all_last/iter2", "dense/iter1")
    }


def test_another_benchmark_measures_every_checkpoint_and_nothing_else(finished):
    with finished.changed(SMALL, "benchmarks: null", "benchmarks: [ifeval, choice, alpaca_eval, ifeval_greedy]"):
        jobs = finished.jobs()
    assert {output.split("/")[-2] for output in jobs.pop("measure")} == {"ifeval_greedy"}
    for rule in ("answer_alpaca_eval", "judge_alpaca_eval", "score_alpaca_eval"):
        assert homes(jobs, rule).isdisjoint({"base", "one_base/iter1"}), "the table's rows had it measured before"
        jobs.pop(rule)
    # The training sets are searched for its test items too.
    assert set(jobs) == {
        *("list_test_items", "check_contamination", "collect_contamination", "make_contamination_table"),
        *("collect_scores", "make_table", "make_report"),
    }


def test_a_table_with_a_benchmark_that_is_left_out_is_made_again_and_nobody_is_asked(finished):
    with finished.changed(SMALL, "benchmarks: null", "benchmarks: [ifeval, choice]"):
        jobs = finished.jobs()
    assert "tables/judged.md" in jobs["make_table"]
    assert not {rule for rule in jobs if "alpaca_eval" in rule or rule.startswith(("measure", "train", "write"))}
