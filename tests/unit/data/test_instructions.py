"""Seed tasks, the prompt made of them, and what happens to the instructions that a checkpoint writes."""

import json
from pathlib import Path

import pytest

from isheep.data.instructions import (
    InstructionFilters,
    first_failing_filter,
    more_prompts,
    parse_continuation,
    select_instructions,
    shortage,
)
from isheep.data.prompts import SeedTask, instruction_prompt, load_meta_prompt, load_seed_tasks
from isheep.files.records import InputError

SHIPPED_META_PROMPT = Path(__file__).parents[3] / "config/prompts/meta_prompt.txt"


def seed_row(number: int, **changes: object) -> dict:
    row = {
        "id": f"seed_task_{number}",
        "name": "birds",
        "instruction": f"Name {number} birds.",
        "instances": [{"input": "", "output": "An owl."}],
        "is_classification": False,
    }
    return row | changes


def write_lines(tmp_path: Path, lines: list[str]) -> Path:
    path = tmp_path / "seed_tasks.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# Seed tasks and prompt


def test_seed_tasks_are_read_with_the_input_of_their_first_instance(tmp_path):
    instances = [{"input": "an owl", "output": "yes"}, {"input": "a cat", "output": "no"}]
    rows = [seed_row(1), seed_row(2, instances=instances)]
    path = write_lines(tmp_path, [json.dumps(row) for row in rows])
    assert load_seed_tasks(path, 2) == [
        SeedTask("seed_task_1", "Name 1 birds.", ""),
        SeedTask("seed_task_2", "Name 2 birds.", "an owl"),
    ]


@pytest.mark.parametrize(
    ("second_line", "problem"),
    [
        ('{"id": "seed_task_2", "instr', "line 2 is not valid JSON"),
        ("", "line 2 is empty"),
        (
            json.dumps(seed_row(2, instruction=" ")),
            'line 2: instruction: found " ", but it must be a text that is not empty',
        ),
        (json.dumps({"id": "x", "instances": []}), "line 2: instruction: missing, but it must be a text"),
        (
            json.dumps(seed_row(2, instances=[])),
            "line 2: instances: found [], but it must be a list of at least one object",
        ),
        (
            json.dumps(seed_row(2, instances=[{"output": "x"}])),
            'line 2: instances.0.input: missing, but it must be a text, "" where the task has none',
        ),
        (json.dumps(seed_row(2, id=None)), "line 2: id: found null, but it must be a text"),
        (json.dumps(seed_row(1)), "line 2: id: 'seed_task_1' stands above too; give each line its own"),
    ],
)
def test_a_wrong_seed_task_is_named_by_file_line_and_key_and_a_right_one_is_shown(tmp_path, second_line, problem):
    path = write_lines(tmp_path, [json.dumps(seed_row(1)), second_line, json.dumps(seed_row(3))])
    with pytest.raises(InputError) as error:
        load_seed_tasks(path, 1)
    said, _, example = str(error.value).removesuffix(").").partition(" (a seed task is one line such as ")
    assert said.startswith(f"{path}: {problem}")
    assert load_seed_tasks(write_lines(tmp_path, [example])) == [SeedTask("mine_1", "Sort these words.", "pear, fig")]


def test_fewer_seed_tasks_than_demonstrations_are_an_error(tmp_path):
    path = write_lines(tmp_path, [json.dumps(seed_row(number)) for number in range(4)])
    with pytest.raises(InputError, match=r"4 seed tasks, but each prompt shows 5.*instructions.demonstrations"):
        load_seed_tasks(path, 5)


def test_the_prompt_lists_the_demonstrations_without_output_and_opens_the_next_item():
    seeds = [SeedTask("a", "Correct  the\nsentence: ", "He go home."), SeedTask("b", "Name a bird.", "")]
    assert instruction_prompt("A list of tasks:\n{demonstrations}", seeds) == (
        "A list of tasks:\n"
        "###\n1. Instruction: Correct the sentence\n1. Input:\nHe go home.\n"
        "###\n2. Instruction: Name a bird.\n2. Input:\n<noinput>\n"
        "###\n3. Instruction:"
    )


def test_a_meta_prompt_may_end_with_a_line_break_and_the_prompt_does_not(tmp_path):
    path = tmp_path / "meta.txt"
    path.write_text("A list:\n{demonstrations}\n", encoding="utf-8")
    assert instruction_prompt(load_meta_prompt(path), [SeedTask("a", "b", "c")]).endswith("2. Instruction:")


@pytest.mark.parametrize("text", ["A list:", "{demonstrations} and more", "{demonstrations}{demonstrations}", ""])
def test_a_meta_prompt_without_its_placeholder_at_the_end_is_an_error(tmp_path, text):
    path = tmp_path / "meta.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"placeholder \{demonstrations\}") as error:
        load_meta_prompt(path)
    assert str(path) in str(error.value)


def test_the_shipped_meta_prompt_loads_and_announces_its_list():
    assert load_meta_prompt(SHIPPED_META_PROMPT).endswith("List of 20 tasks:\n{demonstrations}")


# Parsing


def test_a_continuation_is_split_into_items_and_its_last_piece_is_dropped():
    text = (
        " Name a bird. \n6. Input:\n<noinput>\n"
        "###\n7. Instruction: Correct the sentence.\n7. Input:\nHe go home.\n"
        "###\n8. Instruction: Say\nit.\n8. Input: <NoInput>\n"
        "###\n9. Instruction: Cut of"
    )
    assert parse_continuation(text, 6) == [
        {"instruction": "Name a bird.", "input": ""},
        {"instruction": "Correct the sentence.", "input": "He go home."},
        {"instruction": "Say\nit.", "input": ""},
        {"text": "\n9. Instruction: Cut of", "reason": "unfinished"},
    ]


def test_a_continuation_that_ends_behind_a_separator_loses_nothing():
    assert parse_continuation(" Name a bird.\n6. Input:\nx\n###\n", 6) == [
        {"instruction": "Name a bird.", "input": "x"}
    ]


@pytest.mark.parametrize("text", ["", " Name a bird.\n6. Input:\nx"])
def test_a_continuation_of_one_piece_gives_no_candidate(text):
    assert all(row["reason"] == "unfinished" for row in parse_continuation(text, 6))


@pytest.mark.parametrize(
    "item",
    [
        " Name a bird.\n",
        " Name a bird.\n7. Input:\nx\n",
        " Name a bird.\n16. Input:\nx\n",
        " Name a bird.\n6. Input:\nx\n6. Output:\ny\n",
        " Name a bird.\n6. Input:\nx\n6. Input:\ny\n",
        " Name a bird.\n6. Output:\nx\n",
        " \n6. Input:\nx\n",
    ],
)
def test_a_malformed_item_is_recorded_with_its_text(item):
    assert parse_continuation(f"{item}###", 6) == [{"text": item, "reason": "format"}]


def test_an_item_whose_number_is_out_of_order_is_malformed():
    wrong = "\n8. Instruction: Name a bird.\n8. Input:\nx\n"
    right = "\n8. Instruction: Name a fish.\n8. Input:\ny\n"
    rows = parse_continuation(f" Name a tree.\n6. Input:\nz\n###{wrong}###{right}###", 6)
    assert rows[1:] == [{"text": wrong, "reason": "format"}, {"instruction": "Name a fish.", "input": "y"}]


def test_text_before_the_first_field_is_malformed():
    item = "\nHere it is: 7. Instruction: Name a bird.\n7. Input:\nx\n"
    assert parse_continuation(f" Name a tree.\n6. Input:\nz\n###{item}###", 6)[1]["reason"] == "format"


# Filters

GOOD = {"instruction": "Name three birds that sing.", "input": "in a forest"}

FAILING = {
    "min_words": [("Name three birds.", "")],
    "max_words": [("word " * 151, "")],
    "blacklist": [
        ("Describe the image below briefly.", ""),
        ("Sum up the two FILES.", ""),
        ("Then please go  to the shop.", ""),
        ("Name three birds that sing.", "a map, a list"),
        ("Say what a flowchart is.", ""),
        ("Name the graphs/pictures you know.", ""),
    ],
    "punctuation_start": [("- Name three birds that sing.", ""), ("<b> Name three birds", "")],
    "non_ascii_start": [("Écris trois mots courts.", ""), ("“Name” three birds that sing.", "")],
    "noinput_marker": [
        ("Name three birds that sing. <noinput>", ""),
        ("Name three birds that sing.", "No input."),
    ],
    "field_marker": [
        ("Name three birds. Output: an owl", ""),
        ("Name three birds that sing.", "x\n7. Input: y"),
    ],
    "link": [
        ("Sum up https://example.org please now.", ""),
        ("Sum up the page below.", "HTTP://example.org/a"),
    ],
}
PASSING = [
    ("Name three singing birds.", ""),
    ("word " * 150, ""),
    ("Imagine that you profile a cartographer.", "mapping, drawing, plots, filed, imagery, videos, musical"),
    ("Explain the paragraph going to print.", ""),
    ("3 birds sing: which?", ""),
    ("Name three birds – écris-les.", ""),
    ("Explain casino inputs to a child.", "no inputs"),
    ("Explain what the input: line means.", "inputs and outputs"),
    ("Explain what http is to me.", "www.example.org"),
]


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in FAILING for task in FAILING[name]])
def test_a_candidate_is_dropped_by_the_filter_unless_that_is_off(name, task):
    candidate = dict(zip(("instruction", "input"), task, strict=True))
    off = () if name == "blacklist" else None if name.endswith("_words") else False
    assert first_failing_filter(candidate, InstructionFilters()) == name
    assert first_failing_filter(candidate, InstructionFilters(**{name: off})) is None


@pytest.mark.parametrize("task", PASSING)
def test_a_candidate_that_only_looks_wrong_passes(task):
    assert first_failing_filter(dict(zip(("instruction", "input"), task, strict=True)), InstructionFilters()) is None


def test_every_filter_has_a_case():
    assert {*FAILING, "near_duplicate_threshold"} == set(InstructionFilters.model_fields)


def test_an_own_blacklist_may_hold_any_text():
    filters = InstructionFilters(blacklist=["bird song", "a.c"])
    assert first_failing_filter(GOOD | {"input": "Bird\nsong"}, filters) == "blacklist"
    assert first_failing_filter(GOOD | {"input": "abc"}, filters) is None


def test_filters_survive_the_way_through_a_command_line():
    filters = InstructionFilters(min_words=None, blacklist=[], near_duplicate_threshold=None, link=False)
    assert InstructionFilters.model_validate_json(filters.model_dump_json()) == filters


# Selection

TEXTS = [
    "Name three birds that sing in winter",
    "Explain how bread is baked at home",
    "Which city has the oldest bridge",
    "Write a short poem about rain",
]


def candidates(*texts: str) -> list[dict]:
    return [{"instruction": text, "input": ""} for text in texts]


def test_exactly_the_asked_number_is_kept_in_order_and_the_rest_is_not_looked_at():
    kept, rejected = select_instructions(candidates("too short", *TEXTS, "short"), [], [], InstructionFilters(), 3)
    assert kept == candidates(*TEXTS[:3])
    assert rejected == [{"instruction": "too short", "input": "", "reason": "min_words"}]


def test_what_resembles_a_seed_an_earlier_shard_or_a_kept_one_is_rejected_with_its_neighbour():
    copies = [f"{text} please" for text in TEXTS[:3]]
    kept, rejected = select_instructions(
        candidates(TEXTS[2], *copies, TEXTS[3]),
        kept_before=[TEXTS[1]],
        seeds=[SeedTask("a", TEXTS[0], "")],
        filters=InstructionFilters(),
        count=2,
    )
    assert kept == candidates(TEXTS[2], TEXTS[3])
    assert [(row["instruction"], row["reason"], row["near"]) for row in rejected] == [
        (copy, "near_duplicate_threshold", text) for copy, text in zip(copies, TEXTS[:3], strict=True)
    ]
    assert rejected[0]["similarity"] == pytest.approx(2 * 7 / 15)


def test_near_duplicates_stay_when_their_filter_is_off():
    filters = InstructionFilters(near_duplicate_threshold=None)
    kept, rejected = select_instructions(candidates(*TEXTS[:1] * 3), TEXTS[:1], [], filters, 3)
    assert (len(kept), rejected) == (3, [])


def test_malformed_items_keep_their_reason():
    malformed = {"text": "###", "reason": "format"}
    assert select_instructions([malformed, *candidates(TEXTS[0])], [], [], InstructionFilters(), 1)[1] == [malformed]


def test_fewer_are_kept_where_there_are_no_more():
    kept, rejected = select_instructions(candidates("too short", *TEXTS[:2]), [], [], InstructionFilters(), 3)
    assert (len(kept), len(rejected)) == (2, 1)


def test_more_candidates_behind_the_last_one_kept_change_nothing():
    few, many = candidates(TEXTS[0], TEXTS[0], TEXTS[1]), candidates(TEXTS[0], TEXTS[0], TEXTS[1], *TEXTS, "short")
    asked = ([], [], InstructionFilters(), 2)
    assert select_instructions(few, *asked) == select_instructions(many, *asked)


def rejected_for(*reasons: str) -> list[dict]:
    return [{"text": "", "reason": reason} for reason in reasons]


def test_a_shortage_is_one_sentence_with_counts_by_reason():
    rows = rejected_for("min_words", "format", "min_words", "near_duplicate_threshold")
    assert shortage(2, 3, 5, rows, InstructionFilters()) == (
        "only 2 of 3 instructions found among 6 candidates in 5 continuations (min_words removed 2, format removed 1, "
        "near_duplicate_threshold removed 1); lower instructions.filters.min_words (now 4)"
    )


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("near_duplicate_threshold", "raise instructions.filters.near_duplicate_threshold (now 0.7)"),
        (
            "unfinished",
            "raise instructions.sampling.max_tokens, or change instructions.sampling.stop or the meta-prompt",
        ),
        ("format", "change the meta-prompt or the seed tasks"),
        ("max_words", "raise instructions.filters.max_words (now 150)"),
        ("blacklist", "take words out of instructions.filters.blacklist"),
        ("link", "set instructions.filters.link to false"),
    ],
)
def test_a_shortage_says_what_to_change_about_what_removed_the_most(reason, advice):
    said = shortage(0, 9, 5, rejected_for("min_words", reason, reason), InstructionFilters())
    assert f"; {advice}" in said


def test_texts_without_any_candidate_are_a_matter_of_the_prompt():
    said = shortage(0, 9, 5, [], InstructionFilters())
    assert "(nothing was removed); change the meta-prompt or the seed tasks" in said


@pytest.mark.parametrize(("kept", "prompts"), [(0, 20), (30, 20), (60, 19), (90, 13), (99, 12)])
def test_a_shard_is_refilled_by_what_its_yield_asks_for_at_most_twice_as_many_prompts(kept, prompts):
    assert more_prompts(10, kept, 100, 1000) == prompts


def test_a_shard_is_refilled_up_to_its_bound_alone():
    assert more_prompts(10, 0, 5, 13) == 13
