"""What is wrong with the files of lm-eval tasks of one's own, as far as they tell it before anything is measured.

Only the Snakefile and `make check` use it.
"""

from pathlib import Path

from isheep.benchmarks.lm_eval_tasks import defines, texts_of
from isheep.benchmarks.settings import LmEvalSettings
from isheep.config.matrix import Matrix
from isheep.config.metric_names import PythonFunction, TaskLoader, lm_eval_files, read_task
from isheep.fetch.hub_cache import FETCHED
from isheep.files.records import InputError
from isheep.files.yaml_text import read_yaml
from isheep.project import located
from isheep.spelling import nearest, nearest_file

READ_FROM_HERE = ("json", "csv", "text", "parquet", "arrow")
"""A task's dataset_path where its data_files are plain files, named from the working folder."""


def check_task_files(matrix: Matrix) -> None:
    """Raise InputError, with its key, for the first benchmark whose own files do not define its task, or read a file
    that does not exist or that the benchmark does not name."""
    for name in matrix.benchmarks():
        settings = matrix.config.benchmarks[name]
        if settings.kind == "lm_eval" and settings.files:
            _require_task(name, settings)
            _require_data(name, settings)


def _task_files(settings: LmEvalSettings) -> list[Path]:
    return [Path(file) for file in settings.files if file.endswith((".yaml", ".yml")) and Path(file).exists()]


def _require_task(name: str, settings: LmEvalSettings) -> None:
    own = _task_files(settings)
    if not own or any(defines(file, settings.task) for file in [*own, *lm_eval_files()]):
        return
    found = [str(read_task(file).get("task")) for file in own]
    raise InputError(
        f"benchmarks.{name}.task: found {settings.task!r}, but {own[0]} has `task: {found[0]}`"
        f"{nearest(settings.task, found)}; write the same name in both."
    )


def _require_data(name: str, settings: LmEvalSettings) -> None:
    named = {Path(file).resolve() for file in settings.files}
    tasks = {file: read_task(file) for file in _task_files(settings)}
    below = [file.parent / task["include"] for file, task in tasks.items() if isinstance(task.get("include"), str)]
    for task, content in tasks.items():
        for file in _read_beside(task):
            if file.exists() and file.resolve() not in named:
                raise InputError(
                    f"benchmarks.{name}.files: {task} uses {file}, which is not named there; add it, so that a change "
                    "of it is noticed."
                )
        # What another one builds on reads what that one says.
        for file in [] if task in below else _data_files(content):
            if "*" in file:
                raise InputError(
                    f"benchmarks.{name}.files: {task} reads {file}; name each file, there and in data_files, so that a "
                    "change of it is noticed."
                )
            if Path(file).resolve() in named:
                continue
            if not Path(file).exists():
                meant = nearest_file(file, task)
                raise InputError(
                    f"benchmarks.{name}.files: {task} reads {file}, which does not exist{meant}; correct it there "
                    "(data_files, as seen from the folder in which the run is started)."
                )
            raise InputError(
                f"benchmarks.{name}.files: {task} reads {file}, which is not named there; add it, so that a change of "
                "it is noticed."
            )


def _data_files(task: dict) -> list[str]:
    """The files that a task names to read, or patterns of their names, but for those that are fetched."""
    arguments = task.get("dataset_kwargs")
    if task.get("dataset_path") not in READ_FROM_HERE or not isinstance(arguments, dict):
        return []
    files = map(located, texts_of(arguments.get("data_files")))
    return [file for file in files if not file.startswith(f"{FETCHED}/") and "://" not in file]


def _read_beside(task: Path) -> list[Path]:
    """The file that a task's file includes, and those of the Python functions that it names."""
    content = read_yaml(task, TaskLoader)
    if not isinstance(content, dict):
        return []
    included = content.get("include")
    files = [task.parent / included] if isinstance(included, str) else []
    modules = {text.rpartition(".")[0] for text in texts_of(content) if isinstance(text, PythonFunction)}
    return [*files, *(task.parent / f"{module.replace('.', '/')}.py" for module in sorted(modules))]
