"""IFEval by published responses: the same scorer, GPT-4's published numbers, and files that do not fit."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from isheep.benchmarks.lm_eval_model import RecordedLM, read_responses
from isheep.benchmarks.lm_eval_tasks import seeded_scoring
from isheep.files.records import InputError, read_jsonl

ROOT = Path(__file__).parents[3]
TINY = ROOT / "tests/data/tasks/tiny_ifeval.jsonl"
TASK_FILES = ["config/tasks/ifeval_original.yaml", "config/tasks/ifeval.yaml", "config/tasks/ifeval.py"]
EXCLUDED = [1122, 1129, 2785]
"""Keys whose published flags cannot be met: the official checker draws a letter for the first two, which ask for "#"
and "!", and the published flags lack the third."""


def take(folder: Path, file: Path, *flags: str) -> subprocess.CompletedProcess:
    """Run measure.py on the responses in `file`, with its outputs below `folder`."""
    command = [sys.executable, str(ROOT / "scripts/measure.py"), "--take", str(file), "--benchmark", "ifeval", *flags]
    command += ["--items", str(folder / "items.jsonl"), "--result", str(folder / "result.json")]
    environment = os.environ | {"PYTHONHASHSEED": "random"}
    return subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True)


@pytest.fixture
def home(tmp_path) -> Path:
    """A folder that has the task files where they name one another."""
    for name in ("config", "scripts", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture(scope="session")
def gpt4(published_data, tmp_path_factory):
    """Measure GPT-4's published responses to the original wording: a function of more flags."""
    home = tmp_path_factory.mktemp("gpt4")
    (home / "config").symlink_to(ROOT / "config")
    (home / "results/fetched").mkdir(parents=True)
    (home / "results/fetched/ifeval").symlink_to(published_data / "ifeval")
    responses = published_data / "ifeval/input_response_data_gpt4_20231107_145030.jsonl"

    def measure(name: str, *flags: str) -> tuple[list[dict], dict]:
        nltk_data = published_data / "nltk_punkt_tab/nltk_data"
        task = ["--task", "ifeval_original", "--task-files", *TASK_FILES, "--nltk-data", str(nltk_data)]
        done = take(home / name, responses, *task, *flags)
        assert done.returncode == 0, done.stderr
        return read_jsonl(home / name / "items.jsonl"), json.loads((home / name / "result.json").read_text())

    return measure


@pytest.fixture(scope="session")
def all_prompts(gpt4):
    return gpt4("all")


@pytest.fixture(scope="session")
def scored_prompts(gpt4):
    return gpt4("scored", "--exclude", json.dumps({"key": EXCLUDED}))


def test_gpt4_s_published_numbers_and_every_flag(scored_prompts, published_data):
    items, record = scored_prompts
    counts = {score["metric"]: (round(score["value"] * score["n"]), score["n"]) for score in record["scores"]}
    assert counts == {
        "prompt_level_strict_acc": (415, 538),
        "inst_level_strict_acc": (693, 828),
        "prompt_level_loose_acc": (429, 538),
        "inst_level_loose_acc": (709, 828),
    }
    assert record["excluded"] == {"key": EXCLUDED}
    assert "Left out: items whose key is 1122, 1129, 2785." in record["notes"]
    assert record["answered_by"]["responses"]["sha256"].startswith("0cff1d1469b774e8")
    for kind in ("strict", "loose"):
        rows = read_jsonl(published_data / f"ifeval/gpt4_eval_results_{kind}_podtech.jsonl")
        published = {row["prompt"]: row for row in rows}
        for item in items:
            row, metrics = published[item["prompt"]], item["metrics"]
            assert metrics[f"prompt_level_{kind}_acc"] == row["follow_all_instructions"], item["prompt"]
            assert metrics[f"inst_level_{kind}_acc"] == row["follow_instruction_list"], item["prompt"]


def test_all_541_are_the_paper_s_numbers_up_to_the_random_letters(all_prompts):
    values = {score["metric"]: score["value"] for score in all_prompts[1]["scores"]}
    paper = {  # arXiv 2311.07911, table 3
        "prompt_level_strict_acc": 0.7689,
        "inst_level_strict_acc": 0.8357,
        "prompt_level_loose_acc": 0.7930,
        "inst_level_loose_acc": 0.8537,
    }
    for metric, value in paper.items():
        parts = 541 if metric.startswith("prompt") else 834
        assert values[metric] == pytest.approx(value, abs=2 / parts + 5e-5), metric


def test_the_same_responses_get_the_same_flags_whatever_else_is_scored(scored_prompts, all_prompts):
    flags = {item["prompt"]: item["metrics"] for item in all_prompts[0]}
    assert len(flags) == 541
    assert all(flags[item["prompt"]] == item["metrics"] for item in scored_prompts[0])


def test_drawn_letters_depend_on_the_item_alone():
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks.ifeval.utils import process_results

    class Task(ConfigurableTask):
        def __init__(self):
            pass

        config = type("Config", (), {"process_results": staticmethod(process_results)})

    doc = {
        "key": 1122,
        "prompt": "Use four hashtags.",
        "instruction_id_list": ["keywords:letter_frequency"],
        "kwargs": [{"let_relation": "at least", "letter": "#", "let_frequency": 1}],
    }
    half = ["abcdefghijklm"]
    drawn, seeded = set(), set()
    for seed in range(20):
        random.seed(seed)
        drawn.add(process_results(doc, half)["prompt_level_strict_acc"])
        with seeded_scoring():
            seeded.add(Task().process_results(doc, half)["prompt_level_strict_acc"])
    assert drawn == {True, False}, "the official checker draws a letter"
    assert len(seeded) == 1


def rows_of_tiny() -> list[dict]:
    return [{"prompt": row["prompt"], "response": '"A plum"', "model": "m"} for row in read_jsonl(TINY)]


def write(folder: Path, rows: list[dict]) -> Path:
    file = folder / "responses.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


TINY_FLAGS = ["--task", "tiny_ifeval", "--task-files", "tests/data/tasks/tiny_ifeval.yaml", str(TINY)]


def test_the_rows_of_one_model_are_taken(home):
    others = [{"prompt": row["prompt"], "response": "A, plum", "model": "other"} for row in rows_of_tiny()]
    file = write(home, [*others, *rows_of_tiny()])
    done = take(home / "out", file, *TINY_FLAGS, "--model", "m")
    assert done.returncode == 0, done.stderr
    items = read_jsonl(home / "out/items.jsonl")
    assert {item["response"][0] for item in items} == {'"A plum"'}
    record = json.loads((home / "out/result.json").read_text())
    assert record["scores"][0]["n"] == 8
    assert (record["seed"], record["judge"]) == (None, None)
    assert record["answered_by"]["responses"]["file"] == "responses.jsonl"


@pytest.mark.parametrize(
    ("change", "model", "sentence"),
    [
        (lambda rows: [*rows, rows[2]], None, "lines 3 and 9 have the same prompt; remove one of them."),
        (
            lambda rows: [*rows, {"prompt": "Name a bridge.", "response": "x"}],
            None,
            "line 9: the task has no prompt 'Name a bridge.'; give the responses to this very set of prompts.",
        ),
        (lambda rows: [*rows[:4], {"prompt": rows[4]["prompt"]}], None, "line 5: 'response' is None"),
        (lambda rows: rows, "n", "it has no responses of n, but of m; name one of them under the baseline's key model"),
    ],
    ids=["duplicate", "another set", "no response", "another model"],
)
def test_a_file_that_does_not_fit_is_one_sentence(tmp_path, change, model, sentence):
    file = write(tmp_path, change(rows_of_tiny()))
    with pytest.raises(InputError) as raised:
        read_responses(file, {row["prompt"] for row in rows_of_tiny()}, model)
    assert str(raised.value).startswith(f"{file}: {sentence}")


def test_a_missing_response_is_one_sentence_and_nothing_is_written(home):
    file = write(home, rows_of_tiny()[1:])
    done = take(home / "out", file, *TINY_FLAGS)
    assert done.returncode == 1
    sentence = f"Error: {file}: 1 of the task's 8 prompts have no response, the first is 'Name one fruit."
    assert done.stderr.splitlines()[-1].startswith(sentence)
    assert not any((home / "out").glob("*")), "nothing is written"


def test_likelihoods_cannot_be_answered_from_a_file(tmp_path):
    with pytest.raises(InputError, match="the task compares likelihoods"):
        RecordedLM({}, tmp_path).loglikelihood([])
