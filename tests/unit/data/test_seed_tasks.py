"""The shipped seed tasks are such as the method wants: each passes the filters of what a checkpoint writes."""

from isheep.data.instructions import InstructionFilters, first_failing_filter
from isheep.data.near_duplicates import NearDuplicates
from isheep.data.prompts import load_seed_tasks

SEEDS = load_seed_tasks("config/seed_tasks.jsonl", demonstrations=5)


def test_every_seed_task_passes_the_filters():
    for seed in SEEDS:
        row = {"instruction": seed.instruction, "input": seed.input}
        assert first_failing_filter(row, InstructionFilters()) is None, seed


def test_no_seed_task_resembles_another():
    known = NearDuplicates(0.6)
    for seed in SEEDS:
        assert known.nearest_above(seed.instruction) is None, seed
        known.add(seed.instruction)


def test_some_seed_tasks_need_an_input_and_most_begin_with_a_word_of_their_own():
    assert 20 <= sum(bool(seed.input) for seed in SEEDS) <= len(SEEDS) - 15
    assert len({seed.instruction.split()[0] for seed in SEEDS}) > 0.75 * len(SEEDS)
