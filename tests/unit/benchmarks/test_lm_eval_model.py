"""lm-eval through the engine: the adaptor, and the program that measures a checkpoint."""

import json
import math
import os
import shutil
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
from transformers.data.metrics.squad_metrics import squad_evaluate

import measure as program
from isheep.benchmarks.lm_eval_model import EngineLM, sampling_from
from isheep.benchmarks.lm_eval_tasks import NEEDS_PUNKT, check_punkt, fetched_data, kept_items, load_without_download
from isheep.engine.engine import EngineSettings, Sampling
from isheep.engine.opening import open_engine
from isheep.files.records import InputError, read_jsonl

ROOT = Path(__file__).parents[3]
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
    check_punkt([other, SimpleNamespace(task_name="choice", eval_docs=[{"question": "Where?"}])])
    with pytest.raises(InputError, match="the task tiny has the constraint length_constraints:number_sentences"):
        check_punkt([other, needy])
    (tmp_path / "tokenizers" / "punkt_tab" / "english").mkdir(parents=True)
    check_punkt([other, needy])


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
    assert needy == NEEDS_PUNKT


def test_nothing_is_downloaded_where_punkt_is_missing(monkeypatch, tmp_path, manager):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: pytest.fail("tried to download"))
    for name in [name for name in sys.modules if name.startswith("lm_eval.tasks.ifeval")]:
        monkeypatch.delitem(sys.modules, name)
    (task,) = load_without_download(manager, "tiny_ifeval")
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
    assert sorted(path.name for path in (tmp_path / "out").glob("[a-z]*")) == ["items.jsonl", "result.json"]
    items = read_jsonl(tmp_path / "out" / "items.jsonl")
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    prompt, parts, *_ = record["scores"]
    assert (prompt["metric"], prompt["n"], prompt["n_valid"]) == ("prompt_level_strict_acc", 8, 8)
    assert prompt["value"] == pytest.approx(sum(item["metrics"]["prompt_level_strict_acc"] for item in items) / 8)
    assert prompt["standard_error"] == pytest.approx((prompt["value"] * (1 - prompt["value"]) / 7) ** 0.5)
    assert (parts["metric"], parts["n"], parts["standard_error"]) == ("inst_level_strict_acc", 10, None)
    assert (
        record["answered_by"]["engine"]["checkpoint"]
        == json.loads((tiny_checkpoint / "identity.json").read_text())["sha256"]
    )
    assert record["answered_by"]["chat_template_sha256"] is not None
    assert (record["judge"], record["notes"], record["data"]) == (None, [], {})
    assert (record["seed"], record["num_fewshot"], record["task_version"]) == (3, 0, 1.0)
    assert items[0]["prompt"].startswith("<|im_start|>user\nName one fruit.")


def test_an_unknown_task_is_one_sentence(tiny_checkpoint, tmp_path):
    done = run_program(tiny_checkpoint, tmp_path, "--task", "no_such_task", "--raw")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "Error: the benchmark's key task (--task): lm-eval has no task 'no_such_task'"
    )
    assert not any((tmp_path / "out").glob("*")), "nothing is written"


def test_items_are_left_out_by_a_field_and_the_record_says_so(tiny_checkpoint, tmp_path):
    files = [f"{TASKS}/tiny_ifeval.yaml", f"{TASKS}/tiny_ifeval.jsonl"]
    flags = ["--exclude", '{"key": [1, 4]}', "--limit", "3"]
    done = run_program(tiny_checkpoint, tmp_path, "--task", "tiny_ifeval", "--task-files", *files, "--raw", *flags)
    assert done.returncode == 0, done.stderr
    assert [item["id"] for item in read_jsonl(tmp_path / "out" / "items.jsonl")] == [1, 2, 4]
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["scores"][0]["n"] == 3
    assert record["excluded"] == {"key": [1, 4]}
    assert record["notes"] == ["Left out: items whose key is 1, 4.", "Only the first 3 items."]


def test_an_excluded_value_that_no_item_has_is_an_error():
    task = SimpleNamespace(task_name="tiny", eval_docs=[{"key": 1}, {"key": 2}])
    assert kept_items([task], {"key": [2]}, None) == {"tiny": [0]}
    with pytest.raises(InputError, match="no item of the task has key 3; leave it out"):
        kept_items([task], {"key": [2, 3]}, None)


@pytest.fixture
def hub(tmp_path):
    """A hub cache with the data set tiny/places, whose card names its files as cards at the hub do."""
    files = tmp_path / "hub" / "datasets--tiny--places" / "snapshots" / ("1" * 40)
    (files / "places").mkdir(parents=True)
    shutil.copy(ROOT / TASKS / "tiny_choice.jsonl", files / "places" / "test.jsonl")
    (files / "README.md").write_text(
        "---\nconfigs:\n- config_name: places\n  data_files:\n  - {split: test, path: places/test*}\n"
        "- config_name: animals\n  data_files:\n  - {split: test, path: animals/test*}\n---\n"
    )
    (files.parents[1] / "refs").mkdir()
    (files.parents[1] / "refs" / "main").write_text("1" * 40)
    return tmp_path / "hub"


def test_a_task_of_the_hub_reads_what_was_fetched_and_its_commit_is_recorded(tiny_checkpoint, tmp_path, hub):
    task = tmp_path / "tasks" / "hub_choice.yaml"
    task.parent.mkdir()
    text = (ROOT / TASKS / "tiny_choice.yaml").read_text()
    local = "dataset_path: json\ndataset_kwargs:\n  data_files: {test: tests/data/tasks/tiny_choice.jsonl}\n"
    assert local in text
    task.write_text(text.replace(local, "dataset_path: tiny/places\ndataset_name: places\n"))
    flags = ["--task", "tiny_choice", "--task-files", str(task), "--raw"]
    done = run_program(tiny_checkpoint, tmp_path, *flags, "--hub-data", str(hub))
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["data"] == {"tiny/places": "1" * 40}
    assert record["scores"][0]["n"] == 6


def test_a_data_set_that_was_not_fetched_is_named_at_once(manager, tmp_path, hub):
    with fetched_data(str(hub), {}), pytest.raises(InputError, match="the dataset tiny/animals has not been fetched"):
        datasets.load_dataset("tiny/animals")
    with (
        fetched_data(None, {}),
        pytest.raises(InputError, match=r"needs the data set tiny/places; name it under the benchmark's key hub"),
    ):
        datasets.load_dataset("tiny/places")


def official(docs: list[dict], predictions: list[str], probabilities: list[float]) -> dict[str, float]:
    """The official evaluation of all questions at once, as shares."""
    examples = [
        SimpleNamespace(qas_id=doc["id"], answers=[{"text": text} for text in doc["answers"]["text"]]) for doc in docs
    ]
    by_id = [
        {doc["id"]: value for doc, value in zip(docs, given, strict=True)} for given in (predictions, probabilities)
    ]
    found = squad_evaluate(examples, *by_id)
    return {name: value / 100 for name, value in found.items() if not name.endswith("total") and "thresh" not in name}


def test_squad_is_scored_without_code_from_the_hub(manager, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "config/tasks")
    from squadv2 import SQuAD2

    answers = [["in Italy", "Italy"], ["France"], []]
    predictions = ["Italy.", "in the south of France", "nowhere"]
    probabilities = [0.1, 0.2, 0.9]
    task = SQuAD2.__new__(SQuAD2)
    docs = [
        {"id": str(number), "answers": {"text": golds, "answer_start": [0] * len(golds)}}
        for number, golds in enumerate(answers)
    ]
    items = [
        task.process_results(doc, [text, (math.log(probability), False)])
        for doc, text, probability in zip(docs, predictions, probabilities, strict=True)
    ]
    values = {name: [item[name] for item in items if name in item] for name in task.aggregation()}
    metrics = {name: aggregate(values[name]) for name, aggregate in task.aggregation().items()}
    assert metrics["HasAns_exact"] == pytest.approx(1 / 2), "articles, case and punctuation do not count"
    assert metrics["HasAns_f1"] == pytest.approx((1 + 2 * (1 / 4) / (1 / 4 + 1)) / 2), "one of four words is right"
    assert metrics["NoAns_exact"] == 0
    assert metrics["exact"] == pytest.approx(1 / 3)
    assert metrics["best_exact"] == pytest.approx(2 / 3), "the third is right where 0.9 means unanswerable"
    assert set(metrics) == set(task.higher_is_better())
    assert values["exact"] == [1, 0, 0], "of each question, so that checkpoints are compared on them"
    assert (len(values["HasAns_f1"]), len(values["NoAns_f1"])) == (2, 1)
    assert metrics == pytest.approx(official(docs, predictions, probabilities))


def test_items_that_a_task_shuffles_while_it_loads_come_in_one_order(monkeypatch, tmp_path):
    (tmp_path / "shuffled.py").write_text(
        "import random\n\n\ndef shuffle(data):\n"
        "    return data.map(lambda doc: {'order': random.sample(range(100), 10)}, load_from_cache_file=False)\n"
    )
    monkeypatch.chdir(ROOT)
    text = (ROOT / TASKS / "tiny_choice.yaml").read_text().replace("tiny_choice\n", "shuffled\n", 1)
    (tmp_path / "shuffled.yaml").write_text(text + "process_docs: !function shuffled.shuffle\n")
    orders = []
    for run in ("a", "b"):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / run))
        (task,) = load_without_download(TaskManager(include_path=str(tmp_path), include_defaults=False), "shuffled")
        orders.append([doc["order"] for doc in task.eval_docs])
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[0][1]


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
