"""Perplexities: as plain transformers give them, and paid for once."""

import json
import math
import re
import shutil
import sys
from pathlib import Path

import pytest

import measure_perplexity as measuring
from isheep import cli
from isheep.data import perplexity
from isheep.data.perplexity import measure_perplexities
from isheep.engine.engine import EngineSettings
from isheep.engine.identity import write_identity
from isheep.engine.opening import open_engine
from isheep.files.records import InputError, read_jsonl, unfinished_folder, write_jsonl

TEXTS = [
    "I am learning English.\nIt is dry. Yes indeed.",
    "One drink is the *cocoa*.",
    "Name a bird.",
    "Tell me of a drink that you know.\nOne drink is the *cocoa*. Over and out.",
    "zzzz qqqq",
    "Where is Rome? Rome is in Italy.",
]
PAIRS = [
    {"id": "base:0:0", "instruction": "Name a drink.", "input": "", "response": "One is tea.", "rejected_by": None},
    {"id": "base:0:1", "instruction": "Say it.", "input": "", "response": "", "rejected_by": "empty_output"},
    {"id": "base:0:2", "instruction": "Add.", "input": "1 and 2", "response": "The sum is 3.", "rejected_by": None},
    {"id": "base:0:3", "instruction": "Go on.", "input": "", "response": "A " * 1100, "rejected_by": None},
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """The model that the repository ships, with its identity."""
    folder = shutil.copytree("config/demo/base", tmp_path_factory.mktemp("demo") / "weights")
    write_identity(folder)
    return folder


@pytest.fixture(scope="module")
def engine(checkpoint):
    return open_engine(checkpoint, EngineSettings(dtype="float32"), batch_size=4, threads=1)


@pytest.fixture(scope="module")
def expected(checkpoint):
    """The perplexity of a text, cut to 1,023 tokens, by the loss of the plain model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def expected(text: str) -> float:
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids[:, :1023]
        with torch.inference_mode():
            return math.exp(model(input_ids=ids, labels=ids).loss.item())

    return expected


def values(engine, texts, folder):
    return [measured.perplexity for measured in measure_perplexities(engine, texts, folder)]


def test_perplexity_is_that_of_the_plain_model(engine, expected, tmp_path):
    assert values(engine, TEXTS, tmp_path) == pytest.approx([expected(text) for text in TEXTS], rel=1e-4)


def test_perplexity_does_not_depend_on_what_is_scored_with_it(engine, tmp_path):
    together = values(engine, TEXTS, tmp_path / "together")
    alone = [values(engine, [text], tmp_path / str(index))[0] for index, text in enumerate(TEXTS)]
    assert together == pytest.approx(alone, rel=1e-4)


def test_a_text_of_fewer_than_two_tokens_has_none(engine, tmp_path):
    assert values(engine, ["", "a"], tmp_path) == [None, None]


def test_a_long_text_is_cut_to_what_the_engine_scores(engine, expected, tmp_path):
    text = " ".join(TEXTS) * 40
    assert len(engine.encode(text)) > engine.max_length
    [measured] = measure_perplexities(engine, [text], tmp_path)
    assert measured.cut
    assert measured.perplexity == pytest.approx(expected(text), rel=1e-4)


def test_weights_that_score_nothing_sensible_are_an_error(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "loglikelihoods", lambda pairs: [(math.nan, False)] * len(pairs))
    with pytest.raises(InputError, match="log-likelihood nan"):
        values(engine, TEXTS, tmp_path)


def test_a_killed_job_pays_only_for_the_rest(engine, tmp_path, monkeypatch):
    undisturbed = values(engine, TEXTS, tmp_path / "undisturbed")
    monkeypatch.setattr(perplexity, "TEXTS_AT_ONCE", 2)
    asked = []
    score = engine.loglikelihoods

    def killed_at_the_third_chunk(pairs):
        if len(asked) == 4:
            raise KeyboardInterrupt
        asked.extend(pairs)
        return score(pairs)

    monkeypatch.setattr(engine, "loglikelihoods", killed_at_the_third_chunk)
    with pytest.raises(KeyboardInterrupt):
        values(engine, TEXTS, tmp_path / "journal")
    done = list(asked)
    asked.clear()
    again = values(engine, TEXTS, tmp_path / "journal")
    assert len(asked) == len(TEXTS) - len(done)
    assert not [pair for pair in asked if pair in done]
    assert again == pytest.approx(undisturbed, rel=1e-4)


def test_scores_of_other_weights_are_not_taken_for_these(engine, tmp_path, monkeypatch):
    first = values(engine, TEXTS, tmp_path)
    monkeypatch.setattr(engine, "identity", engine.identity | {"checkpoint": "other"})
    monkeypatch.setattr(engine, "loglikelihoods", lambda pairs: [(-1.0, False)] * len(pairs))
    assert values(engine, TEXTS, tmp_path) != first


def test_the_program_measures_response_and_pair_of_what_broke_no_rule(
    checkpoint, expected, tmp_path, monkeypatch, capsys
):
    pairs, output = tmp_path / "pairs.jsonl", tmp_path / "perplexity.jsonl"
    write_jsonl(pairs, PAIRS)
    flags = ["--checkpoint", str(checkpoint), "--pairs", str(pairs), "--separator", " ", "--perplexities", str(output)]
    monkeypatch.setattr(sys, "argv", ["measure_perplexity.py", *flags, "--engine", json.dumps({"dtype": "float32"})])
    cli.run(measuring.main, measuring.parser)
    rows = read_jsonl(output)
    assert [row["id"] for row in rows] == ["base:0:0", "base:0:2", "base:0:3"]
    assert [row["cut"] for row in rows] == [[], [], ["response", "pair"]]
    texts = ["Name a drink.\nOne is tea.", "Add. 1 and 2\nThe sum is 3."]
    assert [row["pair_perplexity"] for row in rows[:2]] == pytest.approx(list(map(expected, texts)), rel=1e-4)
    assert [row["response_perplexity"] for row in rows] == pytest.approx(
        [expected(pair["response"]) for pair in PAIRS if pair["rejected_by"] is None], rel=1e-4
    )
    assert not unfinished_folder(output).exists()
    assert re.search(r"3 pairs, 1 of them cut to 1023 tokens", capsys.readouterr().out)
