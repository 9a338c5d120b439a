"""Tables are built from the scores alone, and show what is missing."""

import pandas
import pytest

from isheep.tables import Grid, Row, TableSettings, as_latex, as_markdown, benchmark_notes, build_table

TABLE = TableSettings.model_validate(
    {
        "caption": "A table.",
        "columns": [
            {"benchmark": "ifeval", "metric": "strict", "label": "IFEval"},
            {"benchmark": "chat", "metric": "rating", "label": "Chat & more", "percent": False},
        ],
    }
)
ROWS = [
    Row(model="m_1", recipe="", iteration=0, checkpoint="base"),
    Row(model="m_1", recipe="one_base", iteration=1, checkpoint="one_base/iter1"),
]


def scores(*rows):
    names = ["seed", "checkpoint", "benchmark", "metric", "value", "n", "n_valid"]
    return pandas.DataFrame([dict(zip(names, row, strict=True)) | {"model": "m_1"} for row in rows])


@pytest.fixture
def numbers():
    return build_table(
        scores(
            (1, "base", "ifeval", "strict", 0.25, 4, 4),
            (2, "base", "ifeval", "strict", 0.75, 4, 4),
            (1, "base", "chat", "rating", 5.0, 8, 7),
            (2, "base", "chat", "rating", 6.0, 8, 8),
            (1, "one_base/iter1", "ifeval", "strict", 1.0, 4, 4),
            (2, "one_base/iter1", "ifeval", "strict", 1.0, 4, 4),
        ),
        TABLE,
        ROWS,
    )


def test_mean_and_sample_deviation_over_seeds(numbers):
    base = numbers.iloc[0]
    assert base["IFEval"] == 50.0
    assert base["IFEval sd"] == pytest.approx(35.3553, abs=1e-4)
    assert base["Chat & more"] == 5.5
    assert (base["Chat & more n"], base["Chat & more n valid"]) == (16, 15)


def test_markdown_shows_deviation_missing_items_and_missing_cells(numbers):
    lines = as_markdown(numbers, TABLE, []).splitlines()
    assert "| m_1 | base | 50.00 ± 35.36 | 5.50 ± 0.71 (1 missing) |" in lines
    assert "| m_1 | one_base iter1 | 100.00 ± 0.00 | – |" in lines
    assert "Mean ± standard deviation over 2 seeds" in lines[-1]


def test_a_single_seed_has_no_deviation():
    numbers = build_table(scores((1, "base", "ifeval", "strict", 0.5, 4, 4)), TABLE, ROWS[:1])
    assert "| m_1 | base | 50.00 | – |" in as_markdown(numbers, TABLE, [])


def test_latex_escapes_names(numbers):
    latex = as_latex(numbers, TABLE, [])
    assert r"Chat \& more" in latex
    assert r"m\_1 & one\_base iter1 & 100.00 $\pm$ 0.00 & –" in latex


def test_notes_of_the_benchmarks_shown_stand_below_the_table_once(numbers):
    rows = scores((1, "base", "chat", "rating", 5.0, 8, 7), (2, "base", "chat", "rating", 6.0, 8, 8))
    rows["note"] = "Rated by the base model."
    other = scores((1, "base", "unshown", "rating", 5.0, 8, 7)).assign(note="Not shown.")
    notes = benchmark_notes(pandas.concat([rows, other]), TABLE)
    assert notes == ["Rated by the base model."]
    assert as_markdown(numbers, TABLE, notes).rstrip().endswith("Rated by the base model.")


def test_a_baseline_is_a_row_of_its_own():
    grid = Grid(results="results/x", checkpoints={}, seeds=(1,), benchmarks=(), baselines={"alpaca-7b": ("chat",)})
    [(path, where)] = grid.records()
    assert path == "results/x/baselines/alpaca-7b/benchmarks/chat/result.json"
    cell = {"metric": "rating", "value": 2.5, "n": 805, "n_valid": 804}
    row = Row(model="alpaca-7b", recipe="", iteration=0, checkpoint="published")
    shown = as_markdown(build_table(pandas.DataFrame([where | cell]), TABLE, [row]), TABLE, [])
    assert "| alpaca-7b | published | – | 2.50 (1 missing) |" in shown
