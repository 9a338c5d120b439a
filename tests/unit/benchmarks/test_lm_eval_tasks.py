"""lm-eval's tasks are found by their names without listing all of them."""

import json

import numpy
import pytest
import yaml

import measure
from isheep.benchmarks.lm_eval_tasks import check_answers, fetched_data, find_task, load_without_download
from isheep.files.records import InputError, write_jsonl
from workspace import ROOT

MOST = 100
"""Of the thousands that come with lm-eval, a folder has a few; MMLU's has 57 subjects and their groups."""


def test_each_task_of_the_suite_is_found_in_its_own_folder():
    suite = yaml.safe_load((ROOT / "config/suite.yaml").read_text())["benchmarks"].values()
    names = [entry["task"] for entry in suite if entry["kind"] == "lm_eval" and not entry.get("files")]
    assert len(names) > 10
    for name in names:
        tasks = find_task(name, []).all_tasks
        assert name in tasks
        assert len(tasks) < MOST


def test_a_folder_of_our_own_comes_first(tmp_path):
    file = tmp_path / "boolq.yaml"
    file.write_text("task: boolq\ndataset_path: json\n")
    assert find_task("boolq", [file]).all_tasks == ["boolq"]


@pytest.mark.parametrize(
    "named", [["one.yaml", "data.jsonl"], ["one.yaml", "two.yaml"], ["sub/data.jsonl", "one.yaml"]]
)
def test_a_task_that_two_files_define_is_refused(tmp_path, named):
    for file in ("one.yaml", "two.yaml", "sub/three.yaml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("task: mine\ndataset_path: json\n")
    with pytest.raises(InputError, match=r"the task 'mine' is also defined by .*/(two|sub/three)\.yaml"):
        find_task("mine", [tmp_path / file for file in named])


def test_a_file_of_data_that_the_benchmark_does_not_name_is_refused(tmp_path, monkeypatch):
    import datasets

    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "a"}\n')
    with fetched_data(None, {}, [data]):
        assert len(datasets.load_dataset("json", data_files={"test": str(data)}, cache_dir=str(tmp_path))["test"]) == 1
    with (
        fetched_data(None, {}, []),
        pytest.raises(InputError, match=r"data\.jsonl, which the benchmark's key files does"),
    ):
        datasets.load_dataset("json", data_files={"test": str(data)}, cache_dir=str(tmp_path))


def test_scores_of_numpy_numbers_can_be_written():
    values = [numpy.float64(1.0), numpy.float64(0.0), numpy.float64("nan")]
    samples = [{"filter": "none", "exact_match": value} for value in values]
    [score] = measure.scores("mine", {"exact_match,none": numpy.float64(0.5)}, samples)
    assert (score["n"], score["n_valid"]) == (3, 2)
    json.dumps(score)


def test_a_task_of_no_file_is_one_sentence():
    with pytest.raises(InputError, match="has no task 'no_such_task'"):
        find_task("no_such_task", [])


@pytest.mark.parametrize(
    ("changes", "told"), [({"doc_to_text": "{{prompt}}"}, "'prompt' is undefined"), ({"test_split": "dev"}, "'dev'")]
)
def test_a_field_or_split_that_the_data_lack_is_told(tmp_path, changes, told):
    with pytest.raises(InputError, match=rf"^the task mine cannot be read: its file names a field.*{told}"):
        loaded(tmp_path, ["yes"], **changes)


@pytest.mark.parametrize(
    ("answer", "told"), [("1", "is '1'"), (2, "is 2"), ("maybe", "is 'maybe'"), (1, ""), ("no", "")]
)
def test_an_answer_that_is_none_of_the_choices_is_told(tmp_path, answer, told):
    # lm-eval itself looks at the first item
    tasks = loaded(tmp_path, ["yes" if isinstance(answer, str) else 0, answer])
    if not told:
        check_answers(tasks)
        return
    with pytest.raises(
        InputError, match=rf"the task mine: the right answer of item 1 \(from 0\) {told}, but its choices"
    ):
        check_answers(tasks)


def loaded(folder, answers, **changes):
    """The tasks of a file about questions with these answers."""
    data, task = folder / "mine.jsonl", folder / "mine.yaml"
    write_jsonl(data, [{"question": "Is a fig a fruit?", "answer": answer} for answer in answers])
    content = {
        **{"task": "mine", "dataset_path": "json", "dataset_kwargs": {"data_files": str(data)}, "test_split": "train"},
        **{"output_type": "multiple_choice", "doc_to_text": "{{question}}", "doc_to_choice": ["yes", "no"]},
    }
    task.write_text(yaml.safe_dump(content | {"doc_to_target": "answer"} | changes))
    with fetched_data(None, {}, [task, data]):
        return load_without_download(find_task("mine", [task]), "mine")
