"""Texts from outside are no formulas in a spreadsheet, and our readers get them as they were."""

import csv
import io
from pathlib import Path

import pandas
import pytest

import collect_scores
import make_table
from isheep.benchmarks.grid import PUBLISHED, Grid
from isheep.benchmarks.result_checks import Configured
from isheep.files.csv_text import guarded, guarded_frame, restored, restored_frame
from isheep.files.records import write_jsonl
from made_up_results import write_made_up_result

FORMULAS = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x","y")']
HARMLESS = ["plain", "a=b", "", "'quoted'", "''", "−5", "-5", "+1.5", "-1e-3", "2"]


@pytest.mark.parametrize("text", [*FORMULAS, *(f"'{text}" for text in FORMULAS), *HARMLESS])
def test_a_text_comes_back_as_it_was(text):
    assert restored(guarded(text)) == text


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_written_as_a_text(text):
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_and_numbers_are_written_as_they_are(text):
    assert guarded(text) == text


def test_headings_and_cells_are_guarded_and_numbers_stay_numbers():
    frame = pandas.DataFrame({"=name": ["@a", None], "-x n": [-1.5, float("nan")], "count": [-3, 2]})
    written = guarded_frame(frame).to_csv(index=False)
    assert list(csv.reader(io.StringIO(written))) == [
        ["'=name", "'-x n", "count"],
        ["'@a", "-1.5", "-3"],
        ["", "", "2"],
    ]
    back = restored_frame(pandas.read_csv(io.StringIO(written)))
    assert list(back) == list(frame)
    assert back["=name"].dropna().tolist() == ["@a"]
    assert (back["-x n"][0], back["count"].tolist()) == (-1.5, [-3, 2])


def test_what_a_result_record_says_is_no_formula_in_the_collected_scores(tmp_path):
    """A note may hold names from a downloaded file."""
    score = {"metric": "-rate", "value": -0.5, "standard_error": None, "n": 2, "n_valid": 2}
    grid = Grid(results=str(tmp_path), seeds=(1,), baselines={"x": ("chat",)})
    [(path, _)] = grid.records()
    configured = Configured(
        results=str(tmp_path),
        benchmarks={"chat": {}},
        notes={"chat": "@home."},
        published={"x": {"chat": {"judgments": "j"}}},
    )
    items = Path(path).with_name("items.jsonl")
    write_jsonl(items, [{"id": 1}])
    notes = ["=1+1, said the judge.", "Second."]
    write_made_up_result(items, [score], configured.of("x", PUBLISHED, "chat"), benchmark="chat", notes=notes)
    flags = ["--grid", grid.model_dump_json(), "--scores", str(tmp_path / "scores.csv")]
    flags += ["--configured", configured.model_dump_json()]
    collect_scores.main(collect_scores.parser.parse_args(flags))
    with open(tmp_path / "scores.csv", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["metric"], row["value"], row["note"]) == ("'-rate", "-0.5", "'@home.\n=1+1, said the judge.\nSecond.")
    [read] = make_table.read_frame(tmp_path / "scores.csv").to_dict("records")
    assert (read["metric"], read["value"], read["note"]) == ("-rate", -0.5, "@home.\n=1+1, said the judge.\nSecond.")
