"""The paper's sets in OpenCompass's protocol, against OpenCompass itself: every prompt and every score is the same.

`make test-opencompass` installs it into an environment of its own and runs this; without that, these tests are skipped.
"""

import argparse
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from lm_eval.api.model import LM
from transformers import AutoTokenizer

import measure
from isheep.benchmarks import programs, programs_opencompass
from isheep.benchmarks.lm_eval_model import EngineLM
from isheep.engine.engine import EngineSettings
from isheep.engine.identity import write_identity
from isheep.engine.opening import open_engine
from isheep.files.records import write_jsonl
from opencompass import rows
from opencompass.reference_numbers import perplexity
from workspace import ROOT

SUITE = yaml.safe_load((ROOT / "config/suite_opencompass.yaml").read_text())["benchmarks"]
TASKS = {name.removeprefix("opencompass_"): entry for name, entry in SUITE.items() if entry["kind"] == "lm_eval"}
GENERATED = ("nq", "triviaqa", "squad2")
COMPARED = [name for name in TASKS if name not in GENERATED]
PROGRAMS = ("humaneval", "humaneval_plus", "mbpp")
SEED = "a seed"
TEXTS = ["Name a bird that lives in a forest.", "a b", "Passage: Ice.\nQuestion: Is ice water?\nAnswer: Yes"]
"""Texts whose perplexity a real model finds."""


class Letters(LM):
    """Stands for a model on our side as reference.Model does on the other's."""

    def __init__(self, chat_template: str, answers: list[str]):
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(ROOT / "config/demo/base")
        self.tokenizer.chat_template = chat_template
        self.answers, self.lengths = answers, set()

    apply_chat_template = EngineLM.apply_chat_template
    tokenizer_name = "letters"

    def mean_loglikelihood(self, requests):
        return [-perplexity(request.args[0], SEED) for request in requests]

    def generate_until(self, requests):
        self.lengths = {settings["max_gen_toks"] for _, settings in (request.args for request in requests)}
        return [self.answers[number % len(self.answers)] for number in range(len(requests))]

    def loglikelihood(self, requests):
        raise AssertionError("no set compares the endings of texts")

    loglikelihood_rolling = loglikelihood


@pytest.fixture(scope="module")
def opencompass(tmp_path_factory) -> dict:
    """What OpenCompass asks and how it scores."""
    python = os.environ.get("ISHEEP_OPENCOMPASS")
    if not python:
        pytest.skip("ISHEEP_OPENCOMPASS is not set: `make test-opencompass` names a Python that has OpenCompass")
    folder = tmp_path_factory.mktemp("opencompass")
    rows.write_for_opencompass(folder / "data")
    counts = {"nq": len(rows.NQ), "triviaqa": len(rows.TRIVIAQA), "squad2": 4}
    question = {
        "folder": str(folder / "data"),
        "subjects": list(rows.MMLU),
        "answers": {name: [rows.ANSWERS] * count for name, count in counts.items()} | {"mbpp": rows.MBPP_ANSWERS},
        "programs": rows.PROGRAMS,
        "perplexities": SEED,
        "model": str(ROOT / "config/demo/base"),
        "model_texts": TEXTS,
    }
    configurations = Path(python).parents[1] / "configurations"
    command = [python, str(Path(__file__).with_name("reference.py")), str(configurations)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    done = subprocess.run(
        command, input=json.dumps(question), cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with the data as they are fetched."""
    return rows.write_home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def measured(home, monkeypatch):
    """A function that measures a set: all requests and values of its items, in order."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(home / "cache"))

    def measure_set(name: str, chat: bool = False, answers: list[str] = ("",)) -> tuple[list[dict], float]:
        entry = TASKS[name]
        files = [ROOT / file if file.startswith("config/") else Path(file) for file in entry["files"]]
        arguments = argparse.Namespace(
            task=entry["task"], task_files=files, hub_data=str(home / "hub"), exclude={}, limit=None, num_fewshot=None
        )
        arguments.chat, arguments.system_prompt = chat, None
        template = (ROOT / "config/chat_templates/chatml.jinja").read_text()
        model = Letters(template, answers)
        results = measure.run_task(arguments, lambda *_: (model, {}))
        [samples] = results["samples"].values()
        [metric] = entry["metrics"]
        for sample in samples:
            sample["texts"] = [arguments[0] for arguments in sample["arguments"]]
            sample["value"] = sample[metric]
        return samples, results["results"][entry["task"]][f"{metric},none"], model.lengths

    return measure_set


def of_all_subjects(found: list[dict], *keys: str) -> list:
    """What OpenCompass says of a set's items; MMLU's subjects follow each other."""
    lists = []
    for of_set in found:
        for key in keys:
            of_set = of_set[key]
        lists += of_set
    return lists


@pytest.mark.parametrize("kind", ["base", "chat"])
@pytest.mark.parametrize("name", COMPARED)
def test_texts_that_are_compared_and_what_is_chosen(opencompass, measured, name, kind):
    found = opencompass[name]
    samples, value, _ = measured(name, chat=kind == "chat")
    assert [sample["texts"] for sample in samples] == of_all_subjects(found, kind, "texts")
    chosen, golds = of_all_subjects(found, kind, "chosen"), of_all_subjects(found, "golds")
    right = [str(given) == str(gold) for given, gold in zip(chosen, golds, strict=True)]
    assert [sample["value"] > 0 for sample in samples] == right
    accuracies = []
    for of_set in found:
        pairs = zip(of_set[kind]["chosen"], of_set["golds"], strict=True)
        hits = [str(given) == str(gold) for given, gold in pairs]
        accuracies.append(sum(hits) / len(hits))
    assert value == pytest.approx(sum(accuracies) / len(accuracies))


@pytest.mark.parametrize("kind", ["base", "chat"])
@pytest.mark.parametrize("name", GENERATED)
def test_prompts_of_texts_that_are_written(opencompass, measured, name, kind):
    [found] = opencompass[name]
    samples, _, lengths = measured(name, chat=kind == "chat")
    assert [sample["texts"][0] for sample in samples] == found[kind]["texts"]
    assert lengths == {found["length"]}


@pytest.mark.parametrize("number", range(len(rows.ANSWERS)))
@pytest.mark.parametrize("name", GENERATED)
def test_scores_of_answers(opencompass, measured, name, number):
    [found] = opencompass[name]
    samples, value, _ = measured(name, answers=[rows.ANSWERS[number]])
    expected = [scores[number] for scores in found["scores"]]
    assert [sample["value"] for sample in samples] == expected
    assert value == pytest.approx(sum(expected) / len(expected))


@pytest.mark.parametrize("name", GENERATED)
def test_the_answers_tell_right_from_wrong(opencompass, name):
    [found] = opencompass[name]
    assert {score for scores in found["scores"] for score in scores} == {0.0, 1.0}


@pytest.mark.parametrize("name", PROGRAMS)
def test_prompts_and_programs_of_code(opencompass, tmp_path, name):
    entry = SUITE[f"opencompass_{name}"]
    assert entry["protocol"] == "opencompass"
    [found] = opencompass[name]
    problems = code_problems(tmp_path, name, entry["format"])
    raw = [programs_opencompass.raw_question(problem.prompt, entry["format"]) for problem in problems]
    assert raw == found["base"]["texts"]
    template = (ROOT / "config/chat_templates/chatml.jinja").read_text()
    model = Letters(template, [])
    chats = [programs_opencompass.chat_question(problem.prompt, entry["format"]) for problem in problems]
    assert [model.apply_chat_template(chat) for chat in chats] == found["chat"]["texts"]
    taken = [programs_opencompass.code_of_answer(answer, entry["format"]) for answer in rows.PROGRAMS]
    assert taken == found["programs"]
    assert programs.protocol_sampling(entry["format"], False, protocol="opencompass").max_tokens == found["length"]


def test_scores_of_programs(opencompass, tmp_path, sandbox):
    [found] = opencompass["mbpp"]
    problems = code_problems(tmp_path, "mbpp", "mbpp")
    samples = [
        programs.Sample(problem.id, number, programs_opencompass.code_of_answer(answer, "mbpp"))
        for problem, answers in zip(problems, rows.MBPP_ANSWERS, strict=True)
        for number, answer in enumerate(answers)
    ]
    limits = programs.Limits(cpu_seconds=programs.TIME_LIMITS["mbpp"], memory_mib=1024)
    outcomes = programs.run_samples(samples, problems, sandbox, limits, 1, tmp_path / "finished")
    expected = [score for scores in found["scores"] for score in scores]
    assert [float(outcome.passed) for outcome in outcomes] == expected
    assert set(expected) == {0.0, 1.0}


def code_problems(folder: Path, name: str, format: str) -> list[programs.Problem]:
    """The problems that are asked, as published files have them."""
    write_jsonl(folder / f"{name}.jsonl", rows.MBPP if name == "mbpp" else rows.HUMANEVAL)
    found = programs.read_problems(folder / f"{name}.jsonl", format, "opencompass")
    ids = SUITE[f"opencompass_{name}"].get("ids")
    return programs.select_problems(found, ids and tuple(ids))


def test_the_perplexity_of_a_text_by_a_real_model(opencompass, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(ROOT / "config/demo/base", checkpoint)
    write_identity(checkpoint)
    engine = open_engine(checkpoint, EngineSettings(dtype="float32"), batch_size=1, threads=1)
    model = EngineLM(engine, tmp_path / "journal", seed=1)
    requests = [argparse.Namespace(args=(text,)) for text in TEXTS]
    found = [-value for value in model.mean_loglikelihood(requests)]
    assert found == pytest.approx(opencompass["perplexities"], rel=1e-4)
