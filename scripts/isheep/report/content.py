"""What the report tells of an experiment, put together from its tables, records and ledgers: data, not yet a page."""

import base64
import csv
import hashlib
import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas

from isheep.benchmarks.results import ResultRecord
from isheep.data.ledger import iterate_ledger
from isheep.files.csv_text import restored
from isheep.files.reading import iterate_shards, read_object
from isheep.files.records import InputError, read_text
from isheep.report.items import ShownBenchmark, shortened
from isheep.report.markdown_table import read_markdown
from isheep.report.table_text import MISSING
from isheep.report.tables import Row
from isheep.settings import Settings

EXAMPLES = 3
"""Texts that are shown of what became of candidates and pairs in the same way."""
CLAIMS = "claims"
"""Name of the table of claims."""
LESS_THAN_PRINTED = 0.5 + 1e-6
"""Half of the last digit that is printed, and a little for the rounding of binary fractions."""


class ShownIteration(Settings):
    """A trained checkpoint, and which ones wrote the pairs that it was chosen from."""

    model: str
    """Name of the model."""
    recipe: str
    """Name of the recipe."""
    iteration: int
    """Number of the iteration."""
    sources: tuple[str, ...]
    """Folders of the checkpoints that wrote the pairs, below the seed's."""
    shards: int
    """How many shards of each are chosen from."""


class ShownFigure(Settings):
    """A figure."""

    path: str
    """Its svg file."""
    caption: str
    """The sentence below it."""


def table_content(path: Path) -> dict:
    """Return a table as it is set in Markdown, and every number of its csv."""
    sheet = read_markdown(path)
    with open(path.with_suffix(".csv"), encoding="utf-8", newline="") as file:
        headings, *rows = [[restored(cell) for cell in row] for row in csv.reader(file)]
    return {
        "name": path.stem,
        "caption": sheet.caption,
        "headings": sheet.headings,
        "names": sheet.names,
        "lines": [line.cells for line in sheet.lines],
        "notes": sheet.notes,
        "numbers": {"headings": headings, "rows": rows},
    }


def claims_content(path: Path) -> list[dict]:
    """Return the claims of the csv beside this Markdown: the printed number, ours, and whether it is met."""
    with open(path.with_suffix(".csv"), encoding="utf-8", newline="") as file:
        rows = [{key: restored(cell) for key, cell in row.items()} for row in csv.DictReader(file)]
    return [
        {
            "claim": row["claim"],
            "printed": _change_in_words(float(row["printed"]), row),
            "ours": _change_in_words(float(row["ours"]), row) if row["ours"] else MISSING,
            "verdict": claim_verdict(row["printed"], float(row["ours"]) if row["ours"] else None),
            "missing": row["missing"],
        }
        for row in rows
    ]


def claim_verdict(printed: str, ours: float | None) -> str:
    """Return `met` for a change in the printed one's direction and, in its decimals, as large; `smaller` for one in
    this direction; `not met` for any other; `missing` where we have none. No test stands behind it."""
    if ours is None:
        return "missing"
    direction = -1 if printed.startswith("-") else 1
    tolerance = LESS_THAN_PRINTED * 10 ** -len(printed.partition(".")[2])
    if direction * (ours - float(printed)) > -tolerance:
        return "met"
    return "smaller" if direction * ours > 0 else "not met"


def figure_content(figure: ShownFigure) -> dict:
    """Return a figure as an address that holds all of it, so that it is shown as an image, in which nothing runs."""
    drawn = base64.b64encode(read_text(figure.path).encode()).decode()
    name = Path(figure.path).stem
    return {"name": name, "caption": figure.caption, "address": f"data:image/svg+xml;base64,{drawn}"}


def cell_content(scores: pandas.DataFrame, row: Row, benchmark: ShownBenchmark, metric: str) -> dict | None:
    """Return the score of a checkpoint as the tables show it: the mean over seeds; None where nothing was measured."""
    is_cell = (scores.model == row.model) & (scores.checkpoint == row.checkpoint)
    cell = scores[is_cell & (scores.benchmark == benchmark.name) & (scores.metric == metric)]
    if cell.empty:
        return None
    scale = 100 if benchmark.percent else 1
    mean, deviation = cell.value.mean() * scale, cell.value.std(ddof=1) * scale
    return {
        "value": None if pandas.isna(mean) else mean,
        "text": MISSING if pandas.isna(mean) else f"{mean:z.2f}".replace("-", "−"),
        "spread": "" if pandas.isna(deviation) else f"± {deviation:.2f}",
        "missing": int(cell.n.sum() - cell.n_valid.sum()),
    }


def check_scores(
    scores: pandas.DataFrame, places: Iterable[tuple[Path, Mapping]], records: Iterable[ResultRecord]
) -> None:
    """Raise InputError, naming the first, for a result record whose scores are not those that were collected of it."""
    keys = ["model", "seed", "checkpoint", "benchmark"]
    collected = {key: dict(zip(rows.metric, rows.value, strict=True)) for key, rows in scores.groupby(keys)}
    for (path, where), record in zip(places, records, strict=True):
        found = collected.get(tuple(where[key] for key in keys), {})
        for score in record.scores:
            value = found.get(score.metric)
            lacking = value is None or math.isnan(value)
            # The last bit of a number may change on its way through a csv file.
            if lacking != (score.value is None) or not (lacking or math.isclose(value, score.value, rel_tol=1e-12)):
                raise InputError(
                    f"{path}: its {score.metric} is {score.value}, but {value} was collected; collect the scores again."
                )


def main_metric(benchmark: ShownBenchmark, scores: pandas.DataFrame) -> str:
    """Return the metric that stands for a benchmark: the tables' or else the first of its records."""
    metrics = scores[scores.benchmark == benchmark.name].metric
    if benchmark.metric is not None:
        return benchmark.metric
    if metrics.empty:
        raise InputError(f"--scores: there is no score of {benchmark.name}; collect the scores again.")
    return metrics.iloc[0]


def judging_costs(records: Iterable[ResultRecord]) -> list[dict]:
    """Return what judging took in each benchmark, as the records have it; amounts in each currency."""
    totals: dict[str, dict] = {}
    for record in records:
        usage = (record.judge or {}).get("usage")
        if not usage:
            continue
        total = totals.setdefault(
            record.benchmark, {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "amounts": defaultdict(float)}
        )
        for key in ("requests", "prompt_tokens", "completion_tokens"):
            total[key] += usage[key]
        if usage["cost"] is not None:
            total["amounts"][usage["currency"]] += usage["cost"]
    return [
        {"benchmark": name}
        | total
        | {"amounts": [f"{amount:.2f} {currency}" for currency, amount in total["amounts"].items()]}
        for name, total in totals.items()
    ]


def package_versions(records: Iterable[ResultRecord]) -> list[dict]:
    """Return the versions of each package that took part in any result."""
    versions = defaultdict(dict)
    for record in records:
        for package, version in record.versions.items():
            versions[package][version] = None
    return [{"package": package, "versions": list(found)} for package, found in sorted(versions.items())]


def stage_times(results: Path, homes: Iterable[Path]) -> list[dict]:
    """Return jobs and seconds of each stage, from what Snakemake's benchmarks say beside the logs.

    homes: the folders of the checkpoints and baselines; the jobs of the experiment itself are its tables and figures.
    """
    totals: dict[str, list[float]] = {}
    for folder in [*homes, results]:
        for file in sorted(folder.glob("logs/*.benchmark.tsv")):
            stage = "tables and figures" if folder == results else file.name.split(".")[0]
            with open(file, encoding="utf-8", newline="") as lines:
                totals.setdefault(stage, []).extend(float(row["s"]) for row in csv.DictReader(lines, delimiter="\t"))
    return [{"stage": stage, "jobs": len(times), "seconds": round(sum(times), 2)} for stage, times in totals.items()]


def iteration_content(results: Path, shown: ShownIteration, seed: int) -> dict:
    """Return what became of the data of one iteration: counts as its `data.json` has them, and examples of each fate.

    Raises InputError for a file that cannot be read, or a pair of the ledger that is missing.
    """
    home = results / shown.model / f"seed{seed}"
    own = home / shown.recipe / f"iter{shown.iteration}"
    profile = read_object(own / "data.json")
    shards = [(home / source, shard) for source in shown.sources for shard in range(shown.shards)]
    rejected = [folder / f"instructions/shard{shard}.rejected.jsonl" for folder, shard in shards]
    pairs = [folder / f"pairs/shard{shard}.jsonl" for folder, shard in shards]
    where = shown.model_dump(include={"model", "recipe", "iteration"}) | {"seed": seed}
    return where | {
        "sources": shown.sources,
        "instructions": profile["instructions"],
        "pairs": profile["pairs"],
        "scores": profile["scores"],
        "rejected": _rejected_examples(rejected, str(own)),
        "fates": _pair_examples(own / "ledger.jsonl", pairs, str(own)),
    }


def drawn_examples(rows: Iterable[tuple[str, Mapping]], seed: str, count: int = EXAMPLES) -> dict[str, list[Mapping]]:
    """Return some of the rows of each bucket, drawn by a rule that depends on the seed and a row's place alone.

    rows: the name of each row's bucket, and the row. They are read once, and only those drawn are held.
    """
    drawn: dict[str, list[tuple[bytes, int, Mapping]]] = {}
    for place, (bucket, row) in enumerate(rows):
        order = hashlib.blake2b(f"{seed}:{place}".encode(), digest_size=8).digest()
        drawn[bucket] = heapq.nsmallest(count, [*drawn.get(bucket, ()), (order, place, row)])
    return {bucket: [row for *_, row in found] for bucket, found in drawn.items()}


def _rejected_examples(files: Sequence[Path], seed: str) -> list[dict]:
    """Candidates for instructions that a filter rejected, or that could not be read, by reason."""
    drawn = drawn_examples(((row["reason"], row) for row in iterate_shards(files, "reason")), seed)
    return [
        {
            "reason": reason,
            "examples": [
                {
                    "instruction": shortened(str(row.get("instruction", row.get("text", "")))),
                    "input": shortened(str(row.get("input") or "")),
                    "near": shortened(str(row.get("near") or "")),
                }
                for row in rows
            ],
        }
        for reason, rows in drawn.items()
    ]


def _pair_examples(ledger: Path, files: Sequence[Path], seed: str) -> list[dict]:
    """Pairs of a ledger by what became of them: kept, or the reason; those that are used first."""
    entries = iterate_ledger(ledger, "id", "kept", "used_for", "reason", "scores")
    drawn = drawn_examples(((_fate(entry), entry) for entry in entries), seed)
    wanted = {entry["id"] for entries in drawn.values() for entry in entries}
    texts = {
        row["id"]: row for row in iterate_shards(files, "id", "instruction", "input", "response") if row["id"] in wanted
    }
    if lacking := sorted(wanted - texts.keys()):
        raise InputError(f"{ledger}: the pair {lacking[0]!r} is in none of the files of its iteration; select anew.")
    return [
        {
            "fate": fate,
            "kept": entries[0]["kept"],
            "examples": [
                {
                    "id": entry["id"],
                    "scores": ", ".join(f"{name} {_score_text(score)}" for name, score in entry["scores"].items()),
                    **{key: shortened(texts[entry["id"]][key]) for key in ("instruction", "input", "response")},
                }
                for entry in entries
            ],
        }
        for fate, entries in sorted(drawn.items(), key=lambda found: not found[1][0]["kept"])
    ]


def _fate(entry: Mapping) -> str:
    if entry["kept"]:
        return f"kept, used for {entry['used_for']}" if entry["used_for"] else "kept, not used"
    return entry["reason"] or "rejected"


def _score_text(score: int | None) -> str:
    return "missing" if score is None else str(score)


def _change_in_words(number: float, row: Mapping) -> str:
    """A change in the claim's decimals, as the table of claims has it."""
    decimals, unit = len(row["printed"].partition(".")[2]), " %" if row["kind"] == "relative" else ""
    return f"{number:+z.{decimals}f}{unit}".replace("-", "−")


def homes_of(results: Path, rows: Iterable[Row], seeds: Sequence[int], published: str) -> Iterator[Path]:
    """Yield the folders of the models, checkpoints and baselines in rows, each once."""
    folders: dict[Path, None] = {}
    for row in rows:
        if row.checkpoint == published:
            folders[results / "baselines" / row.model] = None
        else:
            folders[results / row.model] = None
            folders |= {results / row.model / f"seed{seed}" / row.checkpoint: None for seed in seeds}
    yield from folders
