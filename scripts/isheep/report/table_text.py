"""A table of texts, set as Markdown or LaTeX."""

import argparse
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from isheep.files.ownership import Output
from isheep.files.records import publish

TEXT_WIDTH = 345
"""Points across a page of LaTeX's class `article` at 10 pt, the narrowest page that a table must fit on."""
COLUMN_SEPARATION = 3
"""Points on each side of a column."""
LONGEST_NAME = 150
"""Points across a column of names, whose longer texts are broken into lines."""

MISSING = "–"
"""What a cell without a number shows."""

PAIRED_MARKS = (r"\*", r"(?<![^\W_])_|_(?![^\W_])", "`", "~", r"\$")
"""What Markdown, or GitHub's, reads as a mark where there are two: emphasis, code, struck text, mathematics."""

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "Δ": r"$\Delta$",
    "–": "--",
    "—": "---",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "…": r"\dots{}",
}
"""How a character is written for LaTeX, where not as itself."""


@dataclass(frozen=True)
class Line:
    """One line of a table."""

    cells: tuple[str, ...]
    """A text for each heading."""
    opens_group: bool = False
    """A rule stands above it, unless it is the first."""
    continues: bool = False
    """It belongs to the line above: no page ends between them."""


@dataclass(frozen=True)
class Sheet:
    """A table, ready to be set."""

    caption: str
    """One sentence above it."""
    headings: tuple[str, ...]
    """A text above each column."""
    names: int
    """How many columns, from the left, say what a line is; the others hold numbers."""
    lines: Sequence[Line]
    """From top to bottom."""
    notes: Sequence[str]
    """Sentences below it."""


def add_sheet_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the flags of the files that `write_sheet` writes."""
    parser.add_argument("--markdown", type=Output, required=required, help="Markdown to write")
    parser.add_argument("--latex", type=Output, required=required, help="LaTeX to write")


def write_sheet(sheet: Sheet, arguments: argparse.Namespace, for_latex: Sheet | None = None) -> None:
    """Write a table in the forms that the flags name. for_latex: the table as LaTeX can set it, where that differs."""
    for path, written, shown in (
        (arguments.markdown, as_markdown, sheet),
        (arguments.latex, as_latex, for_latex or sheet),
    ):
        if path:
            with publish(path) as partial:
                partial.write_text(written(shown), encoding="utf-8")


def as_markdown(sheet: Sheet) -> str:
    """Return the table as Markdown: caption, cells, a list of notes. Every text is shown as it is: see `marked`."""
    alignment = ["---"] * sheet.names + ["--:"] * (len(sheet.headings) - sheet.names)
    headings, *lines = (
        [marked(cell) for cell in row] for row in (sheet.headings, *(line.cells for line in sheet.lines))
    )
    body = "\n".join(f"| {' | '.join(row)} |" for row in (headings, alignment, *lines))
    notes = "\n".join(f"- {_not_a_block(marked(note))}" for note in sheet.notes)
    return f"{_not_a_block(marked(sheet.caption))}\n\n{body}\n" + (f"\n{notes}\n" if notes else "")


def marked(text: str) -> str:
    """Return a text on one line, with all that Markdown or HTML would read as a mark written so that it is shown.

    Marks that mean something only in pairs stay as they are where there is one, so that most texts are unchanged.
    """
    text = re.sub(r"[\\|\[]", r"\\\g<0>", one_line(text))
    for mark in PAIRED_MARKS:
        if len(re.findall(mark, text)) > 1:
            text = re.sub(mark, r"\\\g<0>", text)
    return re.sub(r"<(?=\S)", "&lt;", re.sub(r"&(?=#?\w+;)", "&amp;", text))


def one_line(text: str) -> str:
    """Return a text without control characters, its line breaks and other white space as single spaces."""
    return "".join(character for character in " ".join(text.split()) if unicodedata.category(character) != "Cc")


def _not_a_block(text: str) -> str:
    """A text that begins a line, so that it begins no heading, list, quotation or fence."""
    return re.sub(r"^(?:(\d+)(?=[.)](?:\s|$))|(?=[#>+~`*-]))", r"\1\\", text)


def as_latex(sheet: Sheet) -> str:
    """Return the table for LaTeX, as a longtable that breaks across pages; the notes stand below it.

    It needs the packages booktabs and longtable. In a cell of numbers, `± ...` and `(...)` stand below the number.
    Columns that do not fit side by side on a page of TEXT_WIDTH points
    follow below in a second part, and so on, each with the names of the lines.
    """
    parts = [_latex_part(sheet, columns, first=not number) for number, columns in enumerate(_parts(sheet))]
    notes = [rf"\noindent {escaped(' '.join(sheet.notes))}", r"\par"] if sheet.notes else []
    setup = [r"\begingroup", r"\footnotesize", r"\sloppy", rf"\setlength{{\tabcolsep}}{{{COLUMN_SEPARATION}pt}}"]
    return "\n".join([*setup, *(line for part in parts for line in part), *notes, r"\endgroup", ""])


def escaped(text: str) -> str:
    """Return a text on one line, with all that LaTeX would read as a command, or lacks in its fonts, written so that it
    is shown."""
    return "".join(LATEX.get(character, character) for character in one_line(text))


def _after_break(text: str) -> str:
    r"""An escaped text behind `\\` or a rule, which would take `[`, `*` or `(` at its beginning for theirs."""
    return f"{{}}{text}" if text.startswith(("[", "*", "(")) else text


def _latex_part(sheet: Sheet, columns: list[int], first: bool) -> list[str]:
    """The lines of one longtable with some of the columns; only the first part has the caption and counts."""
    headings = " & ".join(_heading(sheet.headings[column]) for column in columns)
    head = [r"\toprule", _after_break(headings) + r" \\", r"\midrule"]
    body: list[str] = []
    for line in sheet.lines:
        if line.opens_group and body:
            body.append(r"\midrule")
        if line.continues:
            body[-1] += "*"
        stacks = [_stack(line.cells[column], column < sheet.names) for column in columns]
        physical = [
            _after_break(" & ".join(map(escaped, pieces))) + r" \\" for pieces in zip_longest(*stacks, fillvalue="")
        ]
        body += [f"{piece}*" for piece in physical[:-1]] + physical[-1:]
    widths = _widths(sheet)[: sheet.names]
    names = ("l" if width < LONGEST_NAME + 2 * COLUMN_SEPARATION else rf"p{{{LONGEST_NAME}pt}}" for width in widths)
    alignment = "".join(names) + "r" * (len(columns) - sheet.names)
    opening = [rf"\caption{{{escaped(sheet.caption)}}} \\", *head, r"\endfirsthead"] if first else []
    return [
        *([] if first else [r"\addtocounter{table}{-1}"]),
        rf"\begin{{longtable}}{{@{{}}{alignment}@{{}}}}",
        *opening,
        *head,
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *body,
        r"\end{longtable}",
    ]


def _heading(text: str) -> str:
    """A heading with each word on a line of its own: narrow columns have long headings."""
    words = [_after_break(word) for word in escaped(text).split()]
    stacked = r" \\ ".join(words)
    return rf"\shortstack[r]{{{stacked}}}" if len(words) > 1 else stacked


def _stack(cell: str, is_name: bool) -> list[str]:
    """The pieces of a cell that stand below one another: the number, `± ...` and `(...)`; a name is one piece."""
    return [cell] if is_name else re.split(r" (?=[±(])", cell)


def _parts(sheet: Sheet) -> list[list[int]]:
    """The columns of each part: the names, and as many of the others as fit on a page."""
    widths = _widths(sheet)
    names = list(range(sheet.names))
    parts, free = [names[:]], TEXT_WIDTH - sum(widths[: sheet.names])
    for column in range(sheet.names, len(widths)):
        if widths[column] > free and len(parts[-1]) > sheet.names:
            parts.append(names[:])
            free = TEXT_WIDTH - sum(widths[: sheet.names])
        parts[-1].append(column)
        free -= widths[column]
    return parts


def _widths(sheet: Sheet) -> list[float]:
    """Points that each column takes at most, with its separation."""
    widths = []
    for column, heading in enumerate(sheet.headings):
        is_name = column < sheet.names
        pieces = [piece for line in sheet.lines for piece in _stack(line.cells[column], is_name)]
        width = max(map(_width, [*heading.split(), *pieces]), default=0)
        widths.append(2 * COLUMN_SEPARATION + (min(width, LONGEST_NAME) if is_name else width))
    return widths


def _width(text: str) -> float:
    r"""Points that a text takes at most in Computer Modern at 8 pt (\footnotesize), by kinds of characters."""
    kinds = {"[mwMW%]": 8.8, "[A-LN-VX-Z+±−]": 6.9, "[bdhnpqu]": 4.8, "[frst()'/ ]": 3.4, "[ijl.,:;]": 2.6}
    counts = {kind: len(re.findall(kind, text)) for kind in kinds}
    return sum(kinds[kind] * count for kind, count in counts.items()) + 4.3 * (len(text) - sum(counts.values()))
