"""Tables are built from the scores alone; they stand beside the paper's numbers, and show what is missing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from isheep.benchmarks.grid import Grid
from isheep.files.records import InputError
from isheep.report.claims import read_table
from isheep.report.published import load_published
from isheep.report.table_notes import benchmark_notes, contamination_notes, table_notes
from isheep.report.table_numbers import build_table, check_table, table_sheet
from isheep.report.table_text import Line, Sheet, as_latex, as_markdown
from isheep.report.tables import CELL_COLUMNS, ROW_COLUMNS, Row, TableSettings

SCRIPTS = Path(__file__).parents[3] / "scripts"

COLUMNS = [
    {"benchmark": "ifeval", "metric": "strict", "label": "IFEval", "published": "PS"},
    {"benchmark": "chat", "metric": "rating", "label": "Chat & more", "percent": False, "published": "MT"},
]
TABLE = TableSettings.model_validate(
    {"caption": "A table.", "columns": [column | {"published": None} for column in COLUMNS]}
)
ROWS = [
    Row(model="m_1", recipe="", iteration=0, checkpoint="base", group="m_1"),
    Row(model="m_1", recipe="one_base", iteration=1, checkpoint="one_base/iter1", previous="base", group="m_1"),
]
PUBLISHED = TableSettings.model_validate({"caption": "A table.", "columns": COLUMNS, "published": "table_1.csv"})
PUBLISHED_ROWS = [row.model_copy(update={"published": row.name}) for row in ROWS]


LINES = "".join(rf"\newcommand{{\{rule}rule}}{{\hline}}" for rule in ("top", "mid", "bottom"))
BOOKTABS = rf"\IfFileExists{{booktabs.sty}}{{\usepackage{{booktabs}}}}{{{LINES}}}"
"""booktabs is not part of every installation of LaTeX; where it is missing, its rules are lines."""


def scores(*rows):
    names = ["seed", "checkpoint", "benchmark", "metric", "value", "n", "n_valid"]
    others = {"model": "m_1", "note": None, "standard_error": float("nan")}
    return pandas.DataFrame([dict(zip(names, row, strict=True)) | others for row in rows])


TWO_SEEDS = scores(
    (1, "base", "ifeval", "strict", 0.25, 4, 4),
    (2, "base", "ifeval", "strict", 0.75, 4, 4),
    (1, "base", "chat", "rating", 5.0, 8, 7),
    (2, "base", "chat", "rating", 6.0, 8, 8),
    (1, "one_base/iter1", "ifeval", "strict", 1.0, 4, 4),
    (2, "one_base/iter1", "ifeval", "strict", 1.0, 4, 4),
)
TESTS = pandas.DataFrame(
    [
        {"checkpoint": "one_base/iter1", "previous": "base", "metric": "strict", "p": 0.02, "method": "exact"},
        {"checkpoint": "one_base/iter1", "previous": "base", "metric": "loose", "p": 0.9, "method": "drawn"},
        {
            "checkpoint": "one_base/iter1",
            "previous": "other/iter1",
            "metric": "strict",
            "p": 0.9,
            "method": "drawn",
        },
    ]
).assign(model="m_1", benchmark="ifeval", n=4, difference=0.5, low=-0.125, high=0.875, detectable=0.7)


@pytest.fixture
def published(tmp_path):
    (tmp_path / "table_1.csv").write_text("row,PS,MT\nbase,49.5,\none_base iter1,100.25,6.5\n")
    remarks = [
        "table,row,column,comparable,remark",
        "table_1,one_base iter1,MT,no,A misprint.",
        "table_1,*,PS,yes,Odd.",
        "table_1,one_base iter1,PS,yes,Above 100.",
    ]
    (tmp_path / "remarks.csv").write_text("\n".join(remarks) + "\n")
    return load_published(tmp_path / "table_1.csv")


@pytest.fixture
def numbers():
    return build_table(TWO_SEEDS, TABLE, ROWS)


def markdown(numbers, table, notes=()):
    return as_markdown(table_sheet(numbers, table, list(notes)))


# --- numbers


def test_mean_and_sample_deviation_over_seeds(numbers):
    base = numbers.iloc[0]
    assert base["IFEval"] == 50.0
    assert base["IFEval sd"] == pytest.approx(35.3553, abs=1e-4)
    assert base["Chat & more"] == 5.5
    assert (base["Chat & more n"], base["Chat & more n valid"]) == (16, 15)


def test_the_columns_are_those_that_no_label_may_be_called(numbers):
    of_cells = [f"{column.label} {kind}".strip() for column in TABLE.columns for kind in CELL_COLUMNS]
    assert list(numbers) == [*ROW_COLUMNS, *of_cells]


def test_the_paper_s_number_the_difference_and_the_test_stand_beside_ours(published):
    base, first = build_table(TWO_SEEDS, PUBLISHED, PUBLISHED_ROWS, published, TESTS).to_dict("records")
    assert (base["published"], base["IFEval paper"], base["IFEval difference"]) == ("base", 49.5, 0.5)
    assert (first["IFEval difference"], first["IFEval p"]) == (-0.25, 0.02)
    assert pandas.isna(base["IFEval p"]), "the base has no checkpoint before it"
    assert (base["IFEval tested"], first["IFEval tested"]) == (None, "yes")
    assert [first[f"IFEval {kind}"] for kind in ("change", "change low", "change high", "detectable")] == [
        *(50.0, -12.5, 87.5),
        pytest.approx(70),
    ]
    assert pandas.isna(base["Chat & more paper"]), "not printed"


def test_no_difference_to_a_number_that_cannot_be_compared(published):
    both = pandas.concat([TWO_SEEDS, scores((1, "one_base/iter1", "chat", "rating", 6.0, 8, 8))])
    first = build_table(both, PUBLISHED, PUBLISHED_ROWS, published).iloc[1]
    assert (first["Chat & more"], first["Chat & more paper"]) == (6.0, 6.5)
    assert pandas.isna(first["Chat & more difference"])


def test_a_row_chooses_its_metric_by_its_values():
    column = {"benchmark": "chat", "metric": "turn_{turn}", "label": "rating", "percent": False}
    table = TableSettings.model_validate({"caption": "By turn.", "columns": [column]})
    rows = [ROWS[0].model_copy(update={"label": f"turn {turn}", "values": {"turn": turn}}) for turn in ("1", "2")]
    of_turns = scores((1, "base", "chat", "turn_1", 5.0, 8, 8), (1, "base", "chat", "turn_2", 3.0, 8, 8))
    assert list(build_table(of_turns, table, rows)["rating"]) == [5.0, 3.0]


# --- Markdown


def test_markdown_shows_deviation_missing_items_and_missing_cells(numbers):
    lines = markdown(numbers, TABLE, table_notes(numbers, TABLE, ROWS, TWO_SEEDS)).splitlines()
    assert "| m_1 | base | 50.00 ± 35.36 | 5.50 ± 0.71 (1 missing) |" in lines
    assert "|  | one_base iter1 | 100.00 ± 0.00 | – |" in lines
    assert "- Mean ± standard deviation over 2 seeds." in lines
    assert "- Items per seed: IFEval 4, Chat & more 8." in lines


def test_a_single_seed_has_no_deviation():
    numbers = build_table(scores((1, "base", "ifeval", "strict", 0.5, 4, 4)), TABLE, ROWS[:1])
    assert "| m_1 | base | 50.00 | – |" in markdown(numbers, TABLE)


def test_a_row_whose_every_judgment_is_missing_is_not_shown_as_one_that_was_never_measured():
    lost = scores((1, "base", "chat", "rating", float("nan"), 80, 0), (1, "base", "ifeval", "strict", 0.5, 4, 4))
    sheet = table_sheet(build_table(lost, TABLE, ROWS), TABLE, [])
    assert "| m_1 | base | 50.00 | – (80 missing) |" in as_markdown(sheet)
    assert "|  | one_base iter1 | – | – |" in as_markdown(sheet)
    assert " & (80 missing) " in as_latex(sheet)


@pytest.mark.parametrize(
    ("spread", "cells", "note"),
    [
        ("error", "| 50.00 ± 20.00 | 5.50 (1 missing) |", "± is the standard error over items, where"),
        ("interval", "| 50.00 ± 39.20 | 5.50 (1 missing) |", "± is half of the 95 % interval over items, 1.96"),
        ("none", "| 50.00 | 5.50 (1 missing) |", None),
    ],
)
def test_a_table_shows_the_spread_that_it_asks_for(spread, cells, note):
    found = TWO_SEEDS.copy()
    found.loc[found.benchmark == "ifeval", "standard_error"] = [0.15, 0.25, 0.0, 0.0]
    table = TABLE.model_copy(update={"spread": spread})
    numbers = build_table(found, table, ROWS)
    assert numbers["IFEval se"][0] == pytest.approx(20)
    lines = markdown(numbers, table, table_notes(numbers, table, ROWS, found)).splitlines()
    assert f"| m_1 | base {cells}" in lines
    [replicates] = [line for line in lines if "over 2 seeds" in line]
    assert replicates.startswith("- Mean over 2 seeds." + (f" {note}" if note else ""))
    assert replicates.endswith("Of several seeds it is the mean of theirs.") == (note is not None)


def test_three_lines_a_checkpoint_where_the_paper_has_the_table(published):
    numbers = build_table(TWO_SEEDS, PUBLISHED, PUBLISHED_ROWS, published, TESTS)
    assert markdown(numbers, PUBLISHED).splitlines()[2:] == [
        "|  | checkpoint |  | IFEval | Chat & more |",
        "| --- | --- | --- | --: | --: |",
        "| m_1 | base | ours | 50.00 ± 35.36 | 5.50 ± 0.71 (1 missing) |",
        "|  |  | paper | 49.50 | – |",
        "|  |  | difference | +0.50 | – |",
        "|  | one_base iter1 | ours | 100.00* ± 0.00 | – |",
        "|  |  | paper | 100.25 | 6.50‡ |",
        "|  |  | difference | −0.25 | – |",
    ]


def test_a_transposed_table_has_the_checkpoints_side_by_side(published):
    numbers = build_table(TWO_SEEDS, PUBLISHED, PUBLISHED_ROWS, published)
    table = PUBLISHED.model_copy(update={"transpose": True})
    lines = markdown(numbers, table).splitlines()
    assert lines[2] == "|  |  | m_1 base | m_1 one_base iter1 |"
    assert lines[7:10] == [
        "| Chat & more | ours | 5.50 ± 0.71 (1 missing) | – |",
        "|  | paper | – | 6.50‡ |",
        "|  | difference | – | – |",
    ]


def test_rows_without_a_group_have_no_column_for_it():
    rows = [row.model_copy(update={"group": "", "label": "the base"}) for row in ROWS[:1]]
    assert "| the base | 50.00 ± 35.36 |" in markdown(build_table(TWO_SEEDS, TABLE, rows), TABLE)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("<!-- gone", "&lt;!-- gone"),
        ("<1@x.org>", "&lt;1@x.org>"),
        ("&lt;b&gt; & c", "&amp;lt;b&amp;gt; & c"),
        ("[here](http://x)", r"\[here](http://x)"),
        ("![x](http://x)", r"!\[x](http://x)"),
        ("a|b", r"a\|b"),
        ("*bold* 2", r"\*bold\* 2"),
        ("_slanted_ one_base", r"\_slanted\_ one_base"),
        ("`code`", r"\`code\`"),
        ("~~struck~~", r"\~\~struck\~\~"),
        ("$x$", r"\$x\$"),
        ("back\\slash", r"back\\slash"),
        ("two\n\nlines\r\nand \u2028 more", "two lines and more"),
        ("\x1b]0;title\x07", "]0;title"),
        ("p < 0.05 (*), a_b, 5 % & $3", "p < 0.05 (*), a_b, 5 % & $3"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text, written):
    lines = as_markdown(Sheet(text, ("name", text), 1, [Line((text, "1.00*"))], [text])).splitlines()
    assert lines[0] == lines[-1].removeprefix("- ") == written
    assert lines[2] == f"| name | {written} |"
    assert lines[4] == f"| {written} | 1.00* |"


@pytest.mark.parametrize("text", ["# heading", "1. item", "- item", "> quotation", "+ item", "~~~"])
def test_captions_and_notes_begin_no_block(text):
    lines = as_markdown(Sheet(text, ("name",), 1, [], [text])).splitlines()
    assert lines[0] == lines[-1].removeprefix("- ") != text
    assert lines[0].replace("\\", "") == text


# --- notes


def test_notes_of_the_scores_shown_stand_below_the_table_once():
    rows = scores((1, "base", "chat", "rating", 5.0, 8, 7), (2, "base", "chat", "rating", 6.0, 8, 8))
    rows["note"] = ["Rated by the base model.", "Rated by the base model.\nOne rating is missing."]
    unshown = scores((1, "base", "unshown", "rating", 5.0, 8, 7), (1, "else/iter1", "chat", "rating", 5.0, 8, 7))
    every = pandas.concat([rows, unshown.assign(note="Not shown.")])
    of_one_seed = "chat, seed 2: One rating is missing."
    assert benchmark_notes(every, TABLE, ROWS) == ["chat: Rated by the base model.", of_one_seed]
    both = pandas.concat(
        [every, scores((1, "base", "ifeval", "strict", 0.2, 4, 4)).assign(note="One rating is missing.")]
    )
    assert benchmark_notes(both, TABLE, ROWS) == [
        "ifeval: One rating is missing.",
        of_one_seed,
        "chat: Rated by the base model.",
    ]


def test_a_note_names_the_rows_that_it_is_said_of():
    checkpoints = ["base", *(f"r/iter{t}" for t in (1, 2, 3))]
    rows = [
        Row(model="m_1", recipe=name.partition("/")[0], iteration=t, checkpoint=name, group="small", label=f"row {t}")
        for t, name in enumerate(checkpoints)
    ]
    found = scores(*((1, name, "chat", "rating", 5.0, 80, 78) for name in checkpoints))
    found["note"] = ["Asked raw.", *["Asked by its template."] * 3]
    found.loc[2, "note"] += "\n2 of 80 judgments have no rating."
    assert benchmark_notes(found, TABLE, rows) == [
        "chat of small row 0: Asked raw.",
        "chat of all but small row 0: Asked by its template.",
        "chat of small row 2: 2 of 80 judgments have no rating.",
    ]
    alone = TABLE.model_copy(update={"columns": TABLE.columns[1:]})
    assert benchmark_notes(found.assign(note="Both."), alone, rows) == ["Both."]
    two_seeds = pandas.concat([found.assign(note=None), found.assign(seed=2, note="Lost.")])
    assert benchmark_notes(two_seeds, alone, rows) == ["Seed 2: Lost."]


def test_notes_say_what_was_tested_and_what_is_remarkable_in_the_paper(published):
    table = PUBLISHED.model_copy(update={"notes": ("Our own.", "Our own.")})
    numbers = build_table(TWO_SEEDS, table, PUBLISHED_ROWS, published, TESTS)
    notes = table_notes(numbers, table, PUBLISHED_ROWS, TWO_SEEDS, published, TESTS)
    [star] = [note for note in notes if "p < 0.05" in note]
    assert star == (
        "A star (*) marks p < 0.05 against the checkpoint of the iteration before (the base model for the first), "
        "two-sided, after Holm's correction for the one test of this table: exact sign-flip permutation test over "
        "items. The trainings of the 2 seeds are taken as given: a star does not say that another seed would come out "
        "alike."
    ), "the drawn tests are not shown"
    assert notes[-4:] == [
        "IFEval: Odd.",
        "IFEval of m_1 one_base iter1: Above 100.",
        "Chat & more: A misprint. No difference is shown.",
        "Our own.",
    ]


ALL_OF_IFEVAL = TableSettings.model_validate(
    {
        "caption": "A table.",
        "columns": [
            {"benchmark": "ifeval", "metric": metric, "label": metric}
            for metric in ("strict", "loose", "other", "best")
        ],
    }
)


@pytest.fixture
def four_metrics():
    """Scores of the base and of one iteration in four metrics, and the tests of three."""
    found = scores(
        *((1, row.checkpoint, "ifeval", column.metric, 0.5, 4, 4) for row in ROWS for column in ALL_OF_IFEVAL.columns)
    )
    tests = pandas.concat([TESTS[:1]] * 3).assign(metric=["strict", "loose", "other"], p=[0.03, 0.9, 0.02])
    return found, tests


@pytest.mark.parametrize(
    ("correction", "adjusted", "stars", "words"),
    [
        ("holm", [0.06, 0.9, 0.06], 0, "after Holm's correction for the 3 tests of this table:"),
        ("benjamini_hochberg", [0.045, 0.9, 0.045], 2, "after Benjamini and Hochberg's correction for the 3 tests"),
        ("none", [0.03, 0.9, 0.02], 2, "not corrected for the 3 tests of this table:"),
    ],
)
def test_stars_are_corrected_for_the_number_of_tests_in_the_table(four_metrics, correction, adjusted, stars, words):
    found, tests = four_metrics
    table = ALL_OF_IFEVAL.model_copy(update={"correction": correction})
    numbers = build_table(found, table, ROWS, None, tests)
    first = numbers.iloc[1]
    assert [first[f"{metric} p adjusted"] for metric in tests.metric] == pytest.approx(adjusted)
    assert [first[f"{metric} p"] for metric in tests.metric] == [0.03, 0.9, 0.02], "as they are"
    notes = table_notes(numbers, table, ROWS, found, None, tests)
    assert markdown(numbers, table).count("*") == stars
    assert [note for note in notes if words in note]


def test_the_correction_is_for_the_tests_that_are_shown_each_once(four_metrics):
    found, tests = four_metrics
    table = ALL_OF_IFEVAL.model_copy(update={"columns": ALL_OF_IFEVAL.columns[:1]})
    twice = [ROWS[1], ROWS[1].model_copy(update={"label": "again"})]
    assert list(build_table(found, table, twice, None, tests)["strict p adjusted"]) == [0.03, 0.03]


def test_what_was_not_tested_is_marked(four_metrics):
    found, tests = four_metrics
    numbers = build_table(found, ALL_OF_IFEVAL, ROWS, None, tests)
    assert list(numbers["best tested"]) == [None, "no"], "the base has no checkpoint before it"
    notes = table_notes(numbers, ALL_OF_IFEVAL, ROWS, found, None, tests)
    assert "|  | one_base iter1 | 50.00 | 50.00 | 50.00 | 50.00† |" in markdown(numbers, ALL_OF_IFEVAL)
    assert [note for note in notes if note.startswith("A dagger (†) marks a score that was not tested:")]
    assert r"50.00$^\dagger$" in as_latex(table_sheet(numbers, ALL_OF_IFEVAL, notes))
    tested = ALL_OF_IFEVAL.model_copy(update={"columns": ALL_OF_IFEVAL.columns[:3]})
    numbers = build_table(found, tested, ROWS, None, tests)
    assert not [note for note in table_notes(numbers, tested, ROWS, found, None, tests) if "†" in note]


def test_a_score_that_is_missing_is_not_marked_as_untested(four_metrics):
    found, tests = four_metrics
    numbers = build_table(found[found.checkpoint == "base"], ALL_OF_IFEVAL, ROWS, None, tests)
    assert "|  | one_base iter1 | – | – | – | – |" in markdown(numbers, ALL_OF_IFEVAL)


def test_three_seeds_are_a_part_of_the_test(four_metrics):
    found, tests = four_metrics
    three = pandas.concat([found.assign(seed=seed) for seed in (1, 2, 3)])
    numbers = build_table(three, ALL_OF_IFEVAL, ROWS, None, tests)
    [star] = [note for note in table_notes(numbers, ALL_OF_IFEVAL, ROWS, three, None, tests) if "p < 0.05" in note]
    assert star.endswith("test over items; or a t test whose variance has items and seeds, whichever p is larger.")


@pytest.mark.parametrize("transpose", [False, True])
def test_intervals_and_what_can_be_detected_stand_below_on_request(four_metrics, transpose):
    found, tests = four_metrics
    asked = {"differences": ("interval", "detectable"), "transpose": transpose}
    table = ALL_OF_IFEVAL.model_copy(update=asked | {"columns": ALL_OF_IFEVAL.columns[:1]})
    numbers = build_table(found, table, ROWS, None, tests)
    notes = table_notes(numbers, table, ROWS, found, None, tests)
    lines = as_markdown(table_sheet(numbers, table, notes)).splitlines()
    if transpose:
        assert lines[4:7] == [
            "| strict | ours | 50.00 | 50.00* |",
            "|  | change | – | +50.00 (−12.50 to +87.50) |",
            "|  | detectable | – | 70.00 |",
        ]
    else:
        assert lines[7:10] == [
            "|  | one_base iter1 | ours | 50.00* |",
            "|  |  | change | +50.00 (−12.50 to +87.50) |",
            "|  |  | detectable | 70.00 |",
        ]
    assert [line for line in lines if line.startswith("- change: ") and "95 % confidence interval over items" in line]
    assert [line for line in lines if line.startswith("- detectable: ") and "with a chance of 80 %" in line]


def test_of_how_many_seeds_a_mean_is_where_one_has_no_score():
    found = TWO_SEEDS.copy()
    found.loc[(found.benchmark == "chat") & (found.seed == 2), ["value", "n_valid"]] = [float("nan"), 0]
    numbers = build_table(found, TABLE, ROWS)
    lines = markdown(numbers, TABLE, table_notes(numbers, TABLE, ROWS, found)).splitlines()
    assert "| m_1 | base | 50.00 ± 35.36 | 5.00 (9 missing, 1 of 2 seeds) |" in lines
    assert (
        "- Mean ± standard deviation over 2 seeds. Where not every seed has a score, the cell says how many have."
        in lines
    )
    assert list(numbers["Chat & more seeds"]) == [1, 0]


def test_a_remark_on_all_that_is_printed_names_no_cell(published):
    table = PUBLISHED.model_copy(update={"columns": PUBLISHED.columns[:1]})
    numbers = build_table(TWO_SEEDS, table, PUBLISHED_ROWS, published)
    assert "Odd." in table_notes(numbers, table, PUBLISHED_ROWS, TWO_SEEDS, published)


def test_without_tests_there_is_no_word_of_them():
    numbers = build_table(TWO_SEEDS, TABLE, ROWS, None, TESTS[:0])
    assert not [note for note in table_notes(numbers, TABLE, ROWS, TWO_SEEDS, None, TESTS[:0]) if "p <" in note]


def overlaps(*rows):
    names = ["model", "seed", "recipe", "iteration", "benchmark", "items", "either"]
    return pandas.DataFrame([dict(zip(names, row, strict=True)) for row in rows])


def test_overlap_with_training_data_is_told_by_its_worst_case():
    found = overlaps(
        ("m_1", 1, "one_base", 1, "ifeval", 541, 3),
        ("m_1", 2, "one_base", 1, "ifeval", 541, 1),
        ("m_1", 1, "one_base", 1, "chat", 80, 0),
        ("m_1", 1, "one_base", 2, "ifeval", 541, 9),
    )
    assert contamination_notes(found, TABLE, ROWS) == [
        "Test items of ifeval that overlap with training data: at most 3 of 541 (0.6 %), in one_base iter1 (seed 1). "
        "No test item of chat overlaps with training data."
    ]
    assert contamination_notes(found, TABLE, ROWS[:1]) == [], "the base model was not trained on anything of ours"


def test_overlap_that_was_not_counted_is_told():
    [note] = contamination_notes(overlaps(("m_1", 1, "one_base", 1, "chat", 80, 0)), TABLE, ROWS)
    assert note.endswith("Overlap with training data was not counted for ifeval.")


# --- LaTeX


def test_latex_escapes_names(numbers):
    latex = as_latex(table_sheet(numbers, TABLE, []))
    assert r"\shortstack[r]{Chat \\ \& \\ more}" in latex
    assert r" & one\_base iter1 & 100.00 & --" in latex


BRACKETS = Sheet(
    "[Caption]\n\nof * two",
    ("[names]", "acc [%]", "[%] acc *"),
    1,
    [
        Line(("[first]", "1.00", "2.00")),
        Line(("*second*", "*", "[3]")),
        Line(("", "[4]", "5"), continues=True),
        Line(("(third)", "(4)", "5"), opens_group=True),
    ],
    ["[Note]\n\n* two"],
)
"""Where a line or a heading begins with what LaTeX would take for an argument of the line's end before it."""


def test_latex_takes_no_bracket_or_star_for_an_argument():
    latex = as_latex(BRACKETS)
    assert r"\shortstack[r]{acc \\ {}[\%]}" in latex
    assert r"\shortstack[r]{{}[\%] \\ acc \\ {}*}" in latex
    for line in ("{}[names] & ", "{}[first] & ", "{}*second* & ", "{}(third) & "):
        assert f"\n{line}" in latex
    assert "\n[" not in latex
    assert r"\caption{[Caption] of * two}" in latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_with_brackets_compiles(tmp_path):
    document = r"\documentclass{article}\usepackage{longtable}" + BOOKTABS + r"\begin{document}"
    (tmp_path / "table.tex").write_text(rf"{document}{as_latex(BRACKETS)}\end{{document}}")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("transpose", [False, True])
def test_latex_compiles_and_fits_the_page(tmp_path, transpose):
    """13 columns, 24 checkpoints of three lines, two seeds, every special character."""
    special = r"a_b 100% $ & # {} ^ ~ \ < > | ± – — − Δ → × ≤ é"
    columns = [
        {"benchmark": "b", "metric": f"m{n}", "label": f"Set {n} strict", "published": f"c{n}"} for n in range(13)
    ]
    columns[0]["label"] = special
    table = {"caption": special, "columns": columns, "published": "table_1.csv", "transpose": transpose}
    table = TableSettings.model_validate(table | {"notes": [special]})
    count = 4 if transpose else 24
    rows = [
        Row(model="m", recipe="r", iteration=t, checkpoint=f"r/iter{t}", group=f"{t // 6} B", published=f"r{t}")
        for t in range(1, count + 1)
    ]
    lines = [",".join(["row", *(f"c{n}" for n in range(13))])]
    lines += [",".join([row.published, *["44.55"] * 13]) for row in rows]
    (tmp_path / "table_1.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "remarks.csv").write_text("table,row,column,comparable,remark\n")
    values = scores(
        *(
            (seed, row.checkpoint, "b", f"m{n}", 0.4 + seed / 50, 541, 530)
            for seed in (1, 2)
            for row in rows
            for n in range(13)
        )
    ).assign(model="m")
    numbers = build_table(values, table, rows, load_published(tmp_path / "table_1.csv"))
    latex = as_latex(table_sheet(numbers, table, table_notes(numbers, table, rows, values)))
    document = rf"\documentclass{{article}}\usepackage{{longtable}}{BOOKTABS}\begin{{document}}{latex}\end{{document}}"
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "table.tex"]
    for _ in range(2):  # longtable finds the widths of its columns by a second run
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_columns_that_do_not_fit_follow_in_a_second_part():
    headings = ("name", *(f"a long heading{n}" for n in range(9)))
    latex = as_latex(Sheet("C.", headings, 1, [Line(("row", *["1.00"] * 9))], []))
    assert latex.count(r"\begin{longtable}") == 2
    assert latex.count(r"\caption") == 1
    assert latex.count("\nrow & ") == 2


# --- the program, and bad input


def run_program(tmp_path, table, rows, *flags):
    scores_file = tmp_path / "scores.csv"
    TWO_SEEDS.to_csv(scores_file, index=False)
    outputs = [
        f"--{form}={tmp_path / f'main.{end}'}" for form, end in (("csv", "csv"), ("markdown", "md"), ("latex", "tex"))
    ]
    command = [sys.executable, SCRIPTS / "make_table.py", "--scores", scores_file, "--table", table.model_dump_json()]
    command += ["--rows", json.dumps([row.model_dump() for row in rows]), *outputs, *flags]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_the_program_writes_three_forms(tmp_path, published):
    TESTS.to_csv(tmp_path / "ifeval.csv", index=False)
    TESTS[:0].to_csv(tmp_path / "chat.csv", index=False)
    overlaps(("m_1", 1, "one_base", 1, "ifeval", 541, 3)).to_csv(tmp_path / "overlaps.csv", index=False)
    flags = ["--published", published.path, "--significance", tmp_path / "chat.csv", tmp_path / "ifeval.csv"]
    done = run_program(tmp_path, PUBLISHED, PUBLISHED_ROWS, *flags, "--contamination", tmp_path / "overlaps.csv")
    assert done.returncode == 0, done.stderr
    assert "100.00* ± 0.00" in (tmp_path / "main.md").read_text()
    assert "at most 3 of 541" in (tmp_path / "main.md").read_text()
    assert "100.00*" in (tmp_path / "main.tex").read_text()
    table = pandas.read_csv(tmp_path / "main.csv").set_index("published")
    assert table.loc["one_base iter1", "IFEval difference"] == -0.25


def test_a_table_of_nothing_that_is_measured_has_dashes_and_its_notes(tmp_path):
    grid, scores = Grid(results="results/x", seeds=(1,)), tmp_path / "none.csv"
    flags = ["--grid", grid.model_dump_json(), "--configured", '{"results": "results/x"}', "--scores", str(scores)]
    subprocess.run([sys.executable, SCRIPTS / "collect_scores.py", *flags], check=True)
    run_program(tmp_path, TABLE.model_copy(update={"notes": ("Nobody was asked.",)}), ROWS, "--scores", str(scores))
    text = (tmp_path / "main.md").read_text()
    assert "| m_1 | base | – | – |" in text
    assert "Nobody was asked." in text


def test_names_that_a_spreadsheet_would_compute_are_texts_in_the_csv_and_names_for_the_claims(tmp_path):
    (tmp_path / "table_1.csv").write_text("row,=PS\n@base,49.5\n")
    (tmp_path / "remarks.csv").write_text("table,row,column,comparable,remark\n")
    column = COLUMNS[0] | {"label": "+IFEval", "published": "=PS"}
    table = TableSettings.model_validate({"caption": "A table.", "columns": [column], "published": "table_1.csv"})
    row = ROWS[0].model_copy(update={"label": "=1+1", "group": "-x", "published": "@base"})
    done = run_program(tmp_path, table, [row], "--published", tmp_path / "table_1.csv")
    assert done.returncode == 0, done.stderr
    heading, line = (tmp_path / "main.csv").read_text().splitlines()
    assert line.startswith("'-x,'=1+1,m_1,base,0,'@base,2,50.0,")
    assert "'+IFEval,'+IFEval sd" in heading
    cells = read_table(tmp_path / "main.csv")["@base"]
    assert (cells["+IFEval"], cells["+IFEval paper"], cells["label"]) == ("50.0", "49.5", "=1+1")


def test_a_metric_that_nobody_computes_is_told_before_anything_is_written(tmp_path):
    columns = [COLUMNS[0] | {"metric": "strickt", "published": None}]
    table = TableSettings.model_validate({"caption": "A table.", "columns": columns})
    done = run_program(tmp_path, table, ROWS)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "Error: tables.main: column 'IFEval' asks for the metric 'strickt', which no result record of ifeval has; "
        "they have strict; did you mean 'strict'?"
    )
    assert not (tmp_path / "main.csv").exists()


def test_a_benchmark_without_records_is_only_missing():
    columns = [COLUMNS[0] | {"benchmark": "later", "metric": "any", "published": None}]
    table = TableSettings.model_validate({"caption": "A table.", "columns": columns})
    check_table("main", table, ROWS, TWO_SEEDS, None)
    assert build_table(TWO_SEEDS, table, ROWS)["IFEval"].isna().all()


@pytest.mark.parametrize(
    ("table", "rows", "problem"),
    [
        (PUBLISHED, [PUBLISHED_ROWS[0]] * 2, r"tables.main: 2 rows \(base, base\) name the published row 'base'"),
        (
            PUBLISHED.model_copy(update={"columns": (PUBLISHED.columns[0].model_copy(update={"metric": "s_{turn}"}),)}),
            ROWS,
            "tables.main: column 'IFEval': the metric 's_{turn}' cannot be filled from the values of the row 'base'",
        ),
    ],
)
def test_a_table_that_cannot_be_made(published, table, rows, problem):
    with pytest.raises(InputError, match=problem):
        check_table("main", table, rows, TWO_SEEDS, published)


def test_published_names_need_a_published_file_that_has_them(published):
    with pytest.raises(InputError, match=r"tables.main: .* set its `published`"):
        check_table("main", TABLE, PUBLISHED_ROWS, TWO_SEEDS, None)
    wrong = [PUBLISHED_ROWS[0].model_copy(update={"published": "bas"})]
    with pytest.raises(InputError, match=r"table_1.csv: it has no row 'bas'; did you mean 'base'"):
        build_table(TWO_SEEDS, PUBLISHED, wrong, published)


def test_settings_of_tables_are_read_without_pandas():
    command = [
        sys.executable,
        "-c",
        "import sys, isheep.report.tables, isheep.report.claims; print('pandas' in sys.modules)",
    ]
    assert subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_baseline_is_a_row_of_its_own():
    grid = Grid(results="results/x", seeds=(1,), baselines={"alpaca-7b": ("chat",)})
    [(path, where)] = grid.records()
    assert path == "results/x/baselines/alpaca-7b/benchmarks/chat/result.json"
    cell = {"metric": "rating", "value": 2.5, "standard_error": 0.1, "n": 805, "n_valid": 804}
    row = Row(model="alpaca-7b", recipe="", iteration=0, checkpoint="published", group="alpaca-7b")
    shown = markdown(build_table(pandas.DataFrame([where | cell]), TABLE, [row]), TABLE)
    assert "| alpaca-7b | published | – | 2.50 (1 missing) |" in shown


# --- what cannot be compared


def test_a_column_that_cannot_be_compared_is_marked_and_says_why(published):
    reason = "Another test."
    columns = (PUBLISHED.columns[0].model_copy(update={"not_comparable": reason}), *PUBLISHED.columns[1:])
    table = PUBLISHED.model_copy(update={"columns": columns})
    numbers = build_table(TWO_SEEDS, table, PUBLISHED_ROWS, published)
    assert list(numbers["IFEval comparable"]) == ["no", "no"]
    assert numbers["IFEval difference"].isna().all()
    assert "| 49.50‡ |" in markdown(numbers, table)
    notes = table_notes(numbers, table, PUBLISHED_ROWS, TWO_SEEDS, published)
    assert "IFEval: Another test." in notes
    assert any("‡" in note for note in notes)
