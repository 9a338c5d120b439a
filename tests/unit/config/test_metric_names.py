"""A metric that nobody reports is refused before anything is measured, where kind, settings or task file tell it."""

from pathlib import Path

import pytest
import yaml

from isheep.config.loading import load_config
from isheep.config.matrix import Matrix
from isheep.config.metric_names import check_metrics, known_metrics
from isheep.files.records import InputError

DEMO = "config/config.yaml"


@pytest.fixture
def raw():
    return yaml.safe_load(Path(DEMO).read_text())


def matrix_of(raw):
    return Matrix(load_config(raw, [DEMO]))


def with_column(raw, **column):
    raw["experiment"]["benchmarks"] = None
    raw["tables"]["main"]["columns"] = [{"label": "x", "metric": "acc"} | column]
    return matrix_of(raw)


@pytest.mark.parametrize("file", [DEMO, "config/paper.yaml", "config/published.yaml", "config/demo_matrix.yaml"])
def test_shipped_configurations_ask_for_metrics_that_there_are(file):
    check_metrics(Matrix(load_config(yaml.safe_load(Path(file).read_text()), [file])))


@pytest.mark.parametrize(
    ("benchmark", "metric", "sentence"),
    [
        (
            "ifeval",
            "prompt_strict_acc",
            r"tables.main.columns: found the metric 'prompt_strict_acc', but ifeval reports prompt_level_strict_acc, "
            r".*; did you mean 'prompt_level_strict_acc'\?; if it does report this too, say so in "
            r"benchmarks.ifeval.metrics\.$",
        ),
        ("ifeval_greedy", "acc", "ifeval_greedy reports prompt_level_strict_acc, .*benchmarks.ifeval_greedy.metrics"),
        ("choice", "acc_norm", "found the metric 'acc_norm', but choice reports acc; did you mean 'acc'"),
        ("mt_bench", "turn_3", r"mt_bench reports average, turn_1, turn_2, category_.*; did you mean 'turn_[12]'\?\.$"),
        ("mt_bench", "turn_1_category_math", "found the metric 'turn_1_category_math', but mt_bench reports"),
    ],
    ids=["task of our own", "task that includes another", "multiple choice", "turn", "category"],
)
def test_a_metric_that_nobody_reports_is_refused(raw, benchmark, metric, sentence):
    with pytest.raises(InputError, match=sentence):
        check_metrics(with_column(raw, benchmark=benchmark, metric=metric))


def test_a_metric_is_filled_from_the_rows_before_it_is_looked_up(raw):
    rows = [{"model": "demo", "label": str(turn), "values": {"turn": str(turn)}} for turn in (2, 3)]
    raw["tables"]["main"]["rows"] = rows
    with pytest.raises(InputError, match="found the metric 'turn_3'"):
        check_metrics(with_column(raw, benchmark="mt_bench", metric="turn_{turn}"))


def test_what_the_configuration_names_is_believed(raw):
    raw["benchmarks"]["choice"]["metrics"] = ["acc", "acc_mutual_info"]
    check_metrics(with_column(raw, benchmark="choice", metric="acc_mutual_info"))


def test_a_figure_is_refused_too(raw):
    raw["figures"]["sweep"] = {
        **{"kind": "sweep", "caption": "x", "x_label": "x", "model": "demo", "iterations": [1]},
        "points": [{"x": "1", "recipe": "one_base"}],
        "panels": [{"benchmark": "choice", "metric": "exact_match", "label": "x"}],
    }
    with pytest.raises(InputError, match=r"figures.sweep.panels: found the metric 'exact_match', but choice"):
        check_metrics(matrix_of(raw))


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("hellaswag", ("acc", "acc_norm")),
        ("nq_open", ("exact_match,remove_whitespace",)),
        ("gsm8k", ("exact_match,strict-match", "exact_match,flexible-extract")),
        ("mmlu", ()),
        ("no_such_task", ()),
    ],
    ids=["list", "filter", "two filters", "group", "unknown"],
)
def test_lm_evals_own_tasks_tell_theirs(raw, task, metrics):
    raw["benchmarks"]["choice"] = {"kind": "lm_eval", "task": task}
    assert known_metrics(matrix_of(raw), "choice") == metrics


@pytest.mark.parametrize(
    ("content", "metrics"),
    [
        ("output_type: multiple_choice", ("acc", "acc_norm")),
        ("metric_list: [{metric: !function mine.rate}]", ()),
        ("class: !function mine.Task", ()),
        ("include: below\nmetric_list: [{metric: f1}]", ("f1,first",)),
        ("include: below", ("acc,first",)),
    ],
    ids=["by its output", "by a function", "by a class", "included, with its own list", "included"],
)
def test_a_task_file_says_what_it_can(raw, tmp_path, content, metrics):
    (tmp_path / "below").write_text("metric_list: [{metric: acc}]\nfilter_list: [{name: first, filter: []}]\n")
    (tmp_path / "mine.yaml").write_text(f"task: mine\n{content}\n")
    raw["benchmarks"]["choice"] = {"kind": "lm_eval", "task": "mine", "files": [str(tmp_path / "mine.yaml")]}
    assert known_metrics(matrix_of(raw), "choice") == metrics


def test_what_the_suite_declares_is_what_the_tasks_files_say(raw):
    suite = yaml.safe_load(Path("config/suite.yaml").read_text())["benchmarks"]
    declared = {name: settings.pop("metrics") for name, settings in suite.items() if "metrics" in settings}
    raw |= {"benchmarks": suite, "tables": {}, "experiment": raw["experiment"] | {"benchmarks": None}}
    matrix = matrix_of(raw)
    found = {name: set(known_metrics(matrix, name)) for name in declared}
    unknown = {"mmlu", "squadv2"}
    assert {name for name in found if not found[name]} == unknown, "a group, and a task that is a class"
    assert all(found[name] == set(declared[name]) for name in set(found) - unknown)
