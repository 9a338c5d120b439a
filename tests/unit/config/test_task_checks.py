"""What is wrong with the files of a task of one's own is told before anything is measured."""

from pathlib import Path

import pytest
import yaml

from isheep.config.loading import load_config
from isheep.config.matrix import Matrix
from isheep.config.metric_names import PythonFunction
from isheep.config.task_checks import check_task_files
from isheep.files.records import InputError

yaml.SafeDumper.add_representer(PythonFunction, lambda dumper, name: dumper.represent_scalar("!function", str(name)))
TASK = {
    **{"task": "own", "dataset_path": "json", "test_split": "train", "output_type": "multiple_choice"},
    **{"doc_to_text": "{{question}}", "doc_to_choice": ["yes", "no"], "doc_to_target": "answer"},
}


@pytest.fixture
def data(tmp_path) -> Path:
    file = tmp_path / "own.jsonl"
    file.write_text('{"question": "Is a fig a fruit?", "answer": 0}\n')
    return file


def check(folder: Path, reads: object, named: list[Path] = (), name: str = "own", **changes) -> None:
    """Check a benchmark of this task, whose file reads this and which names these files beside it."""
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump(TASK | {"dataset_kwargs": {"data_files": reads}} | changes))
    raw = {
        "experiment": {"name": "x", "recipes": [], "benchmarks": ["mine"]},
        "models": {"m": {"source": "shipped"}},
        "benchmarks": {"mine": {"kind": "lm_eval", "task": name, "files": [str(file), *map(str, named)]}},
    }
    check_task_files(Matrix(load_config(raw, [])))


def test_a_task_whose_files_are_named_is_fine(tmp_path, data):
    check(tmp_path, str(data), [data])
    check(tmp_path, {"train": [str(data)]}, [data])


def test_data_that_the_benchmark_does_not_name_is_told_with_its_key(tmp_path, data):
    with pytest.raises(
        InputError, match=rf"^benchmarks\.mine\.files: {tmp_path}/own.yaml reads {data}, which is not nam"
    ):
        check(tmp_path, {"train": str(data)})


def test_the_data_of_a_task_that_another_one_builds_on_need_not_be_named(tmp_path, data):
    below = tmp_path / "below.yaml"
    below.write_text(yaml.safe_dump({"dataset_kwargs": {"data_files": str(tmp_path / "other.jsonl")}}))
    check(tmp_path, str(data), [data, below], include="below.yaml")


@pytest.mark.parametrize(
    ("file", "changes"),
    [("below.yaml", {"include": "below.yaml"}), ("texts.py", {"doc_to_text": PythonFunction("texts.of")})],
)
def test_what_a_task_includes_or_calls_must_be_named(tmp_path, data, file, changes):
    (tmp_path / file).write_text("")
    with pytest.raises(InputError, match=rf"own.yaml uses {tmp_path}/{file}, which is not named there; add it"):
        check(tmp_path, str(data), [data], **changes)
    check(tmp_path, str(data), [data, tmp_path / file], **changes)


def test_a_pattern_of_files_is_refused(tmp_path, data):
    with pytest.raises(InputError, match=r"own.yaml reads .*\*.jsonl; name each file, there and in data_files"):
        check(tmp_path, str(tmp_path / "*.jsonl"), [data])


def test_tasks_that_include_each_other_are_told(tmp_path, data):
    (tmp_path / "other.yaml").write_text("include: own.yaml\n")
    with pytest.raises(InputError, match="is included by what it includes itself"):
        check(tmp_path, str(data), [data, tmp_path / "other.yaml"], include="other.yaml")


def test_data_that_does_not_exist_is_told_with_the_nearest_file(tmp_path, data):
    with pytest.raises(InputError, match=rf"own.yaml reads {tmp_path}/owm.jsonl, which does not exist; .*own.jsonl'"):
        check(tmp_path, str(tmp_path / "owm.jsonl"), [data])


def test_a_task_of_another_name_is_told(tmp_path, data):
    with pytest.raises(
        InputError, match=r"^benchmarks\.mine\.task: found 'ow', but .*own\.yaml has `task: own`; did you"
    ):
        check(tmp_path, str(data), [data], name="ow")


@pytest.mark.parametrize(
    ("reads", "path"),
    [("results/fetched/x.jsonl", "json"), ("https://host/x.jsonl", "json"), ("x.jsonl", "owner/name"), (None, "json")],
)
def test_data_that_is_no_file_of_the_working_folder_is_left_to_the_job(tmp_path, reads, path):
    check(tmp_path, reads, dataset_path=path)


def test_data_that_lies_beside_its_task_is_told_by_its_place(tmp_path, data):
    with pytest.raises(InputError, match=rf"own.yaml reads own.jsonl, which does not exist; did you mean '{data}'"):
        check(tmp_path, "own.jsonl", [data])
