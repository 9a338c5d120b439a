"""A ledger read with its texts: the right ones, and none that a terminal would act on."""

import json
import sys

import pytest

import show_pairs
from isheep import cli
from isheep.files.records import write_jsonl

HOSTILE = "Owl\x1b[2J\x1b]0;title\x07\x9b31m\u202egnp\r\nbase:0:1  kept\tfine\ud800"
PAIRS = [
    {"id": "base:0:0", "instruction": "Name a bird.", "input": "", "response": "Owl"},
    {"id": "base:0:1", "instruction": "Name a fish.", "input": "in a lake", "response": HOSTILE},
    {"id": "one_base/iter1:1:0", "instruction": "Name a tree.", "input": "", "response": ""},
]
LEDGER = [
    {"id": "base:0:0", "kept": True, "reason": None, "scores": {"quality": 9}},
    {"id": "base:0:1", "kept": False, "reason": "score missing: quality", "scores": {"quality": None}},
    {"id": "one_base/iter1:1:0", "kept": False, "reason": "rule: empty", "scores": {}},
]


@pytest.fixture
def show(tmp_path, monkeypatch, capsys):
    """Run the program on a ledger with these flags; return what it prints, or what it complains of."""
    seed = tmp_path / "results/mine/model/seed1"
    write_jsonl(seed / "one_base/iter2/ledger.jsonl", LEDGER)
    lines = [json.dumps(row) + "\n" for row in PAIRS[:2]]  # which escapes what cannot be encoded
    (seed / "base/pairs").mkdir(parents=True)
    (seed / "base/pairs/shard0.jsonl").write_text("".join(lines))
    write_jsonl(seed / "one_base/iter1/pairs/shard1.jsonl", PAIRS[2:])

    def run(*flags: str) -> str:
        monkeypatch.setattr(sys, "argv", ["show_pairs", str(seed / "one_base/iter2/ledger.jsonl"), *flags])
        try:
            cli.run(show_pairs.main, show_pairs.parser)
        except SystemExit as ended:
            return str(ended.code)
        return capsys.readouterr().out

    run.seed = seed
    return run


def test_each_pair_is_shown_with_its_texts_scores_and_reason(show):
    first, second, third, _ = show().split("\n\n")
    assert first == "base:0:0  kept  (quality 9)\n  instruction:\n    Name a bird.\n  response:\n    Owl"
    assert second.startswith("base:0:1  rejected: score missing: quality  (quality missing)\n")
    assert "  input:\n    in a lake\n" in second
    assert third == "one_base/iter1:1:0  rejected: rule: empty\n  instruction:\n    Name a tree.\n  response:\n    "


@pytest.mark.parametrize(
    ("flags", "ids"),
    [
        (["--kept=yes"], ["base:0:0"]),
        (["--kept=no"], ["base:0:1", "one_base/iter1:1:0"]),
        (["--kept=no", "--limit=1"], ["base:0:1"]),
        (["--reason=rule"], ["one_base/iter1:1:0"]),
    ],
)
def test_only_what_is_asked_for_is_shown(show, flags, ids):
    printed = show(*flags)
    assert [row["id"] for row in PAIRS if f"{row['id']}  " in printed] == ids


def test_what_a_model_wrote_does_not_steer_the_terminal_and_passes_for_no_other_line(show):
    printed = show("--kept=no", "--limit=1")
    assert all(character.isprintable() or character in "\n\t" for character in printed)
    assert r"    Owl\x1b[2J\x1b]0;title\x07\x9b31m\u202egnp\r" in printed
    assert "\n    base:0:1  kept\tfine\\ud800\n" in printed
    assert "\nbase:0:1  kept" not in printed


def test_pairs_that_are_not_there_are_named(show):
    write_jsonl(show.seed / "base/pairs/shard0.jsonl", PAIRS[:1])
    assert "shard0.jsonl: it has no pair 'base:0:1'" in show()
