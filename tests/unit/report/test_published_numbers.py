"""The paper's numbers are complete, agree with each other as far as the paper does, and are read strictly."""

import csv
import math
import re
import shutil
from itertools import combinations
from pathlib import Path
from statistics import mean

import pytest

from isheep.files.records import InputError
from isheep.report.published import PublishedTable, load_published, published_tables

FOLDER = Path(__file__).parents[3] / "config" / "published"
GENERATIVE = ("HumanEval", "MBPP", "NQ", "TriviaQA", "SQuAD2.0")
SIZES = {  # items of the public test sets: a score is a whole number of them
    **{"PS": 541, "PL": 541, "IS": 834, "IL": 834, "HumanEval": 164, "HumanEval+": 164, "MBPP": 500},
    **{"GPQA-diamond": 198, "OBQA-fact": 500, "ARC-c": 295, "CSQA": 1221, "WinoGrande": 1267},
}


@pytest.fixture(scope="module")
def tables() -> dict[str, PublishedTable]:
    return published_tables(FOLDER)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the published numbers, to break."""
    return Path(shutil.copytree(FOLDER, tmp_path / "published"))


def _cells(table: PublishedTable) -> list[tuple[str, str]]:
    return [(row, column) for row in table.rows for column in table.columns if table.value(row, column) is not None]


@pytest.mark.parametrize(
    ("number", "rows", "columns", "cells"),
    [
        (1, 29, 11, 23 * 11 + 6 * 5),  # the bases have no chat scores
        (2, 9, 6, 54),
        (3, 18, 4, 72),
        (4, 12, 4, 48),
        (5, 3, 4, 12),
        *((number, 4, 16, 64) for number in (7, 8, 9, 10)),
        (11, 18, 9, 162),
        (12, 12, 10, 12 * 9 + 6),  # an average for the two turns of each iteration
    ],
)
def test_table_is_complete(tables, number, rows, columns, cells):
    table = tables[f"table_{number}"]
    assert (len(table.rows), len(table.columns), len(_cells(table))) == (rows, columns, cells)


def test_the_folder_holds_every_table_with_numbers(tables):
    assert list(tables) == [f"table_{number}" for number in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12)]


def test_digits_are_kept_as_printed():
    for path in FOLDER.glob("table_*.csv"):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            assert all(re.fullmatch(r"(\d+\.\d\d)?", cell) for cell in line.split(",")[1:]), f"{path.name}: {line}"


def _same_checkpoints() -> list[list[tuple[str, str]]]:
    """For each checkpoint that several tables print: its tables and rows."""
    benchmarks = ("table_7", "table_8", "table_9", "table_10")
    one_base = [
        [("table_1", f"72B iter{i}"), ("table_2", f"One_base iter{i}"), ("table_7", f"One_base iter{i}")]
        + [(table, f"Combined standard iter{i}") for table in ("table_3", "table_11")]
        for i in (2, 3)
    ]
    first = [("table_1", "72B iter1"), ("table_2", "iter1"), *((table, "iter1") for table in benchmarks)]
    first += [(table, "Combined standard iter1") for table in ("table_3", "table_11")]
    base = [("table_1", "72B base"), *((table, "base") for table in benchmarks)]
    simple = [
        [("table_4", f"both iter{i}"), *((table, f"Simple standard iter{i}") for table in ("table_3", "table_11"))]
        for i in (1, 2, 3)
    ]
    filters = [
        [("table_3", f"{name} iter{i}"), ("table_11", f"{name} iter{i}")]
        for name in ("Density", "PPL", "Density+PPL", "ICL")
        for i in (1, 2, 3)
    ]
    return [base, first, *one_base, *simple, *filters]


def test_tables_agree_on_the_checkpoints_they_share_but_for_the_cells_with_a_remark(tables):
    compared, unexplained, explained = 0, [], set()
    for places in _same_checkpoints():
        for (first, first_row), (second, second_row) in combinations(places, 2):
            for column in set(tables[first].columns) & set(tables[second].columns):
                values = tables[first].value(first_row, column), tables[second].value(second_row, column)
                if None in values:
                    continue
                compared += 1
                if values[0] != values[1]:
                    notes = [*tables[first].remarks(first_row, column), *tables[second].remarks(second_row, column)]
                    printed = [f"{value:.2f}" for value in values]
                    if any(not note.comparable and all(p in note.text for p in printed) for note in notes):
                        explained.add((column, *sorted(values)))
                    else:
                        unexplained.append((first, first_row, second, second_row, column, *values))
    assert not unexplained
    assert explained == {("PS", 41.14, 42.14)}
    assert compared == 112 + 159 + 2 * 39 + 3 * 12 + 12 * 4  # base, iter1, One_base, simple prompt, other filters


def test_averages_of_the_turns_are_the_main_tables_mt_bench_scores(tables):
    for iteration in range(1, 7):
        average = tables["table_12"].value(f"iter{iteration} turn 1", "average")
        assert average == tables["table_1"].value(f"72B iter{iteration}", "MT-Bench")


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("iteration", range(1, 7))
def test_turn_score_is_the_mean_of_its_eight_categories(tables, iteration, turn):
    table, row = tables["table_12"], f"iter{iteration} turn {turn}"
    categories = [table.value(row, column) for column in table.columns if column not in ("turn score", "average")]
    assert len(categories) == 8
    assert mean(categories) == pytest.approx(table.value(row, "turn score"), abs=0.005 + 1e-9)


def test_average_is_the_mean_of_two_turns_but_where_a_judgment_is_missing(tables):
    table, remarkable = tables["table_12"], []
    for iteration in range(1, 7):
        turns = [table.value(f"iter{iteration} turn {turn}", "turn score") for turn in (1, 2)]
        row = f"iter{iteration} turn 1"
        if abs(mean(turns) - table.value(row, "average")) > 0.01:
            assert table.remarks(row, "average")
            remarkable.append(iteration)
    assert remarkable == [6]
    categories = [column for column in table.columns if column not in ("turn score", "average")]
    points = sum(10 * table.value(f"iter6 turn {turn}", column) for turn in (1, 2) for column in categories)
    points -= table.value("iter6 turn 2", "stem")  # its 9 judgments were counted as 10
    assert points / 159 == pytest.approx(5.75, abs=0.005)


def test_scores_are_whole_numbers_of_items_but_for_the_cells_with_a_remark(tables):
    broken = []
    for table in tables.values():
        for row, column in _cells(table):
            size = SIZES.get(column)
            if size and not _is_share(table.value(row, column), size):
                broken.append((table.name, row, column))
                assert table.remarks(row, column), broken[-1]
    assert set(broken) == {
        ("table_4", "both iter3", "PS"),
        *((table, "PPL iter2", "PL") for table in ("table_3", "table_11")),
        *((table, "ICL iter3", "IL") for table in ("table_3", "table_11")),
    }


def _is_share(percent: float, size: int) -> bool:
    items = percent * size / 100
    return any(abs(100 * n / size - percent) <= 0.005 + 1e-9 for n in (math.floor(items), math.ceil(items)))


def test_only_misprints_and_pasted_scores_are_not_comparable(tables):
    excluded = {
        (table.name, row, column)
        for table in tables.values()
        for row, column in _cells(table)
        if not all(remark.comparable for remark in table.remarks(row, column))
    }
    misprints = {("table_3", "ICL iter3", "IL"), ("table_11", "ICL iter3", "IL"), ("table_4", "both iter3", "PS")}
    pasted = {
        (name, row, column) for name in ("table_8", "table_9", "table_10") for row in tables[name].rows[2:]
        for column in GENERATIVE
    }  # fmt: skip
    assert excluded == misprints | pasted


@pytest.mark.parametrize("name", ["table_8", "table_9", "table_10"])
def test_pasted_scores_are_those_of_one_base_in_table_7(tables, name):
    source = tables["table_7"]
    for row, source_row in zip(tables[name].rows, source.rows, strict=True):
        for column in GENERATIVE:
            assert tables[name].value(row, column) == source.value(source_row, column)


def test_identical_scores_of_two_models_have_a_remark(tables):
    for columns, rows in {
        ("HumanEval", "HumanEval+"): ("4B base", "7B base"),
        ("PL", "IL"): ("14B iter1", "14B iter2"),
    }.items():
        for column in columns:
            first, second = (tables["table_1"].value(row, column) for row in rows)
            assert first == second
            assert all(tables["table_1"].remarks(row, column) for row in rows)


@pytest.mark.parametrize(
    ("column", "earlier", "later", "printed"),
    [("AlpacaEval", "72B iter1", "72B iter5", 78.2), ("MT-Bench", "72B iter1", "72B iter3", 24.0)],
)
def test_relative_claims_of_the_abstract(tables, column, earlier, later, printed):
    start, end = (tables["table_1"].value(row, column) for row in (earlier, later))
    assert round(100 * (end / start - 1), 1) == printed


@pytest.mark.parametrize(
    ("columns", "earlier", "printed"),
    [
        (["PS"], "72B iter1", 8.88),
        (["HumanEval", "HumanEval+", "MBPP"], "72B base", 24.77),
        (["TriviaQA"], "72B base", 12.04),
        (["SQuAD2.0"], "72B base", 20.29),
    ],
)
def test_absolute_claims_of_the_abstract(tables, columns, earlier, printed):
    table = tables["table_1"]
    gain = mean(table.value("72B iter5", column) - table.value(earlier, column) for column in columns)
    assert round(gain, 2) == printed


def test_yields_are_counts_that_fit_each_other():
    with open(FOLDER / "yields.csv", encoding="utf-8", newline="") as file:
        rows = {row["data"]: row for row in csv.DictReader(file, strict=True)}
    assert len(rows) == 14
    for name, row in rows.items():
        stated = [int(row[column]) for column in ("kept", "scored", "generated") if row[column]]
        assert stated == sorted(stated), name
        if row["mean words"]:
            assert int(row["median words"]) < int(row["mean words"]), name
    log = rows["72B d1 log"]
    assert round(100 * int(log["kept"]) / int(log["scored"])) == 52


def test_empty_cell_is_none_and_every_remark_on_a_cell_is_given(tables):
    assert tables["table_1"].value("72B base", "AlpacaEval") is None
    remarks = tables["table_1"].remarks("72B iter1", "TriviaQA")
    assert ["Dromedary" in remark.text for remark in remarks] == [True, False]
    assert tables["table_12"].remarks("iter3 turn 1", "math")[0].comparable
    assert tables["table_1"].remarks("72B iter5", "PS") == []


@pytest.mark.parametrize("method", ["value", "remarks"])
@pytest.mark.parametrize(
    ("row", "column", "complaint"),
    [
        ("72B Iter1", "PS", "it has no row '72B Iter1'; did you mean '72B iter1'?"),
        ("72B iter1", "MTBench", "it has no column 'MTBench'; did you mean 'MT-Bench'?"),
        ("72B iter1", "GSM8K", "it has no column 'GSM8K'; there is AlpacaEval, MT-Bench, PS,"),
    ],
)
def test_unknown_cell_is_answered_with_the_nearest(tables, method, row, column, complaint):
    with pytest.raises(InputError) as error:
        getattr(tables["table_1"], method)(row, column)
    assert str(error.value).startswith(f"{FOLDER / 'table_1.csv'}: {complaint}")


TABLE = "row,PS,IS\niter1,9.43,19.06\niter2,9.61,21.34\n"
REMARKS = "table,row,column,comparable,remark\ntable_5,iter2,IS,no,A misprint.\n"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("iter2,", "iter1,", "line 3 repeats the row 'iter1' of line 2; remove one."),
        ("PS,IS", "PS,PS", "line 1 has the column 'PS' twice; remove or rename one."),
        ("row,PS", "row,row", "line 1 has the column 'row' twice; remove or rename one."),
        ("PS,IS", "PS,", "line 1 has no name for column 3; give it one."),
        ("row,PS", "name,PS", "line 1 is 'name,PS,IS'; it must be `row` and then the table's columns."),
        ("iter2,", ",", "line 3 has no name in the column 'row'; give it one."),
        ("9.61,21.34", "9.61", "line 3 has 2 cells, but line 1 has 3; correct it."),
        ("9.61,21.34", "9.61,21.34,1", "line 3 has 4 cells, but line 1 has 3; correct it."),
        ("iter2,", "\niter2,", "line 3 is empty; remove it."),
        ("9.61", '"9.61', "line 3 is not valid csv (unexpected end of data); correct it."),
        (TABLE, "", "the file is empty; restore it."),
        *(
            ("9.61", cell, f"line 3, row 'iter2', column 'PS': {cell!r} is no number; write digits as printed, or "
             "leave the cell empty.")
            for cell in ("-", "nan", "1e3", "9.61 %", "٩", " 9.61")
        ),
    ],
)  # fmt: skip
def test_broken_table_is_answered_in_one_sentence(tmp_path, old, new, complaint):
    path = tmp_path / "table_5.csv"
    path.write_text(TABLE.replace(old, new), encoding="utf-8")
    (tmp_path / "remarks.csv").write_text(REMARKS, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_published(path)
    assert str(error.value) == f"{path}: {complaint}"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("table_5", "table_6", "line 2 names the table 'table_6', which is not here; did you mean 'table_5'?"),
        ("iter2", "iter4", "line 2 names the row 'iter4', which {table} does not have; did you mean 'iter2'?"),
        ("IS", "HumanEval", "line 2 names the column 'HumanEval', which {table} does not have; there is PS, IS."),
        (",no,", ",No,", "line 2 has 'No' in the column 'comparable'; write yes or no."),
        ("A misprint.", "", "line 2 has an empty remark; say in one sentence what is remarkable."),
        (",A misprint.", "", "line 2 has 4 cells, but line 1 has 5; correct it."),
        ("comparable,remark", "comparable,text", "line 1 is 'table,row,column,comparable,text'; it must be "
         "'table,row,column,comparable,remark'."),
    ],
)  # fmt: skip
def test_broken_remark_is_answered_in_one_sentence(tmp_path, old, new, complaint):
    table, path = tmp_path / "table_5.csv", tmp_path / "remarks.csv"
    table.write_text(TABLE, encoding="utf-8")
    path.write_text(REMARKS.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_published(table)
    assert str(error.value) == f"{path}: {complaint.format(table=table)}"


@pytest.mark.parametrize("name", ["table_5.csv", "remarks.csv"])
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError) as error:
        load_published(folder / "table_5.csv")
    assert str(error.value) == f"{folder / name}: there is no such file; restore it, or correct the path."


def test_folder_without_tables_is_named(tmp_path):
    with pytest.raises(InputError) as error:
        published_tables(tmp_path)
    assert str(error.value) == f"{tmp_path}: it has no table_<n>.csv; name the folder of the published tables."
