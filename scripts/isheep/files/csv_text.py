"""Texts in csv files that no spreadsheet reads as a formula, and that our own readers read as they were.

Names and labels come from configurations and downloaded files. A spreadsheet takes a cell that begins with one of
`= + - @`, a tab or a carriage return for a formula, which may run programs. An apostrophe before it makes it a text.
"""

import re
from typing import TYPE_CHECKING

from isheep.files.records import publish

if TYPE_CHECKING:
    from pathlib import Path

    import pandas

FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a text begins that needs the apostrophe. One that has some already gets one more, so that none is lost."""
TEXT_COLUMNS = ("model", "recipe", "checkpoint", "previous", "benchmark", "metric", "method", "note")
"""Of the csv files that programs read again: a model may be called 7, or NA."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""A number, which is none of these formulas."""


def guarded(text: str) -> str:
    """Return a text as it is written into a csv file."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def restored(text: str) -> str:
    """Return a text of a csv file as it was before `guarded`."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def guarded_frame(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return a table whose headings and texts are guarded; its numbers are as they were."""
    return _with_texts(frame, guarded)


def restored_frame(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """Return a table that was read from a csv file, with its headings and texts as they were before."""
    return _with_texts(frame, restored)


def read_frame(path: "str | Path") -> "pandas.DataFrame":
    """Return a table of scores, tests or overlaps from its csv file: names are texts, whatever they look like, and in
    the other columns what is empty is missing."""
    import pandas

    names = pandas.read_csv(path, nrows=0).columns
    texts = {name: str for name in names if name in TEXT_COLUMNS}
    numbers = {name: [""] for name in names if name not in TEXT_COLUMNS}
    return restored_frame(pandas.read_csv(path, dtype=texts, keep_default_na=False, na_values=numbers))


def write_frame(path: "Path", frame: "pandas.DataFrame", number_format: str | None = None) -> None:
    """Publish a table as a csv file, its texts guarded. number_format: of numbers that are not whole, such as %.6g."""
    with publish(path) as partial:
        guarded_frame(frame).to_csv(partial, index=False, float_format=number_format)


def _with_texts(frame: "pandas.DataFrame", change) -> "pandas.DataFrame":
    texts = frame.select_dtypes(["object", "string"]).columns
    changed = {name: frame[name].map(lambda cell: change(cell) if isinstance(cell, str) else cell) for name in texts}
    return frame.assign(**changed).rename(columns=change)
