"""The paper's headline claims, computed again from the numbers that its tables print and from ours."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from isheep.files.csv_text import restored
from isheep.files.records import InputError
from isheep.report.published import NUMBER
from isheep.report.table_text import MISSING, Line, Sheet
from isheep.settings import Settings, Unique
from isheep.spelling import listed, nearest

HALF = 0.5 + 1e-6
"""Half of the last digit that is printed, and a little for the rounding of binary fractions."""

CSV_COLUMNS = ("claim", "kind", "table", "columns", "earlier", "later", "printed", "published", "ours", "missing")
"""The columns of the claims' csv."""

Table = dict[str, dict[str, str]]
"""A table's csv: published row → column → what stands there."""


def _as_printed(value: object) -> object:
    """Return a printed number's text; ValueError for one whose last zeros YAML may have dropped, or that is none."""
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise ValueError(
            f"found {value!r}, but it must be a number in quotes, such as '20.00': without them YAML drops the "
            "zeros at its end, and so how exactly it is printed"
        )
    return value


class ClaimSettings(Settings):
    """One claim: how much a score, or the mean of several, changes from one checkpoint to another."""

    text: str
    """What the paper says, and where."""
    printed: Annotated[str, BeforeValidator(_as_printed)]
    """The number as printed, with all its decimals, in quotes."""
    kind: Literal["relative", "absolute"]
    """`relative`: in per cent of the earlier value; `absolute`: in points."""
    table: str
    """Name of the table that has the scores."""
    columns: Unique[str] = Field(min_length=1)
    """Labels of the table's columns; the claim is about their mean."""
    earlier: str
    """The checkpoint that the change starts from, by its row in the published table."""
    later: str
    """The checkpoint that the change ends at, likewise."""


@dataclass(frozen=True)
class CheckedClaim:
    """A claim, recomputed."""

    claim: ClaimSettings
    published: float
    """From the numbers that the paper's tables print."""
    ours: float | None
    """From ours; None where a score is missing."""
    missing: tuple[str, ...]
    """Our scores that are missing, each by row and column."""


def read_table(path: str | Path) -> Table:
    """Read the csv of a table, by the published rows that its rows are."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [{restored(key): restored(cell) for key, cell in row.items()} for row in csv.DictReader(file)]
    return {row["published"]: row for row in rows if row["published"]}


def check_claim(claim: ClaimSettings, tables: Mapping[str, Table]) -> CheckedClaim:
    """Compute a claim from the paper's numbers and from ours.

    Raises InputError, naming the claim, for a table, row or column that does not exist, for a number that the paper
    does not print, and where the paper's numbers do not give what is printed.
    """
    where = f"claim {claim.text!r}"
    _require(claim.table, tables, f"{where}: there is no table")
    table = tables[claim.table]
    for name in (claim.earlier, claim.later):
        _require(name, table, f"{where}: the table {claim.table} has no published row")
    rows = [table[claim.earlier], table[claim.later]]
    labels = [key.removesuffix(" paper") for key in rows[0] if key.endswith(" paper")]
    for column in claim.columns:
        _require(column, labels, f"{where}: the table {claim.table} has no column")
    paper = _values(rows, claim, " paper")
    if absent := _absent(paper, claim):
        raise InputError(f"{where}: the paper's tables print no number for {listed(absent)}; name others.")
    published = _change(paper, claim)
    if abs(published - float(claim.printed)) > HALF * 10 ** -_decimals(claim.printed):
        raise InputError(
            f"{where}: the printed numbers give {published:.4f}, which does not round to {claim.printed}, the number "
            "of the claim; correct the claim's number, rows or columns."
        )
    ours = _values(rows, claim, "")
    missing = _absent(ours, claim)
    if not missing and claim.kind == "relative" and not any(ours[0]):
        missing = [f"a score of {claim.earlier} other than 0"]
    return CheckedClaim(claim, published, None if missing else _change(ours, claim), tuple(missing))


def claims_sheet(checked: list[CheckedClaim]) -> Sheet:
    """Return the claims as a table to be set; what is missing of ours stands below."""
    lines = []
    for found in checked:
        decimals, unit = _decimals(found.claim.printed), " %" if found.claim.kind == "relative" else ""
        numbers = (float(found.claim.printed), found.published, found.ours)
        cells = [MISSING if number is None else f"{number:+z.{decimals}f}{unit}" for number in numbers]
        lines.append(Line((found.claim.text, *(cell.replace("-", "−") for cell in cells))))
    notes = ["Changes in per cent of the earlier value where % is shown, else in points; in the paper's decimals."]
    notes += [f"{found.claim.text}: we lack {listed(found.missing)}." for found in checked if found.missing]
    headings = ("claim", "printed", "from the published numbers", "from ours")
    return Sheet("The paper's claims, computed from its tables and from ours.", headings, 1, lines, notes)


def claim_row(found: CheckedClaim) -> dict:
    """Return a claim as a row of the csv, with unrounded numbers."""
    names = {"claim": found.claim.text, "columns": listed(found.claim.columns), "missing": "; ".join(found.missing)}
    return found.claim.model_dump(exclude={"text"}) | {"published": found.published, "ours": found.ours} | names


def _require(name: str, known: Collection[str], problem: str) -> None:
    if name not in known:
        raise InputError(f"{problem} {name!r}{nearest(name, known) or f'; there is {listed(known)}.'}")


def _values(rows: list[dict[str, str]], claim: ClaimSettings, suffix: str) -> list[list[float | None]]:
    """The scores of the earlier and of the later row."""
    return [[float(row[column + suffix]) if row[column + suffix] else None for column in claim.columns] for row in rows]


def _absent(values: list[list[float | None]], claim: ClaimSettings) -> list[str]:
    """What is missing, by row and column."""
    return [
        f"{column} of {name}"
        for name, row in zip((claim.earlier, claim.later), values, strict=True)
        for column, value in zip(claim.columns, row, strict=True)
        if value is None
    ]


def _change(values: list[list[float]], claim: ClaimSettings) -> float:
    earlier, later = map(fmean, values)
    return 100 * (later / earlier - 1) if claim.kind == "relative" else later - earlier


def _decimals(printed: str) -> int:
    return len(printed.partition(".")[2])
