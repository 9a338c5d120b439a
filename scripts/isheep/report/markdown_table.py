"""Reading a table back from the Markdown that `isheep.report.table_text.as_markdown` writes."""

import re
from itertools import pairwise
from pathlib import Path

from isheep.files.records import InputError, read_text
from isheep.report.table_text import Line, Sheet

CELL_BORDER = re.compile(r"(?<!\\)(?:\\\\)*\|")
CHARACTERS = {"&lt;": "<", "&amp;": "&"}
WRITTEN = re.compile(rf"\\([^\w\s]|_)|{'|'.join(CHARACTERS)}")
"""How a character is written that Markdown or HTML would read as a mark."""


def read_markdown(path: str | Path) -> Sheet:
    """Return the table of a Markdown file with its caption and notes, each text as it was before it was marked.

    Raises InputError, naming the file, where that is no such table.
    """
    lines = read_text(path).splitlines()
    rows = [_cells(line) for line in lines if line.startswith("| ")]
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise InputError(f"{path}: this is no table as the workflow writes it; remove the file, and it is made again.")
    headings, alignment, *cells = rows
    return Sheet(
        caption=_unmarked(lines[0]),
        headings=tuple(map(_unmarked, headings)),
        names=alignment.count("---"),
        lines=[Line(tuple(map(_unmarked, row))) for row in cells],
        notes=[_unmarked(line[2:]) for line in lines if line.startswith("- ")],
    )


def _cells(line: str) -> list[str]:
    """The cells of a line `| a | b |`, still marked. A bar in a text is written behind a backslash."""
    borders = [match.end() - 1 for match in CELL_BORDER.finditer(line)]
    return [line[left + 2 : right - 1] for left, right in pairwise(borders)]


def _unmarked(text: str) -> str:
    return WRITTEN.sub(lambda match: CHARACTERS.get(match[0], match[1]), text)
