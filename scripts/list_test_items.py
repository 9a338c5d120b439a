"""List the test items of a benchmark, each once, with the text in which a training set's overlap is looked for."""

import argparse
import json
import tempfile
from pathlib import Path

from isheep import cli
from isheep.benchmarks.lm_eval_tasks import (
    fetched_data,
    find_task,
    kept_items,
    load_without_download,
    question_of,
    stay_offline,
)
from isheep.data.contamination import without_frame
from isheep.files.ownership import Output
from isheep.files.reading import once_each
from isheep.files.records import InputError, write_jsonl


def main(arguments: argparse.Namespace) -> None:
    """Write id and text of every item."""
    items = READERS[arguments.kind](arguments)
    write_jsonl(arguments.output, once_each(items, f"the test items of --kind {arguments.kind}"))
    print(f"{arguments.output}: {len(items)} test items")


def lm_eval_items(arguments: argparse.Namespace) -> list[dict]:
    """The documents of an lm-eval task or group that are measured, without the words that all of a task's have around
    them."""
    if arguments.task is None:
        raise InputError("--kind lm_eval needs --task, lm-eval's name of the task; give it.")
    with tempfile.TemporaryDirectory() as caches:
        stay_offline(caches)
        manager = find_task(arguments.task, arguments.source)
        with fetched_data(arguments.hub_data, {}, arguments.source):
            tasks = load_without_download(manager, arguments.task)
            questions = {task.task_name: [question_of(task, doc) for doc in task.eval_docs] for task in tasks}
            kept = kept_items(tasks, arguments.exclude, arguments.limit)
            measured = {name: set(numbers) for name, numbers in kept.items()}
    return [
        {"id": f"{name}:{number}", "text": text}
        for name, texts in questions.items()
        for number, text in enumerate(without_frame(texts))
        if number in measured[name]
    ]


def alpaca_eval_items(arguments: argparse.Namespace) -> list[dict]:
    """The instructions of the reference's outputs, numbered from 0 as the benchmark's items are."""
    from isheep.benchmarks.alpaca_eval import load_reference

    rows = load_reference(only_source(arguments))
    return [{"id": str(number), "text": row["instruction"]} for number, row in enumerate(rows)]


def mt_bench_items(arguments: argparse.Namespace) -> list[dict]:
    """Both turns of every question, each an item."""
    from isheep.benchmarks.mt_bench import load_questions

    return [
        {"id": f"{question.id}/{turn}", "text": text}
        for question in load_questions(only_source(arguments))
        for turn, text in enumerate(question.turns, start=1)
    ]


def program_items(arguments: argparse.Namespace) -> list[dict]:
    """The problems: HumanEval's beginning of a function, MBPP's task in words."""
    from isheep.benchmarks.programs import read_problems, select_problems

    if arguments.format is None:
        raise InputError("--kind programs needs --format, humaneval or mbpp; give it.")
    problems = select_problems(read_problems(only_source(arguments), arguments.format), arguments.ids)
    text = mbpp_task if arguments.format == "mbpp" else lambda prompt: prompt
    return [{"id": str(problem.id), "text": text(problem.prompt)} for problem in problems]


def mbpp_task(prompt: str) -> str:
    """The task in words, without the wording around it, which all prompts share, and without its tests."""
    from isheep.benchmarks.programs import MBPP_TASK

    before, after = MBPP_TASK.split("{task}")
    before_tests = after.split("{tests}")[0]
    return prompt.removeprefix(before).rpartition(before_tests)[0]


def only_source(arguments: argparse.Namespace) -> Path:
    """The one file or folder that the items are read from; InputError if it is not there."""
    if len(arguments.source) != 1:
        raise InputError(f"--kind {arguments.kind} reads one --source, but found {len(arguments.source)}; give one.")
    path = arguments.source[0]
    if not path.exists():
        raise InputError(f"{path}: there is no such file; correct the path, or fetch the file.")
    return path


READERS = {
    "lm_eval": lm_eval_items,
    "alpaca_eval": alpaca_eval_items,
    "mt_bench": mt_bench_items,
    "programs": program_items,
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--kind", choices=READERS, required=True, help="kind of the benchmark")
parser.add_argument(
    "--source",
    type=Path,
    action="extend",
    nargs="+",
    default=[],
    help="lm_eval: the files of our own tasks; alpaca_eval: reference outputs; mt_bench: questions; programs: problems",
)
parser.add_argument("--task", help="lm-eval's name of the task or group, for lm_eval")
parser.add_argument("--limit", type=int, help="only the first so many of each task, for lm_eval")
parser.add_argument("--exclude", type=json.loads, default={}, help="items to leave out, JSON: a field to its values")
parser.add_argument("--hub-data", help="hub cache with the data sets that were fetched, for lm_eval")
parser.add_argument("--format", choices=["humaneval", "mbpp"], help="format of the problems, for programs")
parser.add_argument("--ids", type=int, nargs=2, help="only problems whose number lies between these two, for programs")
parser.add_argument("--output", type=Output, required=True, help="JSON Lines to write: id and text")

if __name__ == "__main__":
    cli.run(main, parser)
