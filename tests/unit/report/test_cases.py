"""Tables of single pairs: which pairs a seed draws, and texts that would be formulas, marks or commands."""

import csv
import json
import shutil
import subprocess

import pytest

import make_cases
from isheep.files.records import InputError, write_jsonl
from isheep.report.cases import Candidate, CaseSettings, draw_cases

TABLE = {"caption": "Pairs.", "model": "m", "recipe": "r", "iterations": [1, 2]}


def candidate(
    number: int, quality: int | None, following: int | None, iteration: int = 1, asked: str = "x"
) -> Candidate:
    return Candidate(iteration, f"base:0:{number}", asked, {"quality": quality, "following": following})


def drawn(candidates, seed=1, **settings) -> list[tuple]:
    cases = draw_cases(candidates, CaseSettings(**TABLE | settings), seed)
    return [(case.heading, case.iteration, int(case.id.rpartition(":")[2])) for case in cases]


def test_pairs_are_grouped_by_scores_above_the_threshold():
    scores = [(8, 8), (9, 8), (8, 10), (9, 9), (None, 9)]
    found = drawn([candidate(number, *pair) for number, pair in enumerate(scores)])
    assert found == [
        ("low quality, low following", 1, 0),
        ("low quality, high following", 1, 2),
        ("high quality, low following", 1, 1),
        ("high quality, high following", 1, 3),
    ]


def test_the_draw_depends_on_the_seed_and_not_on_the_order():
    many = [candidate(number, 9, 9) for number in range(50)]
    assert drawn(many) == drawn(many[::-1])
    assert len(drawn(many)) == 2
    assert len({tuple(drawn(many, seed)) for seed in range(5)}) == 5


def test_an_instruction_of_most_iterations_is_followed_through_them():
    """Asked in three iterations `a`, in two `b`, twice in one `c`."""
    asked = [(1, "a"), (1, "c"), (1, "c"), (2, "b"), (2, "a"), (3, "a"), (3, "b")]
    rows = [candidate(number, 9, None, iteration, key) for number, (iteration, key) in enumerate(asked)]
    followed = [("instruction 1", 1, 0), ("instruction 1", 2, 4), ("instruction 1", 3, 5)]
    assert drawn(rows, arrange="instruction", count=1) == followed
    both = drawn(rows, arrange="instruction", count=5)
    assert both == [*followed, ("instruction 2", 2, 3), ("instruction 2", 3, 6)]


HOSTILE = '=HYPERLINK("x") | **bold** \\input{/etc/passwd} $x$ # 你好 <b> “é” ☃ \x07 ' + "w" * 90 + "\nnext line"


@pytest.fixture
def table(tmp_path):
    """A function: make the table of two iterations with these settings; return the folder."""
    for iteration, author in ((1, "base"), (2, "r1")):
        pairs = [
            {"id": f"{author}:0:{n}", "instruction": text, "input": given, "response": HOSTILE, "rejected_by": None}
            for n, (text, given) in enumerate([("Sort  these.", "b a"), ("=1+1", ""), ("-x", "")])
        ]
        pairs[1]["response"] = "+SUM(A1)"
        write_jsonl(tmp_path / f"pairs{iteration}.jsonl", pairs)
        ledger = [
            {"id": pair["id"], "scores": {"quality": 9, "following": 9 - n}, "used_for": "training" if n == 0 else None}
            for n, pair in enumerate(pairs)
        ]
        write_jsonl(tmp_path / f"ledger{iteration}.jsonl", ledger)

    def table(**settings):
        files = [
            {"iteration": t, "ledger": str(tmp_path / f"ledger{t}.jsonl"), "pairs": [str(tmp_path / f"pairs{t}.jsonl")]}
            for t in (1, 2)
        ]
        flags = ["--cases", json.dumps(TABLE | settings), "--files", json.dumps(files), "--seed", "1"]
        flags += [f"--{kind}={tmp_path / 'out'}.{kind}" for kind in ("csv", "markdown", "latex")]
        make_cases.main(make_cases.parser.parse_args(flags))
        return tmp_path

    return table


def test_the_csv_has_whole_texts_and_no_formula(table):
    with open(table(arrange="instruction", count=3) / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["iteration"], row["quality"]) for row in rows] == [("1", "9"), ("2", "9")] * 3
    by_instruction = {row["instruction"]: row for row in rows}
    assert set(by_instruction) == {"Sort  these.", "'=1+1", "'-x"}
    assert by_instruction["Sort  these."]["response"] == f"'{HOSTILE}"
    assert by_instruction["'=1+1"]["response"] == "'+SUM(A1)"
    assert [row["used_for"] for row in rows if row["instruction"] == "Sort  these."] == ["training", "training"]


def test_marks_are_shown_as_they_are_and_texts_are_cut(table):
    markdown = (table(arrange="instruction", count=3, longest=40) / "out.markdown").read_text()
    lines = [line for line in markdown.splitlines() if line.startswith("| instruction")]
    assert len(lines) == 3
    assert all(line.replace(r"\|", "").count("|") == 7 for line in lines)
    assert r"\*\*bold\*\*" in markdown
    assert "next line" not in markdown
    assert "Texts are cut after 40 characters" in markdown


def test_groups_without_a_pair_are_named(table):
    markdown = (table() / "out.markdown").read_text()
    assert "No pair has low quality, low following; low quality, high following." in markdown


def test_without_a_common_instruction_the_table_says_so(table, tmp_path):
    folder = table()
    pairs = folder / "pairs2.jsonl"
    pairs.write_text(pairs.read_text().replace("Sort", "Shuffle").replace("=1+1", "two").replace("-x", "three"))
    files = [
        {"iteration": t, "ledger": str(folder / f"ledger{t}.jsonl"), "pairs": [str(folder / f"pairs{t}.jsonl")]}
        for t in (1, 2)
    ]
    flags = ["--cases", json.dumps(TABLE | {"arrange": "instruction"}), "--files", json.dumps(files), "--seed", "1"]
    flags += [f"--{kind}={folder / 'none'}.{kind}" for kind in ("csv", "markdown", "latex")]
    make_cases.main(make_cases.parser.parse_args(flags))
    assert "No instruction was answered in more than one iteration." in (folder / "none.markdown").read_text()
    assert (folder / "none.csv").read_text().startswith("group,iteration,id,instruction")


def test_files_of_two_iterations_are_refused(table):
    folder = table()
    (folder / "pairs2.jsonl").write_text((folder / "pairs1.jsonl").read_text().replace("base:", "other:"))
    with pytest.raises(InputError, match=r"ledger2\.jsonl: it has none of the pairs in .*pairs2\.jsonl; give files of"):
        table_again(folder)


def table_again(folder):
    files = [{"iteration": 2, "ledger": str(folder / "ledger2.jsonl"), "pairs": [str(folder / "pairs2.jsonl")]}]
    flags = ["--cases", json.dumps(TABLE), "--files", json.dumps(files), "--seed", "1"]
    flags += [f"--{kind}={folder / 'again'}.{kind}" for kind in ("csv", "markdown", "latex")]
    make_cases.main(make_cases.parser.parse_args(flags))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles_whatever_the_texts_are(table):
    folder = table()
    assert "[U+4F60]" in (folder / "out.latex").read_text()
    rules = "".join(rf"\newcommand{{\{rule}rule}}{{\hline}}" for rule in ("top", "mid", "bottom"))
    start = rf"\documentclass{{article}}\usepackage{{longtable}}{rules}\begin{{document}}"
    (folder / "all.tex").write_text(rf"{start}\input{{out.latex}}\end{{document}}")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
