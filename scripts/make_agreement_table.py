"""Make the table of how far two judges agree on the same answers, as csv, Markdown and LaTeX."""

import argparse
from pathlib import Path

import pandas
from pydantic import TypeAdapter

from isheep import cli
from isheep.benchmarks.grid import Grid
from isheep.benchmarks.result_checks import Configured, check_result
from isheep.benchmarks.results import AGAIN
from isheep.files.csv_text import write_frame
from isheep.files.ownership import Output
from isheep.files.records import InputError
from isheep.report.agreement import AgreementSettings, Level, Verdicts, agreement, read_verdicts, require_same_answers
from isheep.report.table_text import MISSING, Line, Sheet, add_sheet_arguments, write_sheet
from isheep.report.tables import Row

Judged = dict[tuple[str, str], list[tuple[Verdicts, Verdicts]]]
"""Model and checkpoint → both judges' verdicts of each seed."""
ALL = "all"
"""What the line over all rows is called."""


def main(arguments: argparse.Namespace) -> None:
    """Write the table in its three forms."""
    settings = AgreementSettings.model_validate_json(arguments.agreement)
    rows = TypeAdapter(list[Row]).validate_json(arguments.rows)
    configured = Configured.model_validate_json(arguments.configured)
    judged, level = read_judged(Grid.model_validate_json(arguments.grid), configured, settings.benchmarks)
    numbers = agreement_numbers(rows, judged, level)
    sheet = agreement_sheet(numbers, settings, configured, level)
    write_frame(arguments.csv, numbers)
    write_sheet(sheet, arguments)
    print(f"{arguments.markdown}: {len(numbers)} rows")


def read_judged(grid: Grid, configured: Configured, benchmarks: tuple[str, ...]) -> tuple[Judged, Level]:
    """Both judges' verdicts of each checkpoint and seed, from result records that fit what lies there."""
    records: dict[tuple, dict[str, Path]] = {}
    for path, where in grid.records():
        records.setdefault((where["model"], where["checkpoint"], where["seed"]), {})[where["benchmark"]] = Path(path)
    judged: Judged = {}
    level: Level = "interval"
    for (model, checkpoint, seed), paths in records.items():
        both = [paths[benchmark] for benchmark in benchmarks]
        where = {"model": model, "checkpoint": checkpoint, "seed": seed}
        checked = [check_result(paths[name], where | {"benchmark": name}, configured) for name in benchmarks]
        verdicts = []
        for path, record in zip(both, checked, strict=True):
            items = path.with_name("items.jsonl")
            if str(items) not in record.made_from.files:  # those that are, check_result has compared
                raise InputError(f"{path}: it was not made from {items}; {AGAIN}.")
            found, level = read_verdicts(items)
            verdicts.append(found)
        if level == "interval":  # AlpacaEval's verdicts have the answers in their keys
            require_same_answers(both, checked)
        if verdicts[0].keys() != verdicts[1].keys():
            raise InputError(
                f"{both[1]}: it judges other items than {both[0]}; give both benchmarks the same questions."
            )
        judged.setdefault((model, checkpoint), []).append((verdicts[0], verdicts[1]))
    return judged, level


def agreement_numbers(rows: list[Row], judged: Judged, level: Level) -> pandas.DataFrame:
    """One line a row that both judges were asked about, and one over all answers, each counted once."""
    shown = [row for row in rows if (row.model, row.checkpoint) in judged]
    lines = [
        {"group": row.group, "label": row.name, "model": row.model, "checkpoint": row.checkpoint}
        | agreement(judged[row.model, row.checkpoint], level)
        for row in shown
    ]
    together = [pair for pairs in judged.values() for pair in pairs]
    lines.append({"group": "", "label": ALL, "model": "", "checkpoint": ""} | agreement(together, level))
    return pandas.DataFrame(lines)


def agreement_sheet(
    numbers: pandas.DataFrame, settings: AgreementSettings, configured: Configured, level: Level
) -> Sheet:
    """The table, as it is set."""
    scale = 100 if level == "nominal" else 1
    what = "preferred (%)" if level == "nominal" else "mean rating"
    headings = ("", "checkpoint", "answers", "equal (%)", "alpha", *(f"{what}, {name}" for name in settings.benchmarks))
    lines, group = [], ""
    for line in numbers.to_dict("records"):
        opens, group = line["group"] != group or line["label"] == ALL, line["group"]
        counts = f"{line['n']:.0f}" + (
            f" ({line['n'] - line['n valid']:.0f} missing)" if line["n valid"] < line["n"] else ""
        )
        cells = [
            shown(line["equal"], 100),
            shown(line["alpha"]),
            shown(line["first"], scale),
            shown(line["second"], scale),
        ]
        lines.append(Line((group if opens else "", line["label"], counts, *cells), opens_group=opens))
    return Sheet(settings.caption, headings, 2, lines, agreement_notes(settings, configured, level))


def agreement_notes(settings: AgreementSettings, configured: Configured, level: Level) -> list[str]:
    """Who judged, and what the columns are."""
    judges = [f"{name}: judged by {judge_name(configured.judges[name])}." for name in settings.benchmarks]
    measure = "the squared distance of ratings" if level == "interval" else "whether verdicts differ"
    verdict = "rating" if level == "interval" else "verdict (the model's answer, the reference's, or neither)"
    return [
        *judges,
        f"equal: the share of answers to which both give the same {verdict}. alpha: Krippendorff's, by {measure}: 1 is "
        "perfect agreement, 0 that of chance; missing where all verdicts are the same. Published judgments stand for "
        "the judge that their publisher names.",
        *settings.notes,
    ]


def judge_name(judge: dict) -> str:
    """What a judge is called."""
    return judge["model"] or judge["api"]["model"]


def shown(value: float | None, scale: int = 1) -> str:
    """A number with two decimals."""
    return MISSING if pandas.isna(value) else f"{value * scale:z.2f}".replace("-", "−")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--agreement", required=True, help="the table's declaration, JSON")
parser.add_argument("--rows", required=True, help="the table's rows, JSON")
parser.add_argument("--grid", required=True, help="folder, models with their checkpoints, seeds and benchmarks, JSON")
parser.add_argument("--configured", required=True, help="settings that the records must be made with, JSON")
parser.add_argument("--csv", type=Output, required=True, help="csv to write")
add_sheet_arguments(parser)

if __name__ == "__main__":
    cli.run(main, parser)
