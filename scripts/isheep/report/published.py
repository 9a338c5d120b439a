"""The paper's published numbers: one csv file a table, as printed, with remarks on the cells that need one.

A table's first column, `row`, names a checkpoint; the other columns are numbers as printed, empty where the paper
prints none. `remarks.csv`, beside the tables, has the columns table, row, column, comparable and remark; `*` stands for
every row or every column of a table.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from isheep.files.records import InputError
from isheep.spelling import listed, nearest

REMARKS_HEADING = ["table", "row", "column", "comparable", "remark"]
EVERY = "*"
"""What stands for every row or every column in remarks.csv."""
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Remark:
    """What a reader must know of a printed number."""

    comparable: bool
    """False where the printed number is not the measurement of its cell: no difference to it may be shown."""
    text: str
    """One sentence."""


@dataclass(frozen=True)
class PublishedTable:
    """A table as it was printed; rows are checkpoints, columns metrics."""

    name: str
    """Stem of its file, such as `table_1`."""
    path: Path
    """Its file, which errors name."""
    rows: list[str]
    """Names of the rows, in the order of the file."""
    columns: list[str]
    """Names of the columns of numbers, in the order of the file."""
    _values: dict[tuple[str, str], float | None] = field(repr=False)
    _remarks: list[tuple[str, str, Remark]] = field(repr=False)

    def value(self, row: str, column: str) -> float | None:
        """Return the printed number, or None where none is printed.

        Raises InputError for a row or column that the table does not have.
        """
        self._require(row, column)
        return self._values[row, column]

    def remarks(self, row: str, column: str) -> list[Remark]:
        """Return the remarks on a cell, in the order of remarks.csv. Raises the errors of `value`."""
        self._require(row, column)
        return [
            remark
            for its_row, its_column, remark in self._remarks
            if its_row in (row, EVERY) and its_column in (column, EVERY)
        ]

    def _require(self, row: str, column: str) -> None:
        for kind, name, names in (("row", row, self.rows), ("column", column, self.columns)):
            if name not in names:
                raise InputError(f"{self.path}: it has no {kind} {name!r}{_instead(name, names)}")


def load_published(path: str | Path) -> PublishedTable:
    """Read one table and its remarks, from the remarks.csv beside it.

    Raises InputError, naming file and line: a missing or torn file, an empty or repeated row or column, a row with too
    few or too many cells, a cell that is no number; a remark on a table, row or column that does not exist, or whose
    `comparable` is neither yes nor no.
    """
    path = Path(path)
    columns, values = _read_table(path)
    rows = list(dict.fromkeys(row for row, _ in values))
    return PublishedTable(path.stem, path, rows, columns, values, _read_remarks(path, rows, columns))


def published_tables(folder: str | Path) -> dict[str, PublishedTable]:
    """Read every `table_<n>.csv` of a folder, in the order of n. Raises InputError as `load_published` does."""
    paths = list(Path(folder).glob("table_*.csv"))
    if not paths:
        raise InputError(f"{folder}: it has no table_<n>.csv; name the folder of the published tables.")
    tables = [load_published(path) for path in sorted(paths, key=lambda path: (len(path.stem), path.stem))]
    return {table.name: table for table in tables}


def _read_table(path: Path) -> tuple[list[str], dict[tuple[str, str], float | None]]:
    """Return the columns of numbers, and the number of each row and column."""
    lines = _read_lines(path)
    _, heading = next(lines)
    if heading[0] != "row" or len(heading) < 2:
        raise InputError(f"{path}: line 1 is {','.join(heading)!r}; it must be `row` and then the table's columns.")
    for number, column in enumerate(heading, start=1):
        if not column.strip():
            raise InputError(f"{path}: line 1 has no name for column {number}; give it one.")
        if column in heading[: number - 1]:
            raise InputError(f"{path}: line 1 has the column {column!r} twice; remove or rename one.")
    values, line_of = {}, {}
    for line, (row, *cells) in lines:
        if not row.strip():
            raise InputError(f"{path}: line {line} has no name in the column 'row'; give it one.")
        if row in line_of:
            raise InputError(f"{path}: line {line} repeats the row {row!r} of line {line_of[row]}; remove one.")
        line_of[row] = line
        for column, cell in zip(heading[1:], cells, strict=True):
            values[row, column] = _number(cell, f"{path}: line {line}, row {row!r}, column {column!r}")
    return heading[1:], values


def _number(cell: str, where: str) -> float | None:
    if cell and not NUMBER.fullmatch(cell):
        raise InputError(f"{where}: {cell!r} is no number; write digits as printed, or leave the cell empty.")
    return float(cell) if cell else None


def _read_remarks(table: Path, rows: list[str], columns: list[str]) -> list[tuple[str, str, Remark]]:
    """Return row, column and remark of each remark on `table`; the tables named by the others must exist."""
    path = table.with_name("remarks.csv")
    lines = _read_lines(path)
    _, heading = next(lines)
    if heading != REMARKS_HEADING:
        raise InputError(f"{path}: line 1 is {','.join(heading)!r}; it must be {','.join(REMARKS_HEADING)!r}.")
    remarks = []
    for line, (name, row, column, comparable, text) in lines:
        if not table.with_name(f"{name}.csv").is_file():
            known = sorted(file.stem for file in table.parent.glob("table_*.csv"))
            raise InputError(f"{path}: line {line} names the table {name!r}, which is not here{_instead(name, known)}")
        if comparable not in ("yes", "no"):
            raise InputError(f"{path}: line {line} has {comparable!r} in the column 'comparable'; write yes or no.")
        if not text.strip():
            raise InputError(f"{path}: line {line} has an empty remark; say in one sentence what is remarkable.")
        if name != table.stem:
            continue
        for kind, found, known in (("row", row, rows), ("column", column, columns)):
            if found != EVERY and found not in known:
                raise InputError(
                    f"{path}: line {line} names the {kind} {found!r}, which {table} does not have"
                    f"{_instead(found, known)}"
                )
        remarks.append((row, column, Remark(comparable == "yes", text)))
    return remarks


def _instead(name: str, known: list[str]) -> str:
    return nearest(name, known) or f"; there is {listed(known)}."


def _read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each row, the heading first; all have as many cells as the heading."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; restore it, or correct the path.")
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        width = None
        try:
            for cells in reader:
                if not cells:
                    raise InputError(f"{path}: line {reader.line_num} is empty; remove it.")
                width = width or len(cells)
                if len(cells) != width:
                    raise InputError(
                        f"{path}: line {reader.line_num} has {len(cells)} cells, but line 1 has {width}; correct it."
                    )
                yield reader.line_num, cells
        except csv.Error as error:
            raise InputError(f"{path}: line {reader.line_num} is not valid csv ({error}); correct it.") from None
    if width is None:
        raise InputError(f"{path}: the file is empty; restore it.")
