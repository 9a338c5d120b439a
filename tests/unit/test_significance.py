"""Checkpoints are compared item by item, on every kind of benchmark, over all replicates."""

import json
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

import compare_iterations
import score_alpaca_eval
import score_mt_bench
from isheep import programs
from isheep.item_values import read_item_values
from isheep.records import InputError, write_jsonl
from isheep.significance import RESAMPLES, bootstrap_p, compare, mcnemar_p
from made_up_results import write_made_up_result

SCRIPTS = Path(__file__).parents[2] / "scripts"


# --- tests


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar_p([1] * 5 + [0] * 90) == pytest.approx(2 * 0.5**5)
    assert mcnemar_p([1] * 9 + [-1]) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar_p([1, -1]) == mcnemar_p([0, 0]) == 1.0


def test_the_bootstrap_agrees_with_the_normal_test_on_many_items():
    differences = [1.0] * 60 + [-1.0] * 36 + [0.0] * 404  # mean 0.048, standard error 0.0194: z = 2.47, p = 0.013
    assert bootstrap_p(differences, 7) == pytest.approx(0.013, abs=0.006)
    assert bootstrap_p([-d for d in differences], 7) == pytest.approx(0.013, abs=0.006)


def test_the_bootstrap_is_never_zero_nor_above_one():
    assert bootstrap_p([0.1] * 30, 1) == 1 / (RESAMPLES + 1)
    assert bootstrap_p([0.0] * 30, 1) == 1.0
    assert bootstrap_p([0.1, 0.2, -0.3], 1) == 1.0, "resamples that cancel lie on both sides"


@pytest.mark.parametrize("items", [1, 2, 5])
def test_a_few_items_are_no_evidence_even_where_all_differ_alike(items):
    assert bootstrap_p([3.0] * items, 1) == bootstrap_p([-3.0] * items, 1) == 2 / 2**items > 0.05
    assert bootstrap_p([3.0] * items + [0.0] * 20, 1) >= 2 / 2**items, "items that do not differ say nothing"
    assert bootstrap_p([3.0] * 6, 1) == 2 / 2**6


def test_the_same_seed_gives_the_same_p():
    differences = [0.31, -0.4, 0.05, 0.4, -0.3, 0.22, -0.1] * 9
    assert bootstrap_p(differences, 3) == bootstrap_p(differences, 3) != bootstrap_p(differences, 4)


def test_mcnemar_only_for_one_replicate_of_items_that_are_right_or_wrong():
    old, new = {"a": [0], "b": [1], "c": [0]}, {"a": [1], "b": [1], "c": [1]}
    assert compare([new], [old], 1).method == "mcnemar"
    assert compare([new, new], [old, old], 1).method == "bootstrap"
    assert compare([new | {"a": [0.5]}], [old], 1).method == "bootstrap"
    assert compare([{"a": [True, False]}], [{"a": [True, True]}], 1).method == "bootstrap"


def test_what_is_missing_on_one_side_is_left_out_of_both():
    new = {"a": [5.0, 9.0], "b": [7.0, None], "c": [None, None]}
    old = {"a": [None, 8.0], "b": [4.0, 1.0], "c": [3.0, 3.0]}
    found = compare([new], [old], 1)
    assert (found.n, found.difference) == (2, 2.0)
    assert compare([{"a": [None]}], [{"a": [1]}], 1) is None


def test_parts_of_an_item_are_one_draw():
    """Four equal parts of each item are no more evidence than one."""
    new, old = {n: [n % 3 > 0] for n in range(30)}, {n: [n % 5 > 1] for n in range(30)}
    repeated = [{item: parts * 4 for item, parts in values.items()} for values in (new, old)]
    fractions = [{item: [0.25 * parts[0]] for item, parts in values.items()} for values in (new, old)]
    assert compare([repeated[0]], [repeated[1]], 5).p == compare([fractions[0]], [fractions[1]], 5).p


# --- items of every kind, as the workflow's own programs write them


def lm_eval(folder: Path, values: list, metric: str = "acc", filter: str = "none") -> Path:
    """Items and record of an lm-eval task; the second document is the same text as the first."""
    rows = [
        {
            "id": number,
            "doc_sha256": f"{max(number, 1):x}",
            "prompt": "p",
            "response": ["r"],
            "target": 0,
            "filter": filter,
            "metrics": {metric: value, "of_the_corpus": [1.5, 20], "answers": {"text": "r"}},
        }
        for number, value in enumerate(values)
    ]
    parts = [part for value in values for part in (value if isinstance(value, list) else [value]) if part is not None]
    name = metric if filter == "none" else f"{metric},{filter}"
    corpus = {"metric": "of_the_corpus", "value": 3.21}
    return write_items(folder, rows, [{"metric": name, "value": sum(parts) / len(parts)}, corpus])


def write_items(folder: Path, rows: list[dict], scores: list[dict]) -> Path:
    write_jsonl(folder / "items.jsonl", rows)
    write_made_up_result(folder / "items.jsonl", scores)
    return folder / "items.jsonl"


def alpaca_eval(folder: Path, preferences: list[float | None]) -> Path:
    rows = [
        {"instruction": f"i{n}", "output_1": "theirs", "output_2": "our own"[: n + 1], "preference": preference}
        for n, preference in enumerate(preferences)
    ]
    scores = [*score_alpaca_eval.win_rate_scores(rows), score_alpaca_eval.length_score(rows)]
    return write_items(folder, [score_alpaca_eval.item_row(n, row) for n, row in enumerate(rows)], scores)


def mt_bench(folder: Path, ratings: dict[int, list[float | None]]) -> Path:
    judgments = [
        {"question_id": id, "turn": turn, "category": "math" if id % 2 else "stem", "judge": ["j", "p"], "score": score}
        for id, scores in ratings.items()
        for turn, score in enumerate(scores, start=1)
    ]
    rows = [score_mt_bench.item_row(judgment) for judgment in judgments]
    return write_items(folder, rows, score_mt_bench.score_rows(judgments))


def coding(folder: Path, passed: list[list[bool]]) -> Path:
    outcomes = [
        programs.Outcome(f"task/{task}", sample, ok, "passed" if ok else "failed")
        for task, samples in enumerate(passed)
        for sample, ok in enumerate(samples)
    ]
    return write_items(folder, [vars(outcome) for outcome in outcomes], programs.scores(outcomes, [1, 2]))


def flags(folder: Path, items: list[Path], previous: list[Path]) -> list[str]:
    pair = {"model": "m", "checkpoint": "r/iter1", "previous": "base"}
    pair |= {"items": list(map(str, items)), "previous_items": list(map(str, previous))}
    return ["--benchmark", "b", "--comparisons", json.dumps([pair]), "--output", str(folder / "b.csv")]


def differences(folder: Path, items: list[Path], previous: list[Path]) -> pandas.DataFrame:
    compare_iterations.values_of.cache_clear()
    compare_iterations.main(compare_iterations.parser.parse_args(flags(folder, items, previous)))
    return pandas.read_csv(folder / "b.csv").set_index("metric")


def recorded(paths: list[Path]) -> dict[str, float]:
    """Mean over replicates of the scores in the records beside items."""
    records = [json.loads(path.with_name("result.json").read_text()) for path in paths]
    values = [{score["metric"]: score["value"] for score in record["scores"]} for record in records]
    return {metric: sum(each[metric] for each in values) / len(values) for metric in values[0]}


KINDS = {
    "accuracy": (lm_eval, [1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], {"acc"}),
    "instructions": (lm_eval, [[True, False], [True], [True] * 3], [[True, True], [False], [False] * 3], {"acc"}),
    "win rate": (alpaca_eval, [2, 1.25, 1.5, 1], [1, 1.125, 1, 1], {"win_rate"}),
    "ratings": (
        mt_bench,
        {1: [9, 3], 2: [8, 7.5], 3: [6, 1]},
        {1: [8, 2], 2: [9, 7], 3: [3, 2]},
        {"average", "turn_1", "turn_2", "category_math", "category_stem"}
        | {f"turn_{turn}_category_{name}" for turn in (1, 2) for name in ("math", "stem")},
    ),
    "programs": (
        coding,
        [[True, False], [True, True], [False, False]],
        [[False, False], [True, False], [False, True]],
        {"pass@1", "pass@2"},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seeds", [1, 2])
def test_the_difference_is_that_of_the_records(tmp_path, kind, seeds):
    write, new, old, metrics = KINDS[kind]
    contents = [(new, old), (old, old)][:seeds]
    items = [write(tmp_path / f"new{n}", ours) for n, (ours, _) in enumerate(contents)]
    previous = [write(tmp_path / f"old{n}", theirs) for n, (_, theirs) in enumerate(contents)]
    found, after, before = differences(tmp_path, items, previous), recorded(items), recorded(previous)
    assert set(found.index) == metrics
    for metric, row in found.iterrows():
        assert row.difference == pytest.approx(after[metric] - before[metric]), metric
    assert set(found.checkpoint) == {"r/iter1"}
    assert set(found.previous) == {"base"}


def test_a_metric_of_a_filter_has_its_name_in_the_scores(tmp_path):
    items = [lm_eval(tmp_path / name, [1.0, 0.0, 1.0], "exact_match", "strict") for name in ("new", "old")]
    assert list(differences(tmp_path, items[:1], items[1:]).index) == ["exact_match,strict"]


def test_a_missing_judgment_is_left_out_on_both_sides(tmp_path):
    items, previous = alpaca_eval(tmp_path / "new", [2, None, 2]), alpaca_eval(tmp_path / "old", [1, 2, None])
    row = differences(tmp_path, [items], [previous]).loc["win_rate"]
    assert (row.n, row.difference) == (1, 100.0)


def test_comparisons_are_repeatable(tmp_path):
    items = [
        alpaca_eval(tmp_path / "new", [1.7, 1.2, 1.9, 1.4] * 9),
        alpaca_eval(tmp_path / "old", [1.5, 1.6, 1.3] * 12),
    ]
    first = differences(tmp_path, items[:1], items[1:])
    assert first.equals(differences(tmp_path, items[:1], items[1:]))
    assert 0 < first.loc["win_rate", "p"] < 1


# --- bad input


def test_items_of_another_benchmark_are_refused(tmp_path):
    items, previous = lm_eval(tmp_path / "new", [1.0] * 3), lm_eval(tmp_path / "old", [1.0] * 4)
    command = [sys.executable, str(SCRIPTS / "compare_iterations.py"), *flags(tmp_path, [items], [previous])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        f"Error: {items}: its items are not those of {previous} (acc has 3 and 4 items, 3 of them the same)"
        in done.stderr
    )
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "the file has no item"),
        ([{"id": 1, "text": "x"}], "line 1 has the keys id, text, which are those of no benchmark's items"),
        (
            [{"task_id": 1, "sample": 0, "passed": True}, {"task_id": 2, "sample": 0}],
            "line 2 lacks passed, unlike line 1",
        ),
    ],
)
def test_items_that_cannot_be_read(tmp_path, rows, problem):
    path = write_items(tmp_path, rows, [{"metric": "pass@1", "value": 1.0}])
    with pytest.raises(InputError, match=problem):
        read_item_values(path)
