"""The suite in OpenCompass's protocol: files, names, and scores that were read from OpenCompass's own sources."""

import argparse
from pathlib import Path

import pytest
import yaml
from lm_eval.api.model import LM

import measure
from isheep.benchmarks import programs_opencompass
from isheep.benchmarks.lm_eval_tasks import find_task
from opencompass import rows
from workspace import ROOT

SUITE = yaml.safe_load((ROOT / "config/suite_opencompass.yaml").read_text())["benchmarks"]
TASKS = {name: entry for name, entry in SUITE.items() if entry["kind"] == "lm_eval"}


class Fixed(LM):
    """Answers all alike, and likes texts that end like this."""

    def __init__(self, answer: str):
        super().__init__()
        self.answer = answer

    def mean_loglikelihood(self, requests):
        return [float(request.args[0].endswith(self.answer)) for request in requests]

    def generate_until(self, requests):
        return [self.answer for _ in requests]

    def loglikelihood(self, requests):
        raise AssertionError("no set compares the endings of texts")

    loglikelihood_rolling = loglikelihood


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return rows.write_home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def measured(home, monkeypatch):
    """A function that measures a set on answers that are all alike: the values of its items, and its score."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(home / "cache"))

    def measure_set(name: str, answer: str, limit: int | None = None) -> tuple[list[float], float]:
        entry = TASKS[name]
        files = [ROOT / file if file.startswith("config/") else Path(file) for file in entry["files"]]
        arguments = argparse.Namespace(task=entry["task"], task_files=files, hub_data=str(home / "hub"), exclude={})
        vars(arguments).update(limit=limit, num_fewshot=None, chat=False, system_prompt=None)
        results = measure.run_task(arguments, lambda *_: (Fixed(answer), {}))
        [samples] = results["samples"].values()
        [score] = measure.scores(entry["task"], results["results"][entry["task"]], samples)
        return [sample[score["metric"]] for sample in samples], score["value"]

    return measure_set


def test_each_set_has_a_task_of_its_own_name_in_its_own_file():
    assert len(SUITE) == 17
    for name, entry in TASKS.items():
        files = [ROOT / file for file in entry["files"] if file.startswith("config/")]
        assert name in find_task(entry["task"], files).all_tasks
        assert all(file.is_file() for file in files)


def test_no_benchmark_is_in_both_suites():
    other = yaml.safe_load((ROOT / "config/suite.yaml").read_text())["benchmarks"]
    assert not SUITE.keys() & other.keys()
    assert [name for name, entry in other.items() if "not_comparable" not in entry] == ["ifeval"]


def test_subjects_of_mmlu_count_alike(measured):
    values, score = measured("opencompass_mmlu", "Answer: A")
    right = {subject: [answer == 0 for _, _, answer in questions] for subject, questions in rows.MMLU.items()}
    assert [value > 0 for value in values] == [hit for hits in right.values() for hit in hits]
    assert score == pytest.approx(sum(sum(hits) / len(hits) for hits in right.values()) / len(right))
    assert measured("opencompass_mmlu", "Answer: A", limit=2)[1] == 1.0, "of the items that are asked"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("mice", [1, 0, 0, 0]),
        ("The mice.", [1, 0, 0, 0]),
        ("It eats mice", [0, 0, 0, 0]),
        ("impossible to answer", [0, 1, 1, 0]),
        ("barn owl", [0, 1, 0, 0]),
        ("at 0", [0, 0, 0, 1]),
        ("", [0, 0, 0, 0]),
        ("The answer is mice, I think\nimpossible to answer", [1, 0, 0, 0]),
    ],
)
def test_squad_takes_a_plausible_answer_or_none(measured, answer, right):
    assert measured("opencompass_squad2", answer)[0] == right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("The answer is Homer, who was blind.", [1, 0, 1]),
        ("14 December 1972 UTC", [0, 1, 1]),
        ("in December 1972", [0, 1, 1]),
        ("\nHomer", [1, 0, 1]),
        ("nobody", [0, 0, 1]),
    ],
)
def test_natural_questions_take_what_holds_an_answer(measured, answer, right):
    """An answer that is an article alone is part of every text, as in OpenCompass."""
    assert measured("opencompass_nq", answer)[0] == right


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("```python\ndef f(x):\n    return x\n```", "    return x"),
        ("    return x\n\ndef g():\n    pass", "    return x"),
        ("return x", "    return x"),
        ("import os\nos.remove('x')\n", "    import os\n    os.remove('x')"),
    ],
)
def test_the_body_that_follows_humanevals_prompt(answer, program):
    assert programs_opencompass.code_of_answer(answer, "humaneval") == program


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("[BEGIN]\n 'def f(): pass' \n[DONE]\nmore", "def f(): pass"),
        ("```python\ndef f(): pass\n```\nmore", "def f(): pass"),
        ("def f(): pass'\n[DONE]\nmore", "def f(): pass"),
        ("def f(): pass\n[DONE]\n[BEGIN]\ndef g(): pass", "def g(): pass"),
        ("", ""),
    ],
)
def test_the_program_in_an_answer_to_mbpp(answer, program):
    assert programs_opencompass.code_of_answer(answer, "mbpp") == program
