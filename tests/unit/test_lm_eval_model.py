"""lm-eval through the engine: the adaptor, and the program that measures a checkpoint."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import datasets
import lm_eval
import nltk
import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

import measure as program
from isheep.engine import EngineSettings, Sampling, open_engine
from isheep.lm_eval_model import EngineLM, sampling_from
from isheep.records import InputError, read_jsonl

ROOT = Path(__file__).parents[2]
TASKS = "tests/data/tasks"


@pytest.fixture(scope="module")
def engine(tiny_checkpoint):
    return open_engine(tiny_checkpoint, EngineSettings(dtype="float32"), batch_size=16, threads=1)


@pytest.fixture
def model(engine, tmp_path):
    return EngineLM(engine, tmp_path / "journal", seed=1)


@pytest.fixture
def manager(monkeypatch, tmp_path):
    """Knows the tasks of the tests alone; prepared data sets go to a folder of the test."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    return TaskManager(include_path=TASKS, include_defaults=False)


def instance(*arguments) -> Instance:
    return Instance(request_type="generate_until", doc={}, arguments=arguments, idx=0)


@pytest.mark.parametrize("chat", [False, True])
def test_multiple_choice_is_scored_as_by_lm_eval_s_own_model(model, manager, tiny_checkpoint, chat):
    own = HFLM(str(tiny_checkpoint), device="cpu", dtype="float32", batch_size=4)
    results = [
        lm_eval.simple_evaluate(lm, tasks=["tiny_choice"], task_manager=manager, apply_chat_template=chat)
        for lm in (model, own)
    ]
    ours, theirs = (result["samples"]["tiny_choice"] for result in results)
    assert results[0]["results"]["tiny_choice"]["acc,none"] == results[1]["results"]["tiny_choice"]["acc,none"]
    for our, their in zip(ours, theirs, strict=True):
        assert our["arguments"] == their["arguments"]
        for (our_logprob, our_greedy), (logprob, greedy) in zip(
            our["filtered_resps"], their["filtered_resps"], strict=True
        ):
            assert our_logprob == pytest.approx(logprob, abs=1e-3)
            assert our_greedy == greedy


def test_whole_texts_longer_than_the_context_are_scored(model, tiny_checkpoint):
    own = HFLM(str(tiny_checkpoint), device="cpu", dtype="float32", max_length=model.max_length - 2)
    asked = [instance("Where is Paris? " * 60), instance("Rome is in Italy."), instance("")]
    assert model.loglikelihood_rolling(asked[:2]) == pytest.approx(own.loglikelihood_rolling(asked[:2]), abs=0.01)
    assert model.loglikelihood_rolling(asked[2:]) == [0.0]


def test_generated_texts_depend_on_seed_and_prompt_alone(engine, tmp_path):
    settings = {"until": [], "do_sample": True, "temperature": 1.0, "max_gen_toks": 16}
    asked = [instance(prompt, settings) for prompt in ("Rome", "Paris", "Rome")]
    first = EngineLM(engine, tmp_path / "a", seed=1).generate_until(asked)
    assert first[0] != first[2], "repeats of a prompt are other draws"
    assert EngineLM(engine, tmp_path / "b", seed=1).generate_until(asked[1:]) == [first[1], first[0]]
    assert EngineLM(engine, tmp_path / "c", seed=2).generate_until(asked) != first


def test_the_raw_suffix_follows_the_prompt(engine, tmp_path):
    greedy = {"until": [], "max_gen_toks": 16}
    raw = EngineLM(engine, tmp_path / "a", seed=1, raw_suffix="\n").generate_until([instance("Rome", greedy)])
    assert raw == EngineLM(engine, tmp_path / "b", seed=1).generate_until([instance("Rome\n", greedy)])
    assert raw != EngineLM(engine, tmp_path / "c", seed=1).generate_until([instance("Rome", greedy)])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"until": ["\n"], "max_gen_toks": 9}, Sampling(temperature=0, max_tokens=9, stop=("\n",))),
        (
            {"until": "Q:", "do_sample": False, "temperature": 0.0},
            Sampling(temperature=0, max_tokens=256, stop=("Q:",)),
        ),
        ({"do_sample": True, "max_gen_toks": 9}, Sampling(temperature=1, max_tokens=9)),
        ({"temperature": 0.5, "top_p": 0.9, "max_gen_toks": 9}, Sampling(temperature=0.5, top_p=0.9, max_tokens=9)),
    ],
)
def test_generation_settings_are_read_as_lm_eval_reads_them(settings, expected):
    assert sampling_from(settings) == expected


def test_an_unknown_generation_setting_is_an_error():
    with pytest.raises(InputError, match="'num_beams'; allowed are do_sample, max_gen_toks"):
        sampling_from({"until": [], "num_beams": 4})


def test_a_missing_punkt_is_an_error_only_where_it_is_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    needy, other = (
        SimpleNamespace(task_name="tiny", eval_docs=[{"instruction_id_list": [name]}])
        for name in ("length_constraints:number_sentences", "punctuation:no_comma")
    )
    program.check_punkt([other, SimpleNamespace(task_name="choice", eval_docs=[{"question": "Where?"}])])
    with pytest.raises(InputError, match="the task tiny has the constraint length_constraints:number_sentences"):
        program.check_punkt([other, needy])
    (tmp_path / "tokenizers" / "punkt_tab").mkdir(parents=True)
    program.check_punkt([other, needy])


def test_every_checker_that_needs_punkt_is_known(monkeypatch, tmp_path):
    from lm_eval.tasks.ifeval import instructions_registry as registry
    from lm_eval.tasks.ifeval import instructions_util

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    instructions_util._get_sentence_tokenizer.cache_clear()
    needy = set()
    for name, checker_class in registry.INSTRUCTION_DICT.items():
        checker = checker_class(name)
        arguments = {"prompt_to_repeat": "Rome"} if name == "combination:repeat_prompt" else {}
        checker.build_description(**arguments)
        try:
            checker.check_following("Rome is in Italy. PARIS is in France.")
        except LookupError:
            needy.add(name)
    assert needy == program.NEEDS_PUNKT


def test_nothing_is_downloaded_where_punkt_is_missing(monkeypatch, tmp_path, manager):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: pytest.fail("tried to download"))
    for name in [name for name in sys.modules if name.startswith("lm_eval.tasks.ifeval")]:
        monkeypatch.delitem(sys.modules, name)
    (task,) = program.load_without_download(manager, "tiny_ifeval")
    assert task.task_name == "tiny_ifeval"
    assert "LOCAL_RANK" not in os.environ


def run_program(checkpoint: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess:
    """Run measure.py with a home of its own, which must stay empty."""
    home = folder / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [sys.executable, "scripts/measure.py", "--checkpoint", str(checkpoint), "--benchmark", "tiny"]
    command += ["--engine", '{"dtype": "float32"}', "--seed", "3", "--batch-size", "16"]
    command += ["--items", str(folder / "out" / "items.jsonl"), "--result", str(folder / "out" / "result.json")]
    done = subprocess.run(
        [*command, *flags], cwd=ROOT, env=environment | {"HOME": str(home)}, capture_output=True, text=True
    )
    assert list(home.iterdir()) == []
    return done


def test_the_program_writes_items_and_one_record(tiny_checkpoint, tmp_path):
    files = [f"{TASKS}/tiny_ifeval.yaml", f"{TASKS}/tiny_ifeval.jsonl"]
    done = run_program(tiny_checkpoint, tmp_path, "--task", "tiny_ifeval", "--task-files", *files, "--chat")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["items.jsonl", "result.json"]
    items = read_jsonl(tmp_path / "out" / "items.jsonl")
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    prompt, parts, *_ = record["scores"]
    assert (prompt["metric"], prompt["n"], prompt["n_valid"]) == ("prompt_level_strict_acc", 8, 8)
    assert prompt["value"] == pytest.approx(sum(item["metrics"]["prompt_level_strict_acc"] for item in items) / 8)
    assert prompt["standard_error"] == pytest.approx((prompt["value"] * (1 - prompt["value"]) / 7) ** 0.5)
    assert (parts["metric"], parts["n"], parts["standard_error"]) == ("inst_level_strict_acc", 10, None)
    assert record["engine"]["checkpoint"] == json.loads((tiny_checkpoint / "identity.json").read_text())["sha256"]
    assert record["chat_template_sha256"] is not None
    assert (record["seed"], record["num_fewshot"], record["task_version"]) == (3, 0, 1.0)
    assert items[0]["prompt"].startswith("<|im_start|>user\nName one fruit.")


def test_an_unknown_task_is_one_sentence(tiny_checkpoint, tmp_path):
    done = run_program(tiny_checkpoint, tmp_path, "--task", "no_such_task", "--raw")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: --task: lm-eval has no task 'no_such_task'")
    assert not (tmp_path / "out").exists()


def test_a_score_counts_what_is_missing():
    aggregated = {"alias": "t", "acc,none": 0.5, "acc_stderr,none": 0.5, "em,strict": 0.0, "em_stderr,strict": "N/A"}
    samples = [
        {"filter": "none", "acc": 1.0},
        {"filter": "none", "acc": 0.0},
        {"filter": "none", "acc": float("nan")},
        {"filter": "strict", "em": 0},
    ]
    accuracy, match = program.scores("t", aggregated, samples)
    assert accuracy == {"metric": "acc", "value": 0.5, "standard_error": 0.5, "n": 3, "n_valid": 2}
    assert match == {"metric": "em,strict", "value": 0.0, "standard_error": None, "n": 1, "n_valid": 1}
    with pytest.raises(InputError, match="gives no score for 'tag'"):
        program.scores("tag", None, samples)
