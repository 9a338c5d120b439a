"""A shard of instructions is refilled until it has enough, up to a bound; what was written before is kept."""

import json
import sys
from pathlib import Path

import pytest

import write_instructions
from isheep import cli
from isheep.engine.engine import Completion
from isheep.files.records import read_jsonl, unfinished_folder

META_PROMPT = "A list of tasks:\n{demonstrations}"
OUTPUT, LEFT = Path("continuations/shard0.jsonl"), Path("logs/shard0.log.rejected.jsonl")


class Writer:
    """Writes one instruction for every second prompt, and for the others one that is too short."""

    def __init__(self):
        self.asked, self.identity = [], {"weights": "fixed"}

    def complete(self, requests):
        for request in requests:
            self.asked.append(int(request.id))
            text = f" word{request.id} and{request.id} more{request.id} here" if int(request.id) % 2 else " short"
            text = f"{text}\n2. Input:\n<noinput>\n###\n"
            yield Completion(request.id, text, "stop", 1, 1)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Run the program with a Writer for `count` instructions; return the prompts that were asked and what it says."""
    monkeypatch.chdir(tmp_path)
    seeds = [{"id": "a", "instruction": "Name a bird that sings.", "instances": [{"input": "", "output": "x"}]}]
    Path("seeds.jsonl").write_text("".join(json.dumps(seed) + "\n" for seed in seeds))
    Path("meta.txt").write_text(META_PROMPT)

    def run(count: int, prompts: int, most: int, aim: int | None = None, **filters: object) -> tuple[list[int], str]:
        writer = Writer()
        monkeypatch.setattr(write_instructions, "open_requested_engine", lambda *_: writer)
        flags = {
            **{"checkpoint": ".", "seed-tasks": "seeds.jsonl", "meta-prompt": "meta.txt", "demonstrations": 1},
            **{"engine": "{}", "seed": 1, "sampling": '{"max_tokens": 9}', "filters": json.dumps(filters)},
            **{
                "count": count,
                "aim": aim or count,
                "prompts": prompts,
                "max-prompts": most,
                "continuations": OUTPUT,
                "left": LEFT,
            },
        }
        monkeypatch.setattr(sys, "argv", ["write_instructions", *(f"--{key}={flags[key]}" for key in flags)])
        try:
            cli.run(write_instructions.main, write_instructions.parser)
        except SystemExit as ended:
            return writer.asked, str(ended.code)
        return writer.asked, ""

    return run


def test_a_shard_that_has_enough_is_not_refilled(write):
    assert write(2, 4, 99) == ([0, 1, 2, 3], "")


def test_a_shard_is_refilled_with_new_prompts_until_it_has_enough(write):
    asked, _ = write(6, 4, 99)
    assert asked[:8] == list(range(8)), "at most twice as many at a time, each once"
    assert asked == list(range(len(asked)))
    rows = read_jsonl(OUTPUT)
    assert [row["prompt"] for row in rows] == asked
    assert sum("word" in row["text"] for row in rows) >= 6
    assert not unfinished_folder(OUTPUT).exists()
    assert not LEFT.exists()


def test_a_shard_aims_at_more_where_earlier_ones_may_hold_the_same_but_ends_at_its_bound_with_enough(write):
    enough, _ = write(2, 4, 99)
    more, said = write(2, 4, 99, aim=6)
    assert (len(more) > len(enough), said) == (True, "")
    assert write(4, 4, 9, aim=6)[1] == ""


def test_at_its_bound_a_shard_is_refused_with_what_removed_the_rest_and_leaves_that_to_look_at(write):
    asked, said = write(6, 4, 9)
    assert asked == list(range(9))
    assert said == (
        f"Error: {OUTPUT}: only 4 of 6 instructions found among 9 candidates in 9 continuations (min_words removed 5); "
        "lower instructions.filters.min_words (now 4), or raise instructions.max_prompts_per_shard; what was written "
        f"is kept, and the rejected candidates are in {LEFT}."
    )
    assert [row["reason"] for row in read_jsonl(LEFT)] == ["min_words"] * 5
    assert not OUTPUT.exists()


def test_a_raised_bound_continues_the_new_prompts_alone(write):
    write(6, 4, 9)
    asked, said = write(6, 4, 99)
    assert said == ""
    assert asked[0] == 9
    assert [row["prompt"] for row in read_jsonl(OUTPUT)] == list(range(asked[-1] + 1))
    assert not LEFT.exists(), "it is about a shortage that is over"


def test_the_first_prompts_are_the_same_however_many_there_are(write):
    write(1, 3, 3)
    few = read_jsonl(OUTPUT)
    write(1, 7, 7)
    assert read_jsonl(OUTPUT)[:3] == few


def test_a_changed_filter_asks_for_no_text_again(write):
    write(6, 4, 9)
    assert write(6, 4, 9, min_words=1, near_duplicate_threshold=None) == ([], "")
