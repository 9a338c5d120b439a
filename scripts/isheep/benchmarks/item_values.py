"""Reading the values of a metric from a benchmark's items, by its kind; what checkpoints are compared on.

The items lie in `items.jsonl`, and the metrics' names and values in the `result.json` beside it.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from isheep.benchmarks.mt_bench import metric_groups
from isheep.benchmarks.programs import pass_at_k
from isheep.benchmarks.results import AGAIN, read_result
from isheep.files.reading import shared
from isheep.files.records import InputError, file_sha256, iterate_jsonl
from isheep.spelling import listed

ROW_KEYS = {
    "programs": {"task_id", "sample", "passed"},
    "mt_bench": {"id", "turn", "category", "metrics"},
    "alpaca_eval": {"id", "preference", "metrics"},
    "lm_eval": {"doc_sha256", "filter", "metrics"},
}
"""By kind of benchmark, the keys of an item's row that are needed and tell the kinds apart."""


@dataclass
class MetricValues:
    """The items' values of one metric."""

    items: dict[Hashable, list[float | None]] = field(default_factory=dict)
    """Item, named alike for every checkpoint → the values of its parts; None is missing."""
    scale: float = 1.0
    """What a value is multiplied by in the result record: 100 where that is in per cent."""


def read_item_values(path: str | Path) -> dict[str, MetricValues]:
    """Return, for each metric of the result record that is a mean over the items' parts, the items' values of it.

    path: an `items.jsonl` of any kind of benchmark; its `result.json` lies beside it. Other metrics of a record, such
    as counts or a fitted win rate, have no value of an item and are left out. Raises InputError, naming file and line,
    for a file without rows, a row of no known kind, or one of another kind than the first.
    """
    path = Path(path)
    kind, rows = _items(path)
    record = read_result(path.with_name("result.json"))
    if record.made_from.files.get(str(path)) not in (None, file_sha256(path)):
        raise InputError(f"{path}: it was changed after its result was computed; {AGAIN}.")
    recorded = {score.metric: score.value for score in record.scores}
    read = {"programs": _programs, "mt_bench": _mt_bench, "alpaca_eval": _alpaca_eval, "lm_eval": _lm_eval}
    found = read[kind](rows, recorded)
    return {metric: values for metric, values in found.items() if _is_mean(values, recorded.get(metric))}


def require_same_items(path: str | Path, values: dict[str, MetricValues], other_path: str | Path, other: dict) -> None:
    """Raise InputError, naming both files, unless each metric that both have is of the same items in both."""
    for metric in values.keys() & other.keys():
        ours, theirs = ({i: len(p) for i, p in found[metric].items.items()} for found in (values, other))
        if ours != theirs:
            raise InputError(
                f"{path}: its items are not those of {other_path} ({metric} has {len(ours)} and {len(theirs)} items, "
                f"{len(ours.items() & theirs.items())} of them the same); measure both by the same benchmark."
            )


def _items(path: Path) -> tuple[str, Iterator[dict]]:
    """Return the kind of benchmark that a file's items are of, and the items, of which one at a time is held."""
    rows = iterate_jsonl(path)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path}: the file has no item; measure the checkpoint again.")
    kind = next((kind for kind, keys in ROW_KEYS.items() if keys <= first.keys()), None)
    if kind is None:
        raise InputError(
            f"{path}: line 1 has the keys {listed(first)}, which are those of no benchmark's items; give an "
            "items.jsonl of a benchmark."
        )
    return kind, _of_kind(kind, chain([first], rows), path)


def _of_kind(kind: str, rows: Iterable[dict], path: Path) -> Iterator[dict]:
    for line, row in enumerate(rows, start=1):
        if missing := sorted(ROW_KEYS[kind] - row.keys()):
            raise InputError(f"{path}: line {line} lacks {listed(missing)}, unlike line 1; restore the file.")
        yield row


def _is_mean(found: MetricValues, recorded: float | None) -> bool:
    """Whether a recorded value is the mean of the items' parts, and not some other function of them."""
    parts = [part for parts in found.items.values() for part in parts if part is not None]
    if recorded is None or not parts:
        return False
    return math.isclose(math.fsum(parts) / len(parts) * found.scale, recorded, rel_tol=1e-9, abs_tol=1e-9)


def _lm_eval(rows: Iterable[dict], recorded: dict) -> dict[str, MetricValues]:
    """A document is named by its checksum; documents that are the same are told apart by their order."""
    metrics: dict[str, MetricValues] = {}
    seen: Counter = Counter()
    for row in rows:
        document = shared(row["filter"]), row["doc_sha256"]
        seen[document] += 1
        for name, value in row["metrics"].items():
            parts = value if isinstance(value, list) else [value]
            if all(part is None or isinstance(part, int | float) for part in parts):
                metric = name if row["filter"] == "none" else f"{name},{row['filter']}"
                values = metrics.setdefault(metric, MetricValues()).items
                values[*document, seen[document]] = [None if part is None or part != part else part for part in parts]
    return metrics


def _alpaca_eval(rows: Iterable[dict], recorded: dict) -> dict[str, MetricValues]:
    """The win rate, which alpaca-eval gives in per cent."""
    return {"win_rate": MetricValues({row["id"]: [row["metrics"]["win_rate"]] for row in rows}, scale=100)}


def _mt_bench(rows: Iterable[dict], recorded: dict) -> dict[str, MetricValues]:
    """A question is an item, its turns are the parts."""
    metrics: dict[str, MetricValues] = {}
    needed = ({key: row[key] for key in ("id", "turn", "category")} | row["metrics"] for row in rows)
    judgments = sorted(needed, key=lambda row: row["turn"])
    for metric, (judged, key) in metric_groups(judgments).items():
        values = metrics.setdefault(metric, MetricValues()).items
        for row in judged:
            values.setdefault(row["id"], []).append(row.get(key))
    return metrics


def _programs(rows: Iterable[dict], recorded: dict) -> dict[str, MetricValues]:
    """A problem is an item; its samples give one estimate of the chance to pass."""
    samples, passed = Counter(), Counter()
    for row in rows:
        samples[row["task_id"]] += 1
        passed[row["task_id"]] += bool(row["passed"])
    ks = [int(metric.removeprefix("pass@")) for metric in recorded if metric.startswith("pass@")]
    return {
        f"pass@{k}": MetricValues({id: [pass_at_k(count, passed[id], k)] for id, count in samples.items()}) for k in ks
    }
