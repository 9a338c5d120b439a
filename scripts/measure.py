"""Measure a checkpoint, or published responses (`--take FILE`), on one lm-eval task or group.

Writes a row per item, and one result record.
"""

import argparse
import hashlib
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

from isheep import cli
from isheep.benchmarks.lm_eval_tasks import (
    check_answers,
    check_punkt,
    fetched_data,
    find_task,
    kept_items,
    load_without_download,
    seeded_scoring,
    stay_offline,
)
from isheep.benchmarks.results import add_result_arguments, write_result
from isheep.engine.flags import (
    add_checkpoint_argument,
    add_engine_arguments,
    add_prompting_arguments,
    open_requested_engine,
)
from isheep.engine.journal import Journal
from isheep.engine.provenance import ENGINE_PACKAGES, checkpoint_asked, file_taken, installed_versions
from isheep.files.records import InputError, unfinished_folder, write_jsonl

VERSIONS_OF = ("lm_eval", "datasets", "nltk", "langdetect", *ENGINE_PACKAGES)


def measure_checkpoint(arguments: argparse.Namespace) -> None:
    """Let a checkpoint answer the task's requests through the engine."""
    measure(arguments, open_checkpoint)
    Journal(unfinished_folder(arguments.items)).finish()


def take(arguments: argparse.Namespace) -> None:
    """Let a file of published responses answer the task's requests, as a baseline."""
    measure(arguments, open_responses)


def measure(arguments: argparse.Namespace, open_model: Callable) -> None:
    """Run the task and publish items and result."""
    with tempfile.TemporaryDirectory() as caches:
        stay_offline(caches, arguments.nltk_data)
        results = run_task(arguments, open_model)
    items = [item_row(sample) for samples in results["samples"].values() for sample in samples]
    write_jsonl(arguments.items, items)
    read = [*arguments.task_files, getattr(arguments, "take", None)]
    write_result(arguments, result_record(arguments, results), read)
    print(f"{arguments.benchmark}: {len(items)} items measured")


def run_task(arguments: argparse.Namespace, open_model: Callable) -> dict:
    """lm-eval's own results with all samples, plus `answered_by`, the part of the record that says what answered, and
    `data`, the commits of the hub's data sets.
    """
    import lm_eval

    data: dict[str, str] = {}
    manager = find_task(arguments.task, arguments.task_files)
    with fetched_data(arguments.hub_data, data, arguments.task_files), seeded_scoring():
        tasks = load_without_download(manager, arguments.task)
        check_punkt(tasks)
        if arguments.task_files:
            check_answers(tasks)
        excluded = arguments.exclude
        model, answered_by = open_model(arguments, tasks)
        results = lm_eval.simple_evaluate(
            model,
            tasks=[arguments.task],
            num_fewshot=arguments.num_fewshot,
            limit=None if excluded else arguments.limit,
            samples=kept_items(tasks, excluded, arguments.limit) if excluded else None,
            task_manager=manager,
            apply_chat_template=arguments.chat,
            system_instruction=arguments.system_prompt,
        )
    return results | {"answered_by": answered_by, "data": data}


def open_checkpoint(arguments: argparse.Namespace, tasks: list) -> tuple:
    """The lm-eval model that asks a checkpoint, and what the record says of it."""
    from isheep.benchmarks.lm_eval_model import EngineLM

    engine = open_requested_engine(arguments, arguments.checkpoint, "max_gen_toks of the task")
    asked = checkpoint_asked(engine, arguments.chat) | {"raw_suffix": arguments.raw_suffix}
    return EngineLM(engine, unfinished_folder(arguments.items), arguments.seed, arguments.raw_suffix), asked


def open_responses(arguments: argparse.Namespace, tasks: list) -> tuple:
    """The lm-eval model that answers from a file, and what the record says of it."""
    from isheep.benchmarks.lm_eval_model import RecordedLM, read_responses

    file = arguments.take
    prompts = {task.doc_to_text(doc) for task in tasks for doc in task.eval_docs}
    responses = read_responses(file, prompts, arguments.model)
    return RecordedLM(responses, file), {"responses": file_taken(file)}


def item_row(sample: dict) -> dict:
    """One row of the items file: what was asked and answered, and the value of every metric."""
    return {
        "id": sample["doc_id"],
        "doc_sha256": sample["doc_hash"],
        "prompt": sample["arguments"][0][0],
        "response": sample["filtered_resps"],
        "target": sample["target"],
        "filter": sample["filter"],
        "metrics": {name: sample[name] for name in sample["metrics"]},
    }


def result_record(arguments: argparse.Namespace, results: dict) -> dict:
    """The result record that tables are made from."""
    task = arguments.task
    samples = [sample for samples in results["samples"].values() for sample in samples]
    shots = {results["n-shot"][name] for name in results["samples"]}
    return {
        "benchmark": arguments.benchmark,
        "task": task,
        "scores": scores(task, results["results"].get(task), samples),
        "versions": installed_versions(VERSIONS_OF),
        "seed": arguments.seed,
        "judge": None,
        "notes": notes(arguments),
        "task_version": results["versions"].get(task),
        "task_sha256": task_sha256(samples),
        "data": results["data"],
        "num_fewshot": shots.pop() if len(shots) == 1 else None,
        "limit": arguments.limit,
        "excluded": arguments.exclude,
        "answered_by": results["answered_by"],
    }


def notes(arguments: argparse.Namespace) -> list[str]:
    """Sentences that a reader of the scores must know."""
    left_out = [
        f"Left out: items whose {field} is {', '.join(map(str, values))}."
        for field, values in arguments.exclude.items()
    ]
    limited = [f"Only the first {arguments.limit} items."] if arguments.limit else []
    taken = [f"Published responses: {arguments.take.name}."] if "take" in arguments else []
    return [*left_out, *limited, *taken]


def scores(task: str, aggregated: dict | None, samples: list[dict]) -> list[dict]:
    """One row a metric. `n` counts what was averaged: items, or their parts where a metric rates parts.

    `standard_error` is null where lm-eval gives none (IFEval's instruction-level accuracies).
    """
    rows = []
    for key, value in (aggregated or {}).items():
        metric, _, filtered = key.partition(",")
        if not filtered or metric.endswith("_stderr"):
            continue
        error = aggregated.get(f"{metric}_stderr,{filtered}")
        values = [sample[metric] for sample in samples if sample["filter"] == filtered and metric in sample]
        parts = [part for value in values for part in (value if isinstance(value, list) else [value])]
        rows.append(
            {
                "metric": metric if filtered == "none" else key,
                "value": value if math.isfinite(value) else None,
                "standard_error": error if isinstance(error, float) and math.isfinite(error) else None,
                "n": len(parts),
                "n_valid": sum(bool(part is not None and part == part) for part in parts),  # not numpy's own
            }
        )
    if not rows:
        raise InputError(
            f"the benchmark's key task (--task): lm-eval gives no score for {task!r}; if it names a collection, make a "
            "benchmark of each of its tasks."
        )
    return rows


def task_sha256(samples: list[dict]) -> str:
    """The checksum of all documents and targets."""
    hashes = "".join(sample["doc_hash"] + sample["target_hash"] for sample in samples)
    return hashlib.sha256(hashes.encode()).hexdigest()


shared = argparse.ArgumentParser(add_help=False)
shared.add_argument("--task", required=True, help="lm-eval's name of the task or group")
shared.add_argument(
    "--task-files",
    type=Path,
    action="extend",
    nargs="+",
    default=[],
    help="files of a task that does not come with lm-eval",
)
shared.add_argument("--num-fewshot", type=int, help="worked examples before each question; default: the task's")
shared.add_argument("--limit", type=int, help="only the first so many items")
shared.add_argument("--exclude", type=json.loads, default={}, help="items to leave out, JSON: a field to its values")
shared.add_argument("--nltk-data", help="folder in which nltk finds its data")
shared.add_argument("--hub-data", help="hub cache with the data sets that were fetched")
add_result_arguments(shared)

parser = argparse.ArgumentParser(description=__doc__, parents=[shared])
add_engine_arguments(parser)
add_prompting_arguments(parser)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that are measured")
parser.add_argument("--raw-suffix", default="", help="text put after a prompt that is answered raw")

take_parser = argparse.ArgumentParser(description=take.__doc__, parents=[shared])
take_parser.add_argument("--take", type=Path, required=True, help="published responses: a prompt and response a line")
take_parser.add_argument("--model", help="whose responses, where the file has those of several models")
take_parser.set_defaults(seed=None, chat=False, system_prompt=None)

if __name__ == "__main__":
    cli.run_or_take(measure_checkpoint, parser, take, take_parser)
