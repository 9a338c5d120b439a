"""lm-eval's tasks as this workflow runs them: offline, on fetched data, and scored the same in every process."""

import json
import os
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from isheep.fetch.hub_cache import FETCHED, HOW_TO_FETCH, snapshot_of
from isheep.files.records import InputError
from isheep.project import located_all
from isheep.seeding import derive_seed

NEEDS_PUNKT = {"change_case:capital_word_frequency", "length_constraints:number_sentences"}
"""IFEval's constraints whose checkers split text with nltk's `punkt_tab`; the other checkers need no data."""

SCORER_SEED = 0
"""Seed of the items and of their scoring, for every checkpoint alike; lm-eval's own default seed of `random`."""


def stay_offline(caches: str, nltk_data: str | None = None) -> None:
    """Let no library download, and keep prepared data sets in `caches`, which no other job shares.

    To be called before lm-eval, datasets or nltk are imported. nltk_data: the only folder in which nltk looks first.
    """
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    os.environ.update(HF_DATASETS_CACHE=caches, HF_MODULES_CACHE=f"{caches}/modules")
    if nltk_data is not None:
        os.environ["NLTK_DATA"] = nltk_data


def find_task(task: str, files: Sequence[Path]):
    """The lm-eval TaskManager that knows the task: of the folder it lies in alone, that of one of the benchmark's own
    `files` before lm-eval's, since listing the thousands of tasks that come with lm-eval takes longer than measuring a
    small model. Raises InputError for a task that nothing defines, or a file that is not among them.
    """
    from lm_eval.tasks import TaskManager

    folders = sorted({str(file.parent) for file in files})
    _require_one_definition(task, files)
    for places in (folders, _own_folders(task)):
        if places:
            manager = TaskManager(include_path=places, include_defaults=False)
            if task in manager.all_tasks:
                return manager
    manager = TaskManager(include_path=folders or None)
    if task not in manager.all_tasks:
        where = f", nor is it in {', '.join(folders)}" if folders else ""
        raise InputError(
            f"the benchmark's key task (--task): lm-eval has no task {task!r}{where}; correct it, or name the task's "
            "own files under the key files (--task-files)."
        )
    return manager


def _own_folders(task: str) -> list[str]:
    """The folder of the one file of lm-eval's that defines a task or group of this name; none where that is not clear,
    as for a task that a file defines by another key."""
    import lm_eval.tasks

    found = list(_defining(task, Path(lm_eval.tasks.__file__).parent))
    return [str(found[0].parent)] if len(found) == 1 else []


def _require_one_definition(task: str, files: Sequence[Path]) -> None:
    """Raise InputError where another file than the benchmark's own, or a second one of these, defines its task: lm-eval
    looks into all files of a folder, and takes the one that it meets first."""
    named = {file.resolve() for file in files}
    found = {path.resolve(): path for folder in {file.parent for file in files} for path in _defining(task, folder)}
    others = [str(path) for full, path in found.items() if full not in named] or [*map(str, found.values())][1:]
    if others:
        raise InputError(
            f"the benchmark's key files: the task {task!r} is also defined by {min(others)}, and lm-eval would take "
            "either; give it another name there, or move that file to another folder."
        )


def _defining(task: str, folder: Path) -> Iterator[Path]:
    """The files below a folder that define a task or group of this name."""
    return (path for path in folder.rglob("*.yaml") if defines(path, task))


def defines(file: Path, task: str) -> bool:
    """Whether a file of lm-eval's form defines a task or group of this name by a key of its own."""
    name, content = task.encode(), file.read_bytes()
    key = rb"^(?:task|group):\s*['\"]?" + re.escape(name) + rb"['\"]?\s*(?:#.*)?$"
    return name in content and re.search(key, content, re.MULTILINE) is not None


@contextmanager
def no_download() -> Iterator[None]:
    """Within it, lm-eval's IFEval may be imported. Where nltk's `punkt_tab` is missing, lm-eval downloads it while it
    imports IFEval, whether it is needed or not, but only in the process of rank 0.
    """
    os.environ["LOCAL_RANK"] = "1"
    try:
        yield
    finally:
        del os.environ["LOCAL_RANK"]


def load_without_download(manager, task: str) -> list:
    """lm-eval's Task objects of a task or group.

    Some tasks shuffle their items by `random` while they are loaded (GPQA its choices), and datasets keeps what was
    made first; so `random` is seeded here. Raises InputError for a task that cannot be read as its file says.
    """
    from jinja2 import TemplateError

    random.seed(SCORER_SEED)
    try:
        with no_download():
            return list(manager.load([task])["tasks"].values())
    except (KeyError, IndexError, TemplateError) as error:
        raise InputError(
            f"the task {task} cannot be read: its file names a field, a split or an answer that its data do not have "
            f"({type(error).__name__}: {error}); correct the file, or its data."
        ) from error


def check_punkt(tasks: list) -> None:
    """Raise InputError, before any text is written, if a constraint's checker lacks its data."""
    import nltk

    for task in tasks:
        for doc in task.eval_docs:
            needed = NEEDS_PUNKT.intersection(doc.get("instruction_id_list") or ())
            if not needed:
                continue
            try:
                nltk.data.find("tokenizers/punkt_tab/english")
            except LookupError:
                raise InputError(
                    f"the task {task.task_name} has the constraint {min(needed)}, whose checker needs nltk's "
                    f"punkt_tab; set the benchmark's key nltk to true and {HOW_TO_FETCH} (--nltk-data names a folder "
                    "with tokenizers/punkt_tab)."
                ) from None
            return


def question_of(task, doc: dict) -> str:
    """The text of one document as the task puts it, without worked examples and chat template.

    Where a task compares one ending after several beginnings, as Winogrande does, or whole statements, these are whole
    sentences, a line each.
    """
    text = task.doc_to_text(doc)
    if text == "":
        return "\n".join(task.doc_to_choice(doc))
    if isinstance(text, str):
        return text
    ending = f"{task.config.target_delimiter}{task.doc_to_target(doc)}"
    return "\n".join(f"{beginning}{ending}" for beginning in task.doc_to_choice(doc))


def kept_items(tasks: list, excluded: dict[str, list], limit: int | None) -> dict[str, list[int]]:
    """Positions of a task's items, without those whose field has an excluded value, and at most `limit` of them.

    excluded: field → values. Raises InputError for a value that no item of any task has.
    """
    kept, met = {}, set()
    for task in tasks:
        positions = []
        for position, doc in enumerate(task.eval_docs):
            hits = {(field, value) for field, values in excluded.items() for value in values if doc.get(field) == value}
            met |= hits
            if not hits:
                positions.append(position)
        kept[task.task_name] = positions[:limit]
    for field, values in excluded.items():
        for value in values:
            if (field, value) not in met:
                raise InputError(
                    f"the benchmark's key exclude (--exclude): no item of the task has {field} {value!r}; leave it out "
                    "or correct it."
                )
    return kept


@contextmanager
def fetched_data(cache: str | None, found: dict[str, str], files: Sequence[Path] | None = None) -> Iterator[None]:
    """Let lm-eval's tasks load the hub's data sets from what was fetched into `cache`, a folder of a hub cache.

    found: gets the commit of every data set that was loaded. A data set that was not fetched is an InputError with its
    name. The libraries themselves find no data set offline that they have not prepared online. files: the benchmark's
    own; a task that reads another one is an InputError, since a change of that one would not be noticed. None: any.
    """
    import datasets

    load = datasets.load_dataset
    known = None if files is None else {file.resolve() for file in files}

    def load_fetched(path: str, *arguments, **keywords):
        if path.count("/") == 1 and not Path(path).exists():
            if cache is None:
                raise InputError(
                    f"the task needs the data set {path}; name it under the benchmark's key hub, so that it is fetched "
                    "(--hub-data names the folder that it was fetched to)."
                )
            snapshot = snapshot_of(cache, path)
            found[path] = snapshot.name
            path = str(snapshot)
        keywords = located_all(keywords)
        for file in texts_of(keywords.get("data_files")) if known is not None else ():
            if Path(file).is_file() and f"{FETCHED}/" not in file and Path(file).resolve() not in known:
                raise InputError(
                    f"the task reads {file}, which the benchmark's key files does not name; add it there, so that a "
                    "change of it is noticed."
                )
        return load(path, *arguments, **keywords)

    datasets.load_dataset = load_fetched
    try:
        yield
    finally:
        datasets.load_dataset = load


def texts_of(content: object) -> Iterator[str]:
    """The texts in what may be one, a list or a dictionary of such."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list | tuple):
        for part in content.values() if isinstance(content, dict) else content:
            yield from texts_of(part)


def check_answers(tasks: Iterable) -> None:
    """Raise InputError for the first item of a multiple choice whose right answer is none of its choices: lm-eval would
    count it as answered wrong."""
    from lm_eval.api.task import ConfigurableTask

    for task in tasks:
        if type(task) is not ConfigurableTask or task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input:
            continue
        for number, doc in enumerate(task.eval_docs):
            choices, answer = task.doc_to_choice(doc), task.doc_to_target(doc)
            for one in answer if isinstance(answer, list) else [answer]:
                if one not in choices if isinstance(one, str) else one not in range(len(choices)):
                    raise InputError(
                        f"the task {task.config.task}: the right answer of item {number} (from 0) is {one!r}, but its "
                        f"choices are {', '.join(map(repr, choices))}; write one of them, or its number from 0 to "
                        f"{len(choices) - 1} without quotes."
                    )


@contextmanager
def seeded_scoring() -> Iterator[None]:
    """Give every item's scoring the same random numbers in whatever order and process it is scored.

    IFEval's checkers draw a letter where an item asks for a sign that is none (keys 1122 and 1129), and langdetect
    samples the text whose language it names.
    """
    from langdetect import DetectorFactory
    from lm_eval.api.task import ConfigurableTask

    score, seed = ConfigurableTask.process_results, DetectorFactory.seed

    def score_seeded(task, doc, results):
        random.seed(derive_seed(SCORER_SEED, json.dumps(doc, sort_keys=True, default=str)))
        return score(task, doc, results)

    ConfigurableTask.process_results, DetectorFactory.seed = score_seeded, SCORER_SEED
    try:
        yield
    finally:
        ConfigurableTask.process_results, DetectorFactory.seed = score, seed
