"""A file that lost its rows is an error, not a smaller experiment."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from isheep import cli
from isheep.files.records import write_jsonl

SEED_TASKS = Path("config/demo/seed_tasks.jsonl").resolve()
PAIRS = [
    {"id": f"base:{number}", "instruction": f"Name {number} fruits.", "input": "", "response": "…", "rejected_by": None}
    for number in range(2)
]
SCORES = [{"id": pair["id"], "criterion": "quality", "score": None} for pair in PAIRS]
BY_SCORE = json.dumps({"method": "scores", "criteria": ["quality"], "threshold": 8})
BY_PERPLEXITY = json.dumps({"method": "perplexity", "max_perplexity": 10})
EMPTY = "empty.jsonl is empty, but is never made so; remove it, and it is made again"


@pytest.fixture
def complaint(tmp_path, monkeypatch):
    """Run a program on files of the folder: `empty.jsonl` has no row. Return what it says."""
    monkeypatch.chdir(tmp_path)
    files = {"empty": [], "pairs": PAIRS, "scores": SCORES, "half": SCORES[:1]}
    for name, rows in files.items():
        write_jsonl(f"{name}.jsonl", rows)

    def run(name: str, *flags: str) -> str:
        module = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [name, *flags])
        with pytest.raises(SystemExit) as ended:
            cli.run(module.main, module.parser)
        return str(ended.value.code)

    return run


@pytest.mark.parametrize(
    ("instructions", "responses"), [("empty", "pairs"), ("pairs", "empty")], ids=["instructions", "responses"]
)
def test_pairs_are_not_made_of_nothing(complaint, instructions, responses):
    flags = [f"--instructions={instructions}.jsonl", f"--responses={responses}.jsonl", "--rules={}", "--pairs=out"]
    assert EMPTY in complaint("filter_responses", *flags)


def test_a_response_that_is_missing_is_named(complaint):
    flags = ["--instructions=pairs.jsonl", "--responses=one.jsonl", "--rules={}", "--pairs=out"]
    write_jsonl("one.jsonl", PAIRS[:1])
    assert "one.jsonl: line 2 is missing" in complaint("filter_responses", *flags)


def test_instructions_are_not_selected_from_nothing(complaint):
    flags = [
        "--continuations=empty.jsonl",
        f"--seed-tasks={SEED_TASKS}",
        "--demonstrations=1",
        "--filters={}",
        *("--count=1", "--left=left.jsonl"),
    ]
    assert EMPTY in complaint("select_instructions", *flags, "--name=a", "--instructions=out", "--rejected=rejected")


def selection(pairs: str, settings: str, *measured: str) -> list[str]:
    outputs = ["--training-set=training_set.jsonl", "--validation-set=validation_set.jsonl", "--ledger=ledger.jsonl"]
    outputs += ["--record=record.json", '--rows={"validation_share": 0}']
    return [f"--pairs={pairs}.jsonl", f"--selection={settings}", "--count=2", *measured, *outputs]


def test_a_shard_without_pairs_is_not_selected_from(complaint):
    assert EMPTY in complaint("select_pairs", *selection("empty", BY_SCORE, "--scores", "scores.jsonl"))


@pytest.mark.parametrize(("scores", "lacking"), [("empty", 2), ("half", 1)])
def test_pairs_whose_scores_are_lost_are_not_rejected_in_silence(complaint, scores, lacking):
    said = complaint("select_pairs", *selection("pairs", BY_SCORE, "--scores", f"{scores}.jsonl"))
    assert f"--scores (quality): {lacking} of 2 pairs have no row" in said


def test_pairs_whose_perplexities_are_lost_are_named(complaint):
    said = complaint("select_pairs", *selection("pairs", BY_PERPLEXITY, "--perplexities", "empty.jsonl"))
    assert "--perplexities: 2 of 2 pairs have no row, the first is base:0" in said


def test_scores_that_could_not_be_read_have_rows_and_are_no_error(complaint):
    """They are counted, and here the reason why nothing is kept."""
    said = complaint("select_pairs", *selection("pairs", BY_SCORE, "--scores", "scores.jsonl"))
    assert "score missing: quality 2" in said
