"""lm-eval's tasks are found by their names without listing all of them."""

import pytest
import yaml

from isheep.lm_eval_tasks import find_task
from isheep.records import InputError
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
    (tmp_path / "boolq.yaml").write_text("task: boolq\ndataset_path: json\n")
    assert find_task("boolq", [str(tmp_path)]).all_tasks == ["boolq"]


def test_a_task_of_no_file_is_one_sentence():
    with pytest.raises(InputError, match="has no task 'no_such_task'"):
        find_task("no_such_task", [])
