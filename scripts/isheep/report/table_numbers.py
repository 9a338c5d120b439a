"""The numbers of a declared table: ours, the paper's, their difference, and whether a checkpoint differs from the one
before it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pandas

from isheep.files.records import InputError
from isheep.report.multiple_tests import adjusted
from isheep.report.published import PublishedTable
from isheep.report.table_text import MISSING, Line, Sheet
from isheep.report.tables import ColumnSettings, Row, TableSettings, check_names, metric_of
from isheep.spelling import listed, nearest

SIGNIFICANT = 0.05
"""A star marks an adjusted p-value below this."""
UNTESTED = "†"
"""What marks a score that was not tested, though there is a checkpoint before it."""
NOT_COMPARABLE = "‡"
"""What marks a printed number that ours cannot be compared with."""
HALF_INTERVAL = 1.96
"""Standard errors on each side of a score that make a 95 % interval."""
CellText = Callable[[dict, str], str]
"""From a line of `build_table` and a column's label to the text of a cell."""


def check_table(
    name: str, table: TableSettings, rows: list[Row], scores: pandas.DataFrame, published: PublishedTable | None
) -> None:
    """Raise InputError for what a table asks for and cannot get, named by table and column or row.

    That is: what `check_names` refuses, and a metric that no result record of its benchmark has (a benchmark without
    records is only missing).
    """
    check_names(name, table, rows, published is not None)
    for column in table.columns:
        known = sorted(set(scores[scores.benchmark == column.benchmark].metric))
        metrics = {metric_of(column, row) for row in rows}
        for metric in sorted(metrics - set(known)) if known else ():
            raise InputError(
                f"tables.{name}: column {column.label!r} asks for the metric {metric!r}, which no result record of "
                f"{column.benchmark} has; they have {listed(known)}{nearest(metric, known) or '; name one of them.'}"
            )


def build_table(
    scores: pandas.DataFrame,
    table: TableSettings,
    rows: list[Row],
    published: PublishedTable | None = None,
    significance: pandas.DataFrame | None = None,
) -> pandas.DataFrame:
    """Return the numbers of a table, one line a row.

    scores: one row per model, seed, checkpoint, benchmark and metric, with value, standard_error, n and n_valid.
    significance: one row per model, checkpoint, previous, benchmark and metric, as compare_iterations.py writes them.
    The result has the columns group, label, model, recipe, iteration, published, seeds, then for each declared column
    `<label>` (mean over seeds, in per cent where the column says so), `<label> sd` (missing for a single seed),
    `<label> se` (standard error over items, mean over seeds; missing where the benchmark gives none),
    `<label> n` and `<label> n valid` (sums over seeds), `<label> seeds` (how many have a score), `<label> paper`,
    `<label> comparable` (yes, or no where the column or a remark says that the two cannot be compared; missing where
    nothing is printed), `<label> difference` (ours minus the paper's; missing where either is, or they cannot be
    compared), and against the checkpoint before: `<label> change`, `<label> change low` and `<label> change high`
    (its 95 % confidence interval), `<label> detectable`, `<label> p`, `<label> p adjusted` (for the tests of the
    table), `<label> tested` (yes, or no where there is a score and a checkpoint before it). What nobody computed or
    printed stays missing. Raises InputError for a row or column that the published table lacks.
    """
    tests = None if significance is None else _adjusted(shown_tests(significance, table, rows), table)
    lines = []
    for row in rows:
        mine = scores[(scores.model == row.model) & (scores.checkpoint == row.checkpoint)]
        tested = None if tests is None else tests[_tests(tests, row)]
        line = {
            "group": row.group,
            "label": row.name,
            "model": row.model,
            "recipe": row.recipe or row.checkpoint,
            "iteration": row.iteration,
            "published": row.published,
            "seeds": mine.seed.nunique(),
        }
        for column in table.columns:
            ours = _own_numbers(mine, column, row)
            paper, comparable = _paper_number(published, column, row)
            difference = ours[""] - paper if comparable == "yes" else float("nan")
            cell = ours | {"paper": paper, "comparable": comparable, "difference": difference}
            cell |= _test_of(tested, column, row, is_scored=ours["seeds"] > 0)
            line |= {f"{column.label} {kind}".strip(): number for kind, number in cell.items()}
        lines.append(line)
    return pandas.DataFrame(lines)


def shown_tests(significance: pandas.DataFrame, table: TableSettings, rows: list[Row]) -> pandas.DataFrame:
    """Return the tests whose p-values a table holds."""
    shown = pandas.Series(False, index=significance.index)
    for row in rows:
        mine = _tests(significance, row)
        for column in table.columns:
            shown |= mine & _is_cell(significance, column, row)
    return significance[shown]


def table_sheet(numbers: pandas.DataFrame, table: TableSettings, notes: list[str]) -> Sheet:
    """Return the table as it is set: with published numbers, each checkpoint has ours, the paper's and the difference.

    Where the table asks for it, the difference to the checkpoint before stands below ours. A transposed table has these
    lines for each column, and the checkpoints side by side.
    """
    own_text = partial(_own_text, spread=table.spread)
    below = {"interval": ("change", _change_text), "detectable": ("detectable", _detectable_text)}
    sources: dict[str, CellText] = dict(below[kind] for kind in table.differences)
    if table.published is not None:
        sources |= {"paper": _paper_text, "difference": _difference_text}
    sources = {"ours" if sources else "": own_text} | sources
    records = numbers.to_dict("records")
    if table.transpose:
        names, lines = ["", ""], _transposed(records, table.columns, sources)
        headings = [f"{record['group']} {record['label']}".strip() for record in records]
    else:
        names, lines = ["", "checkpoint", ""], _upright(records, table.columns, sources)
        headings = [column.label for column in table.columns]
    used = [place for place in range(len(names)) if any(line.cells[place] for line in lines)]
    shown = [*used, *range(len(names), len(names) + len(headings))]
    lines = [replace(line, cells=tuple(line.cells[place] for place in shown)) for line in lines]
    return Sheet(table.caption, tuple([*names, *headings][place] for place in shown), len(used), lines, notes)


def _tests(significance: pandas.DataFrame, row: Row) -> pandas.Series:
    of_row = (significance.model == row.model) & (significance.checkpoint == row.checkpoint)
    return of_row & (significance.previous == row.previous)


def _adjusted(tests: pandas.DataFrame, table: TableSettings) -> pandas.DataFrame:
    """The tests of a table, with p-values that are adjusted for their number."""
    return tests.assign(adjusted=adjusted(list(tests.p), table.correction))


def _test_of(
    tested: pandas.DataFrame | None, column: ColumnSettings, row: Row, is_scored: bool
) -> dict[str, float | str]:
    """What is known of the difference to the checkpoint before."""
    found = [] if tested is None else tested[_is_cell(tested, column, row)].to_dict("records")
    scale = 100 if column.percent else 1
    keys = ("difference", "low", "high", "detectable", "p", "adjusted")
    test = found[0] if found else dict.fromkeys(keys, float("nan"))
    comparable = tested is not None and row.previous is not None and is_scored
    return {
        "change": test["difference"] * scale,
        "change low": test["low"] * scale,
        "change high": test["high"] * scale,
        "detectable": test["detectable"] * scale,
        "p": test["p"],
        "p adjusted": test["adjusted"],
        "tested": ("yes" if found else "no") if comparable else None,
    }


def _is_cell(frame: pandas.DataFrame, column: ColumnSettings, row: Row) -> pandas.Series:
    shown = column.label not in row.empty
    return shown & (frame.benchmark == column.benchmark) & (frame.metric == metric_of(column, row))


def _own_numbers(mine: pandas.DataFrame, column: ColumnSettings, row: Row) -> dict[str, float]:
    cell = mine[_is_cell(mine, column, row)]
    scale = 100 if column.percent else 1
    return {
        "": cell.value.mean() * scale,
        "sd": cell.value.std(ddof=1) * scale,
        "se": cell.standard_error.mean() * scale,
        "n": cell.n.sum(),
        "n valid": cell.n_valid.sum(),
        "seeds": cell.value.count(),
    }


def _paper_number(published: PublishedTable | None, column: ColumnSettings, row: Row) -> tuple[float, str | None]:
    """The paper's number, and whether ours can be compared with it: yes or no; None where it has none."""
    if published is None or row.published is None or column.published is None:
        return float("nan"), None
    value = published.value(row.published, column.published)
    if value is None:
        return float("nan"), None
    remarks = published.remarks(row.published, column.published)
    comparable = column.not_comparable is None and all(remark.comparable for remark in remarks)
    return value, "yes" if comparable else "no"


def _upright(records: list[dict], columns: tuple[ColumnSettings, ...], sources: dict[str, CellText]) -> list[Line]:
    """Lines of group, checkpoint, source and the columns' cells."""
    lines, group = [], None
    for record in records:
        opens = record["group"] != group
        group = record["group"]
        for number, (source, text) in enumerate(sources.items()):
            names = ("", "") if number else (group if opens else "", record["label"])
            cells = (text(record, column.label) for column in columns)
            lines.append(Line((*names, source, *cells), opens_group=opens and not number, continues=number > 0))
    return lines


def _transposed(records: list[dict], columns: tuple[ColumnSettings, ...], sources: dict[str, CellText]) -> list[Line]:
    """Lines of column, source and the checkpoints' cells."""
    lines = []
    for column in columns:
        for number, (source, text) in enumerate(sources.items()):
            cells = (text(record, column.label) for record in records)
            lines.append(Line(("" if number else column.label, source, *cells), continues=number > 0))
    return lines


def _own_text(record: dict, label: str, spread: str) -> str:
    mark = "*" if record[f"{label} p adjusted"] < SIGNIFICANT else ""
    mark = UNTESTED if record[f"{label} tested"] == "no" else mark
    lacking = record[f"{label} n"] - record[f"{label} n valid"]
    remarks = [f"{lacking:.0f} missing"] if lacking else []
    if 0 < record[f"{label} seeds"] < record["seeds"]:
        remarks.append(f"{record[f'{label} seeds']} of {record['seeds']} seeds")
    remark = f" ({', '.join(remarks)})" if remarks else ""
    return f"{_shown(record[label])}{mark}{_spread_text(record, label, spread)}{remark}"


def _spread_text(record: dict, label: str, spread: str) -> str:
    """`± ...` as the table asks for it; nothing where that is missing."""
    width = {
        "seeds": record[f"{label} sd"],
        "error": record[f"{label} se"],
        "interval": HALF_INTERVAL * record[f"{label} se"],
        "none": float("nan"),
    }[spread]
    return "" if pandas.isna(width) else f" ± {width:.2f}"


def _paper_text(record: dict, label: str) -> str:
    mark = NOT_COMPARABLE if record[f"{label} comparable"] == "no" else ""
    return f"{_shown(record[f'{label} paper'])}{mark}"


def _difference_text(record: dict, label: str) -> str:
    return _shown(record[f"{label} difference"], "+")


def _change_text(record: dict, label: str) -> str:
    low, high = record[f"{label} change low"], record[f"{label} change high"]
    interval = "" if pandas.isna(low) else f" ({_shown(low, '+')} to {_shown(high, '+')})"
    return f"{_shown(record[f'{label} change'], '+')}{interval}"


def _detectable_text(record: dict, label: str) -> str:
    return _shown(record[f"{label} detectable"])


def _shown(value: float, sign: str = "") -> str:
    return MISSING if pandas.isna(value) else f"{value:{sign}z.2f}".replace("-", "−")
