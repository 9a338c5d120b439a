"""The items of a result record as the report shows them: what was asked, answered and judged, by kind of benchmark."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

from isheep.benchmarks.item_values import MetricValues, read_item_values
from isheep.benchmarks.mt_bench import load_answers, load_questions, metric_groups
from isheep.benchmarks.programs import read_problems
from isheep.files.reading import iterate_rows
from isheep.files.records import InputError
from isheep.settings import Settings

HEAD, TAIL = 600, 1800
"""Characters that are shown of the beginning and the end of a longer text: few-shot prompts end with the question."""
MOST_ITEMS = 1000
"""Items that are shown of a result record: all of the paper's would fill gigabytes."""
MOST_SAMPLES = 3
"""Programs that are shown of a problem."""


class ShownBenchmark(Settings):
    """A benchmark of the report."""

    name: str
    """Name of the benchmark in the configuration."""
    kind: Literal["lm_eval", "alpaca_eval", "mt_bench", "programs"]
    """Its kind."""
    metric: str | None = None
    """The metric that stands for it; null: the first of its result records."""
    percent: bool = False
    """Show the metric as a percentage."""
    questions: str | None = None
    """File of MT-Bench's questions."""
    answers_of: str | None = None
    """The benchmark whose answers are rated; null: its own."""
    problems: str | None = None
    """File of problems that programs are written for."""
    format: Literal["humaneval", "mbpp"] | None = None
    """The format of these problems."""


@dataclass(frozen=True)
class ShownItem:
    """One item: texts as they are shown, and the value that tells right from wrong."""

    key: Hashable
    """What names it in the same way for every checkpoint."""
    name: str
    """What it is called."""
    prompt: str
    """What was asked."""
    reference: str
    """The right answer, or the answer that it is compared with; empty where there is none."""
    answer: str
    """What was answered."""
    judgment: str
    """What was found of the answer, in words."""
    value: float | None
    """Its value of the metric; None is missing."""


def read_shown_items(result: str | Path, benchmark: ShownBenchmark, metric: str) -> tuple[str | None, list[ShownItem]]:
    """Return the items of a result record, and the metric that their values are of.

    result: the record's file, beside which the items lie. The metric is the one that is asked for or, where that is no
    mean over items, the first of the record that is one; None where there is no such metric. Raises InputError as
    `isheep.benchmarks.item_values.read_item_values` does, and for an item without its texts.
    """
    folder = Path(result).parent
    values = read_item_values(folder / "items.jsonl")
    shown = metric if metric in values else next(iter(values), None)
    read = {"lm_eval": _lm_eval, "alpaca_eval": _alpaca_eval, "mt_bench": _mt_bench, "programs": _programs}
    return shown, list(read[benchmark.kind](folder, benchmark, shown, values.get(shown, MetricValues())))


def drawn(items: list[ShownItem], most: int = MOST_ITEMS) -> list[ShownItem]:
    """Return this many of the items, in their order: drawn by their names, and so the same of every checkpoint."""
    chosen = sorted(items, key=lambda item: hashlib.sha256(repr(item.key).encode()).digest())[:most]
    kept = {item.key for item in chosen}
    return [item for item in items if item.key in kept]


def shortened(text: str) -> str:
    """Return a text whose middle is left out where it is long, which it then says."""
    left_out = len(text) - HEAD - TAIL
    return text if left_out <= 0 else f"{text[:HEAD]}\n[… {left_out} characters left out …]\n{text[-TAIL:]}"


def _lm_eval(folder: Path, benchmark: ShownBenchmark, metric: str | None, values: MetricValues) -> Iterator[ShownItem]:
    """Of an item that is read through several filters, the row of the metric's own."""
    rows = iterate_rows(folder / "items.jsonl", "id", "doc_sha256", "filter", "prompt", "response", "metrics")
    name, _, named_filter = (metric or "").partition(",")
    seen: Counter = Counter()
    for row in rows:
        document = row["filter"], row["doc_sha256"]
        seen[document] += 1
        if metric is not None and (row["filter"] != (named_filter or "none") or name not in row["metrics"]):
            continue
        key = (*document, seen[document])
        yield ShownItem(
            key=key,
            name=str(row["id"]),
            prompt=shortened(_text(row["prompt"])),
            reference=shortened(_target(row)),
            answer=shortened(_response(row["response"])),
            judgment=_metrics_in_words(row["metrics"]),
            value=_mean(values.items.get(key, ())),
        )


def _alpaca_eval(folder: Path, _: ShownBenchmark, metric: str | None, values: MetricValues) -> Iterator[ShownItem]:
    for row in iterate_rows(folder / "items.jsonl", "id", "prompt", "response", "target", "preference", "winner"):
        preferred = {None: "no judgment that can be read", "draw": "a draw"}
        winner = preferred.get(row["winner"], f"the {row['winner']} wins")
        yield ShownItem(
            key=row["id"],
            name=str(row["id"]),
            prompt=shortened(_text(row["prompt"])),
            reference=shortened(_text(row["target"])),
            answer=shortened(_text(row["response"])),
            judgment=winner
            if row["preference"] is None
            else f"{winner} (preference {row['preference']:.4g} of 1 to 2)",
            value=_mean(values.items.get(row["id"], ())),
        )


def _mt_bench(folder: Path, benchmark: ShownBenchmark, metric: str | None, _: MetricValues) -> Iterator[ShownItem]:
    """An item is a turn that the metric is a mean of; its value is its rating."""
    questions = {question.id: question for question in load_questions(benchmark.questions)}
    answers = load_answers(
        folder.with_name(benchmark.answers_of or benchmark.name) / "answers.jsonl", list(questions.values())
    )
    judgments = {
        (row["question_id"], row["turn"]): row.get("judgment")
        for row in iterate_rows(folder / "judgments.jsonl", "question_id", "turn")
    }
    items = iterate_rows(folder / "items.jsonl", "id", "turn", "category", "metrics")
    rated = [{key: row[key] for key in ("id", "turn", "category")} | row["metrics"] for row in items]
    shown, rating = metric_groups(rated).get(metric, (rated, "score"))
    for row in shown:
        key = row["id"], row["turn"]
        if row["id"] not in questions or key not in judgments:
            raise InputError(
                f"{folder}: item {row['id']}, turn {row['turn']}, has no question in {benchmark.questions}, or no "
                "judgment; measure the checkpoint again."
            )
        yield ShownItem(
            key=key,
            name=f"{row['id']}, turn {row['turn']}, {row['category']}",
            prompt=shortened(questions[row["id"]].turns[row["turn"] - 1]),
            reference="",
            answer=shortened(answers[row["id"]].turns[row["turn"] - 1]),
            judgment=shortened(_text(judgments[key])),
            value=row.get(rating),
        )


def _programs(folder: Path, benchmark: ShownBenchmark, _: str | None, values: MetricValues) -> Iterator[ShownItem]:
    """An item is a problem; of its programs the first ones are shown."""
    prompts = {str(problem.id): problem.prompt for problem in read_problems(benchmark.problems, benchmark.format)}
    written = {
        (str(row["task_id"]), row.get("sample", 0)): row["completion"]
        for row in iterate_rows(folder / "samples.jsonl", "task_id", "completion")
    }
    outcomes: dict[Hashable, list[dict]] = {}
    for row in iterate_rows(folder / "items.jsonl", "task_id", "sample", "passed", "result"):
        outcomes.setdefault(row["task_id"], []).append(row)
    for task, rows in outcomes.items():
        if str(task) not in prompts:
            raise InputError(f"{folder}: {benchmark.problems} has no problem {task!r}; measure the checkpoint again.")
        shown = [_text(written.get((str(task), row["sample"]))) for row in rows[:MOST_SAMPLES]]
        yield ShownItem(
            key=task,
            name=str(task),
            prompt=shortened(prompts[str(task)]),
            reference="",
            answer=shortened("\n\n".join(shown)),
            judgment="; ".join(str(row["result"]) for row in rows[:MOST_SAMPLES]),
            value=_mean(values.items.get(task, ())),
        )


def _mean(parts: list[float | None] | tuple) -> float | None:
    """The mean of those parts of an item that have a value."""
    valid = [part for part in parts if part is not None]
    return fmean(valid) if valid else None


def _text(content: object) -> str:
    return "" if content is None else str(content)


def _response(response: object) -> str:
    """What lm-eval has of an answer: texts, or for each choice its log-likelihood, the first of the highest marked."""
    parts = response if isinstance(response, list) else [response]
    found = [part[0] if isinstance(part, list) and part else part for part in parts]
    if len(found) > 1 and all(isinstance(value, int | float) for value in found):
        best = found.index(max(found))
        return "\n".join(
            f"choice {place}: log-likelihood {value:.2f}{'  ← highest' if place == best else ''}"
            for place, value in enumerate(found)
        )
    return "\n".join(map(_text, found))


def _target(row: Mapping) -> str:
    """The right answer; of a multiple choice the number of the choice."""
    target = row.get("target")
    if isinstance(target, list):
        return " | ".join(map(_text, target))
    choices = isinstance(row["response"], list) and len(row["response"]) > 1
    if isinstance(target, int) and not isinstance(target, bool):
        return f"choice {target}" if choices else ""
    return _text(target)


def _metrics_in_words(metrics: Mapping) -> str:
    """The metrics that are numbers, or lists of numbers."""
    said = []
    for name, value in metrics.items():
        parts = value if isinstance(value, list) else [value]
        if all(part is None or isinstance(part, int | float) for part in parts):
            said.append(f"{name}: {', '.join(_in_words(part) for part in parts)}")
    return "; ".join(said)


def _in_words(value: float | bool | None) -> str:
    if value is None or value != value:
        return "missing"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else f"{value:.4g}"
