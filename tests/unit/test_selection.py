"""The method's filter: keep a pair if every chosen score is above the threshold; account for every pair."""

import pytest

from isheep.records import InputError
from isheep.selection import SelectionSettings, select_pairs

PAIRS = [
    {"id": "base:0:0", "instruction": "Name a bird.", "input": "", "response": "Owl", "rejected_by": None},
    {
        "id": "base:0:1",
        "instruction": "Name a fish.",
        "input": "",
        "response": "",
        "rejected_by": "empty_output",
    },
    {"id": "base:0:2", "instruction": "Name a tree.", "input": "", "response": "Elm", "rejected_by": None},
    {"id": "base:0:3", "instruction": "Name a king.", "input": "", "response": "Sun", "rejected_by": None},
]
SCORES = {
    "base:0:0": {"quality": 9, "following": 10},
    "base:0:2": {"quality": 9, "following": 8},
    "base:0:3": {"quality": None, "following": 10},
}


def kept_ids(**settings):
    kept, _ = select_pairs(PAIRS, SCORES, SelectionSettings(**settings))
    return [int(pair["id"][-1]) for pair in kept]


def test_no_filter_keeps_everything():
    assert kept_ids(method="none") == [0, 1, 2, 3]


def test_rules_drop_what_breaks_one():
    assert kept_ids(method="rules") == [0, 2, 3]


def test_a_score_equal_to_the_threshold_is_dropped():
    assert kept_ids(threshold=8) == [0]
    assert kept_ids(threshold=7) == [0, 2]


def test_a_missing_score_is_never_a_number():
    assert 3 not in kept_ids(threshold=0)


def test_one_criterion_alone():
    assert kept_ids(criteria=["following"], threshold=9) == [0, 3]


def test_ledger_says_of_every_pair_what_happened():
    _, ledger = select_pairs(PAIRS, SCORES, SelectionSettings())
    assert [entry["reason"] for entry in ledger] == [
        None,
        "rule: empty_output",
        "score too low: following",
        "score missing: quality",
    ]
    assert [entry["kept"] for entry in ledger] == [True, False, False, False]
    assert ledger[2]["scores"] == {"quality": 9, "following": 8}


def test_empty_selection_shows_the_scores():
    with pytest.raises(InputError) as error:
        select_pairs(PAIRS, SCORES, SelectionSettings(criteria=["quality"], threshold=9))
    sentence = str(error.value)
    assert "none of 4 pairs" in sentence
    assert "quality: 9×2, missing×2" in sentence
    assert "selection.threshold" in sentence
