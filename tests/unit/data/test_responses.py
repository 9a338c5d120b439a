"""Every response rule: what it drops, what looks alike and must stay, and that it can be switched off."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import filter_responses
from isheep.data.prompts import response_prompt
from isheep.data.responses import ResponseRules, clean_response, first_failing_rule
from isheep.files.records import InputError, read_jsonl, write_jsonl

INSTRUCTION, INPUT, RESPONSE = (
    "Sum up the text in one sentence.",
    "Cats sleep a lot.",
    "Cats are often asleep.",
)

BROKEN_BY_RESPONSE = {
    "role_line": [
        "Paris.\nHuman: And Rome?",
        "assistant\nThe answer is Paris.",
        "Output: Paris",
        "One line\nuser\nand more",
        "System: start",
        "First.\nquestion: what now",
    ],
    "answer_choices": ["Which is it?  Answer choices: red or blue.", "ANSWER CHOICES:\nred"],
    "response_noinput": ["<noinput>", "There was no input given.", "NoInput"],
    "can_you": ["Paris is in France.\nCan you name another capital? I would like to know more about it, please."],
    "do_you": ["Paris is in France.\n\n do you want more?"],
    "short_question": [
        "Is it red?",
        "Paris is the capital.\n\nWhat is the capital of Spain?\n\nMadrid is.",
        "a" * 99 + "?",
    ],
    "lettered_choices": [
        "A. red\nB. blue",
        "It is one of (A) red, (B) blue or (E) none.",
        "  C. x\n\n  D. y",
    ],
    "chinese": ["Paris 是首都", "㐀"],
    "empty": [""],
}
KEPT_RESPONSES = [
    RESPONSE,
    "Users: many. Outputs vary. The system: it works.",
    "The user: a person.",
    "Systems\nare complex.",
    "Human",
    "Question",
    "The answer choices are red and blue.",
    "The casino input device.",
    "Can you believe it, Paris is in France.",
    "Do you know Paris, the capital of France. Yes, you do.",
    "What you can do:\nask whether they can help you.",
    "a" * 100 + "?",
    "Is it red? No, it is blue.",
    "E. coli is a bacterium.",
    "A. Lincoln was president.\nHe was born in 1809.",
    "Vitamin A. and vitamin B. are vitamins.",
    "The answer is (B).",
    "F. one\nG. two",
    "Café, naïve, Ünïcode, кириллица, ひらがな",
]
BROKEN_BY_TASK = {
    "instruction_noinput": [
        ("Sum up (noinput).", ""),
        ("Sum up the text.", "No input"),
        ("Use noinput here", "a b"),
    ],
    "placeholder": [("Write to <name> about it.", ""), ("Fill the form.", f"Dear <{'x' * 20}>!")],
    "none": [("Sum up the text.", "None"), ("Say which, or none of them.", "")],
    "repeated_input": [("Translate 'good morning' to French.", "good morning")],
}
KEPT_TASKS = [
    ("Explain casino inputs to a child.", ""),
    ("Is 3 < 4 and 5 > 2 true?", ""),
    ("Write the tag <over twenty characters> down.", ""),
    ("Write <> in words.", ""),
    ("Write it nonetheless.", "nonesuch"),
    ("Translate to French.", "good morning"),
    ("Translate this sentence.", ""),
]


@pytest.mark.parametrize(
    ("rule", "response"), [(rule, text) for rule in BROKEN_BY_RESPONSE for text in BROKEN_BY_RESPONSE[rule]]
)
def test_a_broken_response_is_dropped_by_its_rule_unless_that_is_off(rule, response):
    only = ResponseRules(**{name: name == rule for name in ResponseRules.model_fields})
    assert first_failing_rule(INSTRUCTION, INPUT, response, only) == rule
    assert first_failing_rule(INSTRUCTION, INPUT, response, ResponseRules()) is not None
    assert first_failing_rule(INSTRUCTION, INPUT, response, only.model_copy(update={rule: False})) is None


@pytest.mark.parametrize(("rule", "task"), [(rule, task) for rule in BROKEN_BY_TASK for task in BROKEN_BY_TASK[rule]])
def test_a_broken_instruction_is_dropped_by_its_rule_unless_that_is_off(rule, task):
    assert first_failing_rule(*task, RESPONSE, ResponseRules()) == rule
    assert first_failing_rule(*task, RESPONSE, ResponseRules(**{rule: False})) is None


@pytest.mark.parametrize("response", KEPT_RESPONSES)
def test_a_response_that_only_looks_broken_is_kept(response):
    assert first_failing_rule(INSTRUCTION, INPUT, response, ResponseRules()) is None


@pytest.mark.parametrize("task", KEPT_TASKS)
def test_an_instruction_that_only_looks_broken_is_kept(task):
    assert first_failing_rule(*task, RESPONSE, ResponseRules()) is None


def test_every_rule_has_a_case():
    assert {*BROKEN_BY_RESPONSE, *BROKEN_BY_TASK} == set(ResponseRules.model_fields)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  Paris. \n", "Paris."),
        ("答案：Paris", "Paris"),
        ("\n答案: Paris\n", "Paris"),
        ("答案 Paris", "答案 Paris"),
        ("Paris 答案: x", "Paris 答案: x"),
        (" \n", ""),
    ],
)
def test_a_leading_answer_label_and_outer_white_space_are_removed(raw, clean):
    assert clean_response(raw) == clean


def test_the_separator_stands_only_before_an_input():
    assert response_prompt("Add.", "1 2", "") == "Add.1 2"
    assert response_prompt("Add.", "1 2", "\n") == "Add.\n1 2"
    assert response_prompt("Add.", "", "\n") == "Add."


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """Three instructions and their responses."""
    ids = [f"base:0:{number}" for number in range(3)]
    write_jsonl(tmp_path / "instructions.jsonl", ({"id": id, "instruction": INSTRUCTION, "input": INPUT} for id in ids))
    texts = zip(ids, (f" {RESPONSE}", "", "Output: Paris"), strict=True)
    write_jsonl(tmp_path / "responses.jsonl", ({"id": id, "response": text, "tokens": 3} for id, text in texts))
    return tmp_path / "instructions.jsonl", tmp_path / "responses.jsonl"


def paired(instructions: Path, responses: Path) -> list[dict]:
    output = instructions.with_name("pairs.jsonl")
    flags = [
        "--instructions",
        str(instructions),
        "--responses",
        str(responses),
        "--rules",
        "{}",
        "--pairs",
        str(output),
    ]
    filter_responses.main(filter_responses.parser.parse_args(flags))
    return read_jsonl(output)


def test_every_instruction_is_paired_with_its_response(files, capsys):
    texts = {"instruction": INSTRUCTION, "input": INPUT}
    assert paired(*files) == [
        {"id": "base:0:0", **texts, "response": RESPONSE, "rejected_by": None},
        {"id": "base:0:1", **texts, "response": "", "rejected_by": "empty"},
        {"id": "base:0:2", **texts, "response": "Output: Paris", "rejected_by": "role_line"},
    ]
    assert "1 of 3 break no rule" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ((0, 2, 1), "line 2 is of 'base:0:2', but line 2 of .*instructions.jsonl is of 'base:0:1'"),
        ((0, 1), "line 3 is missing, but line 3 of .*instructions.jsonl is of 'base:0:2'"),
        ((0, 1, 2, 2), "line 4 is of 'base:0:2', but line 4 of .*instructions.jsonl is missing"),
    ],
)
def test_responses_that_are_not_those_of_the_instructions_are_refused(files, order, complaint):
    instructions, responses = files
    rows = read_jsonl(responses)
    write_jsonl(responses, (rows[number] for number in order))
    with pytest.raises(InputError, match=rf"responses\.jsonl: {complaint}; write the responses"):
        paired(instructions, responses)
    assert not instructions.with_name("pairs.jsonl").exists()


def test_a_response_that_the_model_has_no_room_for_is_refused_with_the_key_to_lower(tiny_checkpoint, tmp_path):
    write_jsonl(tmp_path / "asked.jsonl", [{"id": "base:0:0", "instruction": "Name fruits. " * 20, "input": ""}])
    run = subprocess.run(
        [
            *(sys.executable, "scripts/write_responses.py", "--raw", "--separator=", "--engine={}", "--seed=3"),
            *("--checkpoint", tiny_checkpoint, "--instructions", tmp_path / "asked.jsonl"),
            *('--sampling={"max_tokens": 250}', "--responses", tmp_path / "responses.jsonl"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    said = r"'base:0:0': its prompt has (\d+) tokens and responses\.sampling\.max_tokens is 250, but the model takes at"
    prompt, most = map(int, re.search(rf"{said} most 256 together; lower it to (\d+) or less\.", run.stderr).groups())
    assert prompt + most == 256
