"""Make a table of single pairs, drawn from ledgers and responses by a seeded rule: csv, Markdown and LaTeX.

The texts are a model's: in csv files none begins as a formula, in the other forms they are cut, and shown as they are.
"""

import argparse
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import pandas
from pydantic import TypeAdapter

from isheep import cli
from isheep.data.ledger import iterate_ledger
from isheep.files.csv_text import write_frame
from isheep.files.ownership import Output
from isheep.files.reading import iterate_rows, shared
from isheep.files.records import InputError
from isheep.report.cases import Candidate, Case, CaseFiles, CaseSettings, asked, draw_cases, group_name, groups
from isheep.report.table_text import LATEX, MISSING, Line, Sheet, add_sheet_arguments, one_line, write_sheet
from isheep.terminal import printable

LONGEST_WORD = 20
"""Characters of a word that fit side by side into the LaTeX table's column of texts."""
QUOTES = "‘’“”"
MEANING = {
    "scores": "A score is high if it is above {threshold}. Pairs are drawn at random of each group.",
    "instruction": "Instructions that were answered in most iterations; of those alike, drawn at random.",
}


def main(arguments: argparse.Namespace) -> None:
    """Write the table in its three forms."""
    settings = CaseSettings.model_validate_json(arguments.cases)
    files = TypeAdapter(list[CaseFiles]).validate_json(arguments.files)
    cases = draw_cases((one for of_iteration in files for one in candidates(of_iteration)), settings, arguments.seed)
    rows = [row_of(case, *found, settings) for case, *found in with_texts(cases, files)]
    columns = ["group", "iteration", "id", "instruction", "input", "response", *settings.criteria, "used_for"]
    write_frame(arguments.csv, pandas.DataFrame(rows, columns=columns).convert_dtypes())
    sheet = make_sheet(rows, settings)
    write_sheet(sheet, arguments, for_latex(sheet))
    print(f"{arguments.markdown}: {len(rows)} pairs")


def candidates(files: CaseFiles) -> Iterator[Candidate]:
    """Yield the pairs of an iteration that were scored. Raises InputError where the ledger knows none of its pairs."""
    scores = {
        row["id"]: {shared(criterion): score for criterion, score in row["scores"].items()}
        for row in iterate_ledger(files.ledger, "id", "scores")
    }
    found = 0
    for pair in written(files):
        if pair["id"] in scores:
            found += 1
            if scores[pair["id"]]:
                yield Candidate(files.iteration, pair["id"], asked(pair), scores[pair["id"]])
    if not found:
        raise InputError(f"{files.ledger}: it has none of the pairs in {files.pairs[0]}; give files of one iteration.")


def written(files: CaseFiles) -> Iterator[dict]:
    """Yield the pairs of an iteration, one at a time."""
    for path in files.pairs:
        yield from iterate_rows(path, "id", "instruction", "input", "response")


def with_texts(cases: Sequence[Case], files: Iterable[CaseFiles]) -> list[tuple[Case, dict, dict]]:
    """Return each case with its pair and its row of the ledger, which are read anew."""
    wanted = {(case.iteration, case.id) for case in cases}
    pairs, ledger = {}, {}
    for of_iteration in files:
        ids = {id for iteration, id in wanted if iteration == of_iteration.iteration}
        pairs |= {(of_iteration.iteration, pair["id"]): pair for pair in written(of_iteration) if pair["id"] in ids}
        rows = iterate_ledger(of_iteration.ledger, "id", "scores", "used_for")
        ledger |= {(of_iteration.iteration, row["id"]): row for row in rows if row["id"] in ids}
    return [(case, pairs[case.iteration, case.id], ledger[case.iteration, case.id]) for case in cases]


def row_of(case: Case, pair: dict, entry: dict, settings: CaseSettings) -> dict:
    """One row of the csv file."""
    texts = {key: pair[key] for key in ("instruction", "input", "response")}
    scores = {criterion: entry["scores"].get(criterion) for criterion in settings.criteria}
    where = {"group": case.heading, "iteration": case.iteration, "id": case.id}
    return where | texts | scores | {"used_for": entry["used_for"]}


def make_sheet(rows: list[dict], settings: CaseSettings) -> Sheet:
    """A line for each pair, texts cut; a group's heading stands at its first."""
    lines, group = [], None
    for row in rows:
        opens = row["group"] != group
        group = row["group"]
        question, answer = f"{row['instruction']} {row['input']}", row["response"]
        text = f"{cut(question, settings.longest)} → {cut(answer, settings.longest)}"
        scores = [MISSING if row[name] is None else str(row[name]) for name in settings.criteria]
        names = (group if opens else "", str(row["iteration"]), text)
        lines.append(Line((*names, *scores, row["used_for"] or MISSING), opens_group=opens))
    headings = ("", "iteration", "instruction → response", *settings.criteria, "used for")
    return Sheet(settings.caption, headings, 3, lines, notes(rows, settings))


def notes(rows: list[dict], settings: CaseSettings) -> list[str]:
    """Sentences below the table."""
    sentences = [MEANING[settings.arrange].format(threshold=settings.threshold)]
    if settings.arrange == "instruction" and not rows:
        sentences.append("No instruction was answered in more than one iteration.")
    if settings.arrange == "scores":
        there = {row["group"] for row in rows}
        lacking = [name for name in map(group_name, groups(settings)) if name not in there]
        sentences += [f"No pair has {'; '.join(lacking)}."] if lacking else []
    cut_note = f"Texts are cut after {settings.longest} characters; the csv file has them whole."
    return [*sentences, cut_note, *settings.notes]


def cut(text: str, longest: int) -> str:
    """Return a text on one line, and no more than its first characters."""
    text = printable(one_line(text))
    return text if len(text) <= longest else f"{text[:longest].rstrip()} …"


def for_latex(sheet: Sheet) -> Sheet:
    """Return a sheet whose texts LaTeX's own fonts can set: another character stands as its number, a word that is
    longer than the column in pieces."""
    lines = [Line(tuple(map(in_pieces, map(settable, line.cells))), line.opens_group) for line in sheet.lines]
    return Sheet(sheet.caption, sheet.headings, sheet.names, lines, sheet.notes)


def settable(text: str) -> str:
    """Return a text in which each character that pdflatex cannot set is written as `[U+4F60]`."""
    return "".join(one if _has_glyph(one) else f"[U+{ord(one):04X}]" for one in text)


def _has_glyph(character: str) -> bool:
    is_accented = "À" <= character <= "ÿ" and unicodedata.normalize("NFD", character)[0].isascii()
    return character.isascii() or character in LATEX or character in QUOTES or is_accented


def in_pieces(text: str) -> str:
    """Return a text whose words are short enough to stand side by side."""
    return re.sub(rf"(\S{{{LONGEST_WORD}}})(?=\S)", r"\1 ", text)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--cases", required=True, help="the table's declaration, JSON")
parser.add_argument("--files", required=True, help="JSON list: iteration, ledger, pairs (shards)")
parser.add_argument("--seed", type=int, required=True, help="seed of the draw")
parser.add_argument("--csv", type=Output, required=True, help="csv to write: whole texts")
add_sheet_arguments(parser)

if __name__ == "__main__":
    cli.run(main, parser)
