"""How far two judges agree on the same answers."""

import json
from pathlib import Path

import pandas
import pytest

import make_agreement_table
from isheep.benchmarks.grid import Grid
from isheep.benchmarks.result_checks import Configured
from isheep.files.records import InputError, write_jsonl
from isheep.report.agreement import krippendorff_alpha, read_verdicts
from isheep.report.tables import Row
from made_up_results import write_made_up_result


def units(*judges: str) -> list[tuple]:
    """Verdicts by unit, from one text a judge; a dot is missing."""
    return list(zip(*([None if c == "." else float(c) for c in judge] for judge in judges), strict=True))


# --- Krippendorff's alpha, by the worked examples of "Computing Krippendorff's alpha-reliability" (2011)


def test_two_observers_of_two_kinds():
    assert krippendorff_alpha(units("0100000010", "1110010000"), "nominal") == pytest.approx(0.095, abs=5e-4)


def test_two_observers_of_five_kinds():
    coded = {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}
    first, second = ("".join(coded[c] for c in text) for text in ("aabbdcccedda", "babbbccceddd"))
    assert krippendorff_alpha(units(first, second), "nominal") == pytest.approx(0.692, abs=5e-4)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("interval", 0.849)])
def test_four_observers_who_left_units_out(level, alpha):
    rated = units("123321412...", "1233224125.3", ".33323422 51.".replace(" ", ""), "1233244125 1.".replace(" ", ""))
    assert krippendorff_alpha(rated, level) == pytest.approx(alpha, abs=5e-4)


def test_perfect_agreement_chance_and_nothing_to_disagree_on():
    assert krippendorff_alpha([(1, 1), (9, 9)], "interval") == 1.0
    assert krippendorff_alpha([(1, 2), (2, 1)] * 50, "nominal") == pytest.approx(-0.99)
    assert krippendorff_alpha([(7, 7), (7, 7), (3, None)], "interval") is None
    assert krippendorff_alpha([], "nominal") is None


# --- the table

BENCHMARKS = ("chat", "chat_again")
CONFIGURED = Configured(
    results="results/x",
    benchmarks={name: {"kind": "mt_bench"} for name in BENCHMARKS},
    judges={"chat": {"model": None, "api": {"model": "gpt-4-0613"}}, "chat_again": {"model": "own", "api": None}},
    published={"them": {name: {"answers": "theirs.jsonl", "judgments": None, "model": None} for name in BENCHMARKS}},
)
GRID = Grid(results="results/x", seeds=(1,), baselines={"them": BENCHMARKS})
ROWS = [Row(model="them", recipe="", iteration=0, checkpoint="published", label="published", group="them")]
SETTINGS = {"caption": "Two judges.", "benchmarks": list(BENCHMARKS), "notes": ["Ours."]}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("results/x/baselines/them/benchmarks")
    write_jsonl(folder / "chat/answers.jsonl", [{"question_id": 1}])
    return folder


def rated(home: Path, benchmark: str, ratings: list[tuple], answers: str = "chat/answers.jsonl") -> None:
    """Items and record of ratings: question, turn and score of each."""
    rows = [{"id": id, "turn": turn, "category": "math", "metrics": {"score": score}} for id, turn, score in ratings]
    items = home / benchmark / "items.jsonl"
    write_jsonl(items, rows)
    settings = CONFIGURED.of("them", "published", benchmark)
    scores = [{"metric": "average", "value": 5.0}]
    write_made_up_result(items, scores, settings, benchmark=benchmark, read=[home / answers])


def make(folder: Path = Path(), settings: dict = SETTINGS) -> pandas.DataFrame:
    flags = {
        "agreement": json.dumps(settings),
        "rows": json.dumps([row.model_dump() for row in ROWS]),
        "grid": GRID.model_dump_json(),
        "configured": CONFIGURED.model_dump_json(),
    } | {form: str(folder / f"judges.{end}") for form, end in (("csv", "csv"), ("markdown", "md"), ("latex", "tex"))}
    given = [f"--{flag}={value}" for flag, value in flags.items()]
    make_agreement_table.main(make_agreement_table.parser.parse_args(given))
    return pandas.read_csv(folder / "judges.csv")


FIRST = [(1, 1, 9), (1, 2, 4), (2, 1, 7), (2, 2, None)]
SECOND = [(1, 1, 9), (1, 2, 5), (2, 1, 10), (2, 2, 3)]


def test_the_table_says_how_often_and_how_far_judges_agree(home):
    rated(home, "chat", FIRST)
    rated(home, "chat_again", SECOND)
    table = make()
    assert list(table.label) == ["published", "all"]
    for row in table.itertuples():
        assert (row.n, row._6, row.equal) == (4, 3, pytest.approx(1 / 3))
        assert row.alpha == pytest.approx(1 - (10 / 3) / (2 * 29.3333 / 5), abs=1e-4), "observed by expected distance"
        assert (row.first, row.second) == (pytest.approx(20 / 3), pytest.approx(8))
    lines = Path("judges.md").read_text().splitlines()
    assert "| them | published | 4 (1 missing) | 33.33 | 0.72 | 6.67 | 8.00 |" in lines
    assert "- chat: judged by gpt-4-0613." in lines
    assert "- chat_again: judged by own." in lines
    assert lines[-1] == "- Ours."
    assert "Two judges." in Path("judges.tex").read_text()


def test_judgments_of_other_answers_are_refused(home):
    rated(home, "chat", FIRST)
    write_jsonl(home / "chat_again/answers.jsonl", [{"question_id": 2}])
    rated(home, "chat_again", SECOND, "chat_again/answers.jsonl")
    with pytest.raises(
        InputError, match=r"chat_again/result.json: it is not known to be of the answers of .*answers_of"
    ):
        make()


def test_judgments_of_other_questions_are_refused(home):
    rated(home, "chat", FIRST)
    rated(home, "chat_again", SECOND[:3])
    with pytest.raises(InputError, match=r"it judges other items than .*give both benchmarks the same questions"):
        make()


def test_items_that_were_changed_are_refused(home):
    rated(home, "chat", FIRST)
    rated(home, "chat_again", SECOND)
    write_jsonl(home / "chat/items.jsonl", [{"id": 1, "turn": 1, "category": "math", "metrics": {"score": 9}}])
    with pytest.raises(InputError, match=r"chat/items\.jsonl"):
        make()


def test_comparisons_are_verdicts_for_either_or_neither(tmp_path):
    rows = [
        {"id": n, "prompt": "p", "response": "r", "winner": winner}
        for n, winner in enumerate(["model", "reference", "draw", None])
    ]
    write_jsonl(tmp_path / "items.jsonl", rows)
    verdicts, level = read_verdicts(tmp_path / "items.jsonl")
    assert (list(verdicts.values()), level) == ([1.0, 0.0, 0.5, None], "nominal")
    write_jsonl(tmp_path / "items.jsonl", [{"id": 1, "metrics": {"acc": 1}}])
    with pytest.raises(InputError, match="its items have no verdict of a judge"):
        read_verdicts(tmp_path / "items.jsonl")
