"""The paper's eleven tables as declared, made from scores that are one point above what the paper prints."""

import json
import shutil
import subprocess
from pathlib import Path

import pandas
import pytest
import yaml

import check_claims
import make_table
from isheep.config.loading import load_config
from isheep.config.matrix import Matrix
from isheep.report.published import load_published
from isheep.report.tables import metric_of

PAPER = "config/paper.yaml"
ABOVE = 1.0
ITEMS = 541
NOT_PRINTED = 10.0
"""A score of which the paper has none."""


@pytest.fixture(scope="module")
def matrix():
    return Matrix(load_config(yaml.safe_load(Path(PAPER).read_text()), [PAPER]))


@pytest.fixture(scope="module")
def made(matrix, tmp_path_factory):
    """The folder with all tables, made by the programs from the collected scores."""
    folder = tmp_path_factory.mktemp("tables")
    for name, table in matrix.config.tables.items():
        rows, published = matrix.rows(table), load_published(table.published)
        scores = {}
        for row in rows:
            for column in table.columns:
                printed = published.value(row.published, column.published) if column.published else NOT_PRINTED
                if printed is None:
                    continue
                where = {"model": row.model, "seed": 1, "checkpoint": row.checkpoint, "benchmark": column.benchmark}
                metric = metric_of(column, row)
                value = (printed + ABOVE) / (100 if column.percent else 1)
                counts = {"standard_error": 0.01, "n": ITEMS, "n_valid": ITEMS, "note": ""}
                scores[(*where.values(), metric)] = where | {"metric": metric, "value": value} | counts
        pandas.DataFrame(scores.values()).to_csv(folder / "scores.csv", index=False)
        flags = ["--scores", folder / "scores.csv", "--published", table.published, "--table", table.model_dump_json()]
        flags += ["--rows", json.dumps([row.model_dump() for row in rows]), *outputs(folder, name)]
        make_table.main(make_table.parser.parse_args([str(flag) for flag in flags]))
    return folder


def outputs(folder, name):
    forms = {"csv": "csv", "markdown": "md", "latex": "tex"}
    return [part for form, end in forms.items() for part in (f"--{form}", str(folder / f"{name}.{end}"))]


def test_every_printed_cell_has_ours_the_papers_and_their_difference(matrix, made):
    cells = 0
    for name, table in matrix.config.tables.items():
        published = load_published(table.published)
        numbers = pandas.read_csv(made / f"{name}.csv").set_index("published")
        for row in numbers.index:
            for column in filter(lambda column: column.published, table.columns):
                printed = published.value(row, column.published)
                label = column.label
                if printed is None:
                    assert pandas.isna(numbers.loc[row, f"{label} paper"])
                    continue
                cells += 1
                assert numbers.loc[row, f"{label} paper"] == printed
                comparable = all(remark.comparable for remark in published.remarks(row, column.published))
                expected = numbers.loc[row, label] - printed if comparable else float("nan")
                assert numbers.loc[row, f"{label} difference"] == pytest.approx(expected, nan_ok=True)
                if comparable and table.columns.index(column) == 0:
                    assert numbers.loc[row, f"{label} difference"] == pytest.approx(ABOVE, abs=0.011)
    assert cells == 1001, "all that the eleven tables print"


def test_claims_come_out_as_printed_from_the_published_numbers(matrix, made):
    claims = [claim.model_dump() for claim in matrix.config.claims.values()]
    flags = ["--claims", json.dumps(claims), "--tables", f"table_1={made / 'table_1.csv'}", *outputs(made, "claims")]
    check_claims.main(check_claims.parser.parse_args(flags))
    checked = pandas.read_csv(made / "claims.csv")
    assert checked.printed.tolist() == [78.2, 24.0, 8.88, 24.77, 12.04, 20.29]
    for claim in checked.itertuples():
        places = 1 if claim.kind == "relative" else 2
        assert round(claim.published, places) == pytest.approx(claim.printed, abs=10**-places / 2)
    absolute = checked[checked.kind == "absolute"]
    assert absolute.ours.tolist() == pytest.approx(absolute.published.tolist()), "both ends are one point higher"


def test_the_second_turn_shows_no_average_as_printed(matrix, made):
    numbers = pandas.read_csv(made / "table_12.csv").set_index("published")
    averages = numbers["average"]
    assert averages[[f"iter{n} turn 1" for n in range(1, 7)]].notna().all()
    assert averages[[f"iter{n} turn 2" for n in range(1, 7)]].isna().all()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_all_tables_compile_in_one_document(matrix, made):
    body = "\n".join((made / f"{name}.tex").read_text() for name in matrix.config.tables)
    # Few installations have booktabs; its rules are lines here.
    rules = "".join(rf"\newcommand{{\{rule}rule}}{{\hline}}" for rule in ("top", "mid", "bottom"))
    text = rf"\documentclass{{article}}\usepackage{{longtable}}{rules}\begin{{document}}{body}\end{{document}}"
    (made / "all.tex").write_text(text)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    for _ in range(2):  # longtable finds the widths of its columns by a second run
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
