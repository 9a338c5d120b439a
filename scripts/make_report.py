"""Make the report of an experiment: a page with its tables, figures, scores, data and costs, and the items behind them.

The page opens by itself, without a network. The items of each result record lie in a file of their own, which the page
loads when they are asked for.
"""

import argparse
import json
from collections.abc import Hashable
from pathlib import Path

import pandas
import yaml

from isheep import cli
from isheep.benchmarks.grid import PUBLISHED, Grid
from isheep.benchmarks.results import read_result
from isheep.files.csv_text import read_frame
from isheep.files.ownership import Output
from isheep.files.records import publish
from isheep.report.content import (
    CLAIMS,
    ShownFigure,
    ShownIteration,
    cell_content,
    check_scores,
    claims_content,
    figure_content,
    homes_of,
    iteration_content,
    judging_costs,
    main_metric,
    package_versions,
    stage_times,
    table_content,
)
from isheep.report.items import ShownBenchmark, ShownItem, drawn, read_shown_items
from isheep.report.page import data_script, page
from isheep.report.tables import Row


def main(arguments: argparse.Namespace) -> None:
    """Publish the folder of the report, whole."""
    grid = Grid.model_validate_json(arguments.grid)
    rows = [Row.model_validate_json(row) for row in arguments.rows]
    benchmarks = [ShownBenchmark.model_validate_json(benchmark) for benchmark in arguments.benchmarks]
    iterations = [ShownIteration.model_validate_json(iteration) for iteration in arguments.iterations]
    figures = [ShownFigure.model_validate_json(figure) for figure in arguments.figures]
    scores = read_frame(arguments.scores)
    metrics = [main_metric(benchmark, scores) for benchmark in benchmarks]
    places = [(Path(path), where) for path, where in grid.records()]
    records = [read_result(path) for path, _ in places]
    check_scores(scores, places, records)
    results = Path(grid.results)
    with publish(arguments.report) as folder:
        (folder / "items").mkdir(parents=True)
        shown = write_items(folder / "items", places, benchmarks, metrics)
        content = {
            "name": arguments.name,
            "claims": [claim for path in arguments.tables if path.stem == CLAIMS for claim in claims_content(path)],
            "tables": [table_content(path) for path in arguments.tables if path.stem != CLAIMS],
            "figures": [figure_content(figure) for figure in figures],
            "costs": judging_costs(records),
            "versions": package_versions(records),
            "configuration": configuration_text(arguments.configuration),
            "benchmarks": [
                {"name": benchmark.name, "kind": benchmark.kind, "metric": metric, "texts": len(places) + number}
                for number, (benchmark, metric) in enumerate(zip(benchmarks, metrics, strict=True))
            ],
            "checkpoints": [checkpoint_content(row, places, scores, benchmarks, metrics) for row in rows],
            "records": with_earlier_records(shown, places, rows),
            "iterations": [iteration_content(results, shown, seed) for shown in iterations for seed in grid.seeds],
        }
        (folder / "index.html").write_text(page(arguments.name, content, arguments.page), encoding="utf-8")
        # Apart, as all else is the same in every run.
        times = stage_times(results, homes_of(results, rows, grid.seeds, PUBLISHED))
        (folder / "times.js").write_text(data_script("times", times), encoding="utf-8")
    print(f"{arguments.report}/index.html: {len(places)} result records, {len(arguments.tables)} tables")


def write_items(
    folder: Path, places: list[tuple[Path, dict]], benchmarks: list[ShownBenchmark], metrics: list[str]
) -> list[dict]:
    """Write a file for the items of each result record, and for each benchmark one with the texts that these share.

    Return, for each record in order, what the page must know of it.
    """
    shown: list[dict] = [{}] * len(places)
    for benchmark, (settings, main) in enumerate(zip(benchmarks, metrics, strict=True)):
        texts: dict[str, int] = {}
        names: dict[Hashable, tuple[int, str]] = {}
        for number, (path, where) in enumerate(places):
            if where["benchmark"] != settings.name:
                continue
            metric, items = read_shown_items(path, settings, main)
            rows = [item_row(item, texts, names) for item in drawn(items)]
            (folder / f"{number}.js").write_text(data_script(number, rows), encoding="utf-8")
            shown[number] = {"benchmark": benchmark, "seed": where["seed"], "metric": metric, "items": len(items)}
            shown[number]["shown"] = len(rows)
        shared = {"texts": list(texts), "names": [name for _, name in names.values()]}
        number = len(places) + benchmark
        (folder / f"{number}.js").write_text(data_script(number, shared), encoding="utf-8")
    return shown


def item_row(item: ShownItem, texts: dict[str, int], names: dict[Hashable, tuple[int, str]]) -> list:
    """An item as its file has it: its number, those of its prompt and reference among the texts, and what is its own.

    texts, names: those that the benchmark's items have had so far, each with its number; new ones are added.
    """
    number, _ = names.setdefault(item.key, (len(names), item.name))
    prompt, reference = (texts.setdefault(text, len(texts)) for text in (item.prompt, item.reference))
    return [number, prompt, reference, item.answer, item.judgment, item.value]


def checkpoint_content(
    row: Row,
    places: list[tuple[Path, dict]],
    scores: pandas.DataFrame,
    benchmarks: list[ShownBenchmark],
    metrics: list[str],
) -> dict:
    """A checkpoint or baseline with its score in each benchmark, and the numbers of the records behind each."""
    cells = []
    for benchmark, metric in zip(benchmarks, metrics, strict=True):
        cell = cell_content(scores, row, benchmark, metric)
        records = [
            number
            for number, (_, where) in enumerate(places)
            if (where["model"], where["checkpoint"], where["benchmark"]) == (row.model, row.checkpoint, benchmark.name)
        ]
        cells.append(cell and cell | {"records": records})
    return {"model": row.model, "name": row.name, "checkpoint": row.checkpoint, "cells": cells}


def with_earlier_records(shown: list[dict], places: list[tuple[Path, dict]], rows: list[Row]) -> list[dict]:
    """The records, each with the numbers of those that it is compared with: the iteration before it, and the base."""
    known = {tuple(where.values()): number for number, (_, where) in enumerate(places)}
    previous_of = {(row.model, row.checkpoint): row.previous for row in rows}
    records = []
    for record, (_, where) in zip(shown, places, strict=True):
        model, seed, checkpoint, benchmark = where.values()
        previous = previous_of.get((model, checkpoint))
        earlier = {"previous": previous, "base": "base" if previous else None}
        records.append(
            record
            | {"model": model, "checkpoint": checkpoint}
            | {name: known.get((model, seed, other, benchmark)) for name, other in earlier.items()}
        )
    return records


def configuration_text(sections: list[dict]) -> str:
    """The configuration as YAML."""
    return "".join(yaml.safe_dump(section, sort_keys=False, allow_unicode=True, width=120) for section in sections)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--name", required=True, help="name of the experiment")
parser.add_argument("--grid", required=True, help="folder, models with their checkpoints, seeds and benchmarks, JSON")
parser.add_argument("--rows", nargs="*", default=[], help="checkpoints and baselines as tables name them, JSON each")
parser.add_argument("--benchmarks", nargs="*", default=[], help="benchmarks with their main metric, JSON each")
parser.add_argument("--iterations", nargs="*", default=[], help="trained checkpoints with their sources, JSON each")
parser.add_argument("--figures", nargs="*", default=[], help="path and caption of figures, JSON each")
parser.add_argument("--tables", type=Path, nargs="*", default=[], help="Markdown of a table, with its csv beside it")
parser.add_argument("--scores", type=Path, required=True, help="csv of all scores")
parser.add_argument("--configuration", type=json.loads, nargs="+", required=True, help="its sections, JSON each")
parser.add_argument("--page", type=Path, nargs="+", required=True, help="markup, style and script of the page")
parser.add_argument("--report", type=Output, required=True, help="folder to write")

if __name__ == "__main__":
    cli.run(main, parser)
