"""Programs that read whole files hold an index of their rows, and not the texts."""

import importlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

import select_pairs
from isheep.benchmarks.item_values import read_item_values
from isheep.files.records import write_jsonl
from made_up_results import write_made_up_result

ROWS = 300
WORDS = [f"{letter * 1000}" for letter in "abcdefghijklmnopqrstuvwxyz"]
"""Long words make long texts of few words."""

RUNS = {
    "filter_responses": "--instructions=instructions.jsonl --responses=responses.jsonl --rules={}"
    " --pairs=written.jsonl",
    "select_pairs": "--pairs=pairs.jsonl --scores=scores.jsonl --count=300 --training-set=chosen.jsonl"
    ' --ledger=written.jsonl --selection={"criteria":["quality"]} --record=selection.json'
    ' --rows={"validation_share":0} --validation-set=held_out.jsonl',
    "profile_data": "--instructions=instructions.jsonl --pairs=pairs.jsonl --ledger=ledger.jsonl"
    " --training-set=kept.jsonl --profile=data.json",
}


def text(number: int) -> str:
    return " ".join([*WORDS, str(number)])


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    """A folder with the files of an iteration, whose texts have 26,000 characters each."""
    monkeypatch.chdir(tmp_path)
    ids = [f"base:0:{number}" for number in range(ROWS)]
    tasks = [{"id": id, "instruction": text(number), "input": ""} for number, id in enumerate(ids)]
    write_jsonl("instructions.jsonl", tasks)
    write_jsonl("responses.jsonl", ({"id": id, "response": text(number)} for number, id in enumerate(ids)))
    pairs = [task | {"response": text(number), "rejected_by": None} for number, task in enumerate(tasks)]
    write_jsonl("pairs.jsonl", pairs)
    scores = {id: number % 10 + 1 for number, id in enumerate(ids)}
    rows = ({"id": id, "criterion": "quality", "score": score, "text": text(0)} for id, score in scores.items())
    write_jsonl("scores.jsonl", rows)
    write_jsonl("kept.jsonl", (pair for pair in pairs if scores[pair["id"]] > 8))
    kept = [{"id": id, "kept": score > 8, "scores": {"quality": score}} for id, score in scores.items()]
    fates = {True: {"reason": None, "used_for": "training"}, False: {"reason": "score too low", "used_for": None}}
    write_jsonl("ledger.jsonl", (row | fates[row["kept"]] for row in kept))
    items = ({"filter": "none", "doc_sha256": id, "metrics": {"acc": n % 2}} for n, id in enumerate(ids))
    write_jsonl("items.jsonl", (row | {"prompt": text(0), "response": [text(0)]} for row in items))
    write_made_up_result(tmp_path / "items.jsonl", [{"metric": "acc", "value": 0.5}])
    return tmp_path


def peak_of(call: Callable, *arguments) -> int:
    """The most bytes that a call held."""
    tracemalloc.start()
    call(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("name", RUNS)
def test_a_program_holds_no_texts(files, name):
    program = importlib.import_module(name)
    arguments = program.parser.parse_args(RUNS[name].split(" "))
    assert peak_of(program.main, arguments) < (files / "pairs.jsonl").stat().st_size / 4


def test_values_of_items_are_read_without_their_texts(files):
    assert peak_of(read_item_values, files / "items.jsonl") < (files / "items.jsonl").stat().st_size / 4


def test_kept_pairs_are_written_whole(files):
    arguments = RUNS["select_pairs"].split(" ")
    select_pairs.main(select_pairs.parser.parse_args(arguments))
    assert (files / "chosen.jsonl").read_bytes() == (files / "kept.jsonl").read_bytes()
