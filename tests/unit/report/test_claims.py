"""The paper's claims follow from its printed tables, and are computed from ours where we have the scores."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from isheep.files.records import InputError
from isheep.report.claims import ClaimSettings, check_claim, claims_sheet, read_table

SCRIPTS = Path(__file__).parents[3] / "scripts"

# Table 1 of arXiv 2408.08072, Qwen1.5 72B; ours are made up.
TABLE = """published,AlpacaEval,AlpacaEval paper,HumanEval,HumanEval paper,HumanEval+,HumanEval+ paper,MBPP,MBPP paper
72B base,,,20.0,21.34,19.0,20.12,51.0,50.20
72B iter1,5.0,6.64,,50.61,,45.12,,51.20
72B iter5,7.5,11.83,50.0,56.71,49.0,53.66,54.0,55.60
,1.0,,,,,,,
"""
ALPACA = {
    "text": "AlpacaEval rises",
    "printed": "78.2",
    "kind": "relative",
    "table": "main",
    "columns": ["AlpacaEval"],
    "earlier": "72B iter1",
    "later": "72B iter5",
}
CODE = ALPACA | {
    "text": "Code rises",
    "printed": "24.77",
    "kind": "absolute",
    "columns": ["HumanEval", "HumanEval+", "MBPP"],
    "earlier": "72B base",
}


@pytest.fixture
def table(tmp_path):
    (tmp_path / "main.csv").write_text(TABLE)
    return tmp_path / "main.csv"


def check(path, claim):
    return check_claim(ClaimSettings.model_validate(claim), {"main": read_table(path)})


def test_a_relative_change_is_in_per_cent_of_the_earlier_value(table):
    found = check(table, ALPACA)
    assert found.published == pytest.approx(100 * (11.83 - 6.64) / 6.64)
    assert found.ours == pytest.approx(50.0)


def test_an_absolute_change_is_of_the_mean_of_the_columns(table):
    found = check(table, CODE)
    assert found.published == pytest.approx(24.77)
    assert found.ours == pytest.approx(21.0)


def test_ours_is_missing_where_a_score_is(table):
    found = check(table, CODE | {"printed": "6.35", "earlier": "72B iter1"})
    assert found.ours is None
    assert found.missing == ("HumanEval of 72B iter1", "HumanEval+ of 72B iter1", "MBPP of 72B iter1")
    table.write_text(TABLE.replace("72B iter1,5.0", "72B iter1,0.0"))
    assert check(table, ALPACA).missing == ("a score of 72B iter1 other than 0",)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"printed": "78.3"}, r"'AlpacaEval rises': the printed numbers give 78.1627, which does not round to 78.3"),
        ({"printed": "78.17"}, "give 78.1627, which does not round to 78.17"),
        ({"printed": "78.20"}, "give 78.1627, which does not round to 78.20"),
        ({"table": "mane"}, "there is no table 'mane'; did you mean 'main'"),
        ({"later": "72B iter6"}, "the table main has no published row '72B iter6'; did you mean '72B iter"),
        ({"columns": ["Alpaca"]}, "the table main has no column 'Alpaca'; did you mean 'AlpacaEval'"),
        ({"earlier": "72B base"}, "the paper's tables print no number for AlpacaEval of 72B base"),
    ],
)
def test_a_claim_that_does_not_follow_is_refused(table, changes, problem):
    with pytest.raises(InputError, match=problem):
        check(table, ALPACA | changes)


def test_the_zeros_of_a_printed_number_are_decimals(table):
    table.write_text(TABLE.replace("11.83", "7.97"))
    found = check(table, ALPACA | {"printed": "20.03"})
    sheet = claims_sheet([found])
    assert sheet.lines[0].cells[1:] == ("+20.03 %", "+20.03 %", "+50.00 %")
    for printed in ("20", "20.0"):
        assert check(table, ALPACA | {"printed": printed}).published == found.published
    with pytest.raises(InputError, match=r"give 20\.0301, which does not round to 20\.00"):
        check(table, ALPACA | {"printed": "20.00"})


@pytest.mark.parametrize("printed", [20.0, 20, "20.", "twenty", ""])
def test_a_printed_number_is_a_text(printed):
    with pytest.raises(ValidationError, match=r"it must be a number in quotes, such as '20\.00'"):
        ClaimSettings.model_validate(ALPACA | {"printed": printed})


def run_program(folder, claims, tables):
    outputs = [
        f"--{form}={folder / f'claims.{end}'}" for form, end in (("csv", "csv"), ("markdown", "md"), ("latex", "tex"))
    ]
    command = [
        sys.executable,
        SCRIPTS / "check_claims.py",
        "--claims",
        json.dumps(claims),
        "--tables",
        tables,
        *outputs,
    ]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_the_program_writes_three_forms(table):
    missing = CODE | {"text": "Code from iter1", "printed": "6.35", "earlier": "72B iter1"}
    done = run_program(table.parent, [ALPACA, CODE, missing], f"main={table}")
    assert done.returncode == 0, done.stderr
    lines = (table.parent / "claims.md").read_text().splitlines()
    assert "| AlpacaEval rises | +78.2 % | +78.2 % | +50.0 % |" in lines
    assert "| Code rises | +24.77 | +24.77 | +21.00 |" in lines
    assert "| Code from iter1 | +6.35 | +6.35 | – |" in lines
    assert "- Code from iter1: we lack HumanEval of 72B iter1, HumanEval+ of 72B iter1, MBPP of 72B iter1." in lines
    assert r"AlpacaEval rises & +78.2 \% & +78.2 \% & +50.0 \%" in (table.parent / "claims.tex").read_text()
    with open(table.parent / "claims.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["ours"]) == pytest.approx(21.0)
    assert (rows[2]["ours"], rows[2]["columns"]) == ("", "HumanEval, HumanEval+, MBPP")


def test_a_claim_that_a_spreadsheet_would_compute_is_a_text_in_the_csv(table):
    table.write_text(TABLE.replace("AlpacaEval", "'=AlpacaEval").replace("72B iter1", "'@iter1"))
    claim = ALPACA | {"text": "+78.2 %, says the paper", "columns": ["=AlpacaEval"], "earlier": "@iter1"}
    done = run_program(table.parent, [claim], f"main={table}")
    assert done.returncode == 0, done.stderr
    with open(table.parent / "claims.csv", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["claim"], row["columns"], row["earlier"]) == ("'+78.2 %, says the paper", "'=AlpacaEval", "'@iter1")
    assert float(row["ours"]) == pytest.approx(50)


def test_tables_are_given_by_name(table):
    done = run_program(table.parent, [ALPACA], str(table))
    assert done.returncode == 1
    assert f"--tables: {str(table)!r} is no name=path" in done.stderr
    assert not (table.parent / "claims.csv").exists()
