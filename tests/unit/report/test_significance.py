"""Checkpoints are compared item by item, on every kind of benchmark, over all replicates."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy
import pandas
import pytest
from scipy.stats import binomtest, norm, permutation_test

import compare_iterations
import score_alpaca_eval
import score_mt_bench
from isheep.benchmarks import programs
from isheep.benchmarks.item_values import read_item_values
from isheep.files.records import InputError, write_jsonl
from isheep.report.significance import DRAWS, LEVEL, POWER, compare, sign_flip_p
from made_up_results import write_made_up_result

SCRIPTS = Path(__file__).parents[3] / "scripts"


# --- tests


def p_of(differences) -> float:
    return sign_flip_p(differences, seed=1)[0]


def test_right_or_wrong_items_have_the_p_of_the_exact_binomial_test():
    assert p_of([1] * 5 + [0] * 90) == pytest.approx(2 * 0.5**5)
    assert p_of([1] * 9 + [-1]) == pytest.approx(2 * (1 + 10) / 2**10)
    assert p_of([1, -1]) == p_of([0, 0]) == 1.0
    for won, lost in ((2600, 2400), (40100, 39900)):
        found = sign_flip_p([1] * won + [-1] * lost + [0] * 9000, 1)
        assert found == (pytest.approx(binomtest(won, won + lost).pvalue), "exact")
    # With one item that differs twice as much, the sums are counted.
    assert p_of([1] * 2600 + [-1] * 2400 + [2]) == pytest.approx(binomtest(2601, 5000).pvalue, rel=0.02)


@pytest.mark.parametrize("items", [2, 3, 7, 12])
def test_few_items_have_the_p_of_scipys_test_which_counts_all_signs(items):
    generator = numpy.random.default_rng(items)
    for differences in (generator.normal(0.4, 1, items), generator.integers(-6, 9, items) / 2):
        expected = permutation_test((differences,), numpy.sum, permutation_type="samples", n_resamples=5000)
        assert sign_flip_p(differences, 1) == (pytest.approx(expected.pvalue), "exact")


def test_sums_that_are_too_many_to_count_are_drawn():
    differences = numpy.random.default_rng(4).normal(0.2, 1, 200)
    z = differences.sum() / (differences**2).sum() ** 0.5
    p, method = sign_flip_p(differences, 1)
    assert (p, method) == (pytest.approx(2 * norm.sf(abs(z)), abs=0.005), "drawn")
    assert (p, method) == sign_flip_p(-differences, 1)
    assert sign_flip_p(differences, 1) == sign_flip_p(differences, 1) != sign_flip_p(differences, 2)
    assert sign_flip_p(numpy.abs(differences), 1) == (1 / (DRAWS + 1), "drawn"), "never zero"


def test_equal_sums_are_equal_though_their_last_digits_differ():
    assert p_of([0.1, 0.2, -0.3]) == 1.0
    assert p_of([1 / 3] * 3 + [-1.0]) == 1.0
    assert p_of([0.1] * 30) == pytest.approx(2 / 2**30)


@pytest.mark.parametrize("items", [1, 2, 5])
def test_a_few_items_are_no_evidence_even_where_all_differ_alike(items):
    assert p_of([3.0] * items) == p_of([-3.0] * items) == pytest.approx(2 / 2**items)
    assert p_of([3.0] * items) > LEVEL
    assert p_of([3.0] * items + [0.0] * 20) == p_of([3.0] * items), "items that do not differ say nothing"
    found = compare([{n: [4.0] for n in range(items)}], [{n: [1.0] for n in range(items)}], 1)
    assert math.isnan(found.detectable), "nothing that so few items could show"


def test_what_differs_on_four_items_of_541_for_the_better_is_no_evidence():
    old = {n: [0] for n in range(541)}
    new = {n: [n < 4] for n in range(541)}
    found = compare([new], [old], 1)
    assert found.p == pytest.approx(0.125)
    assert found.low < 0 < found.high


# --- how often a star is false


def right_or_wrong(generator, n):
    """Two checkpoints that are alike, on items of every difficulty."""
    ease = generator.beta(2, 2, n)
    return (generator.random(n) < ease).astype(int) - (generator.random(n) < ease)


def graded(generator, n):
    """Ratings from 1 to 10 by halves, of two checkpoints that are alike."""
    level = generator.normal(6, 2, n)
    first, second = (numpy.clip(numpy.round(2 * generator.normal(level, 2)) / 2, 1, 10) for _ in range(2))
    return first - second


@pytest.mark.parametrize("made", [right_or_wrong, graded])
@pytest.mark.parametrize(("n", "runs"), [(10, 3000), (20, 2000), (80, 600), (541, 150)])
def test_at_most_one_star_in_twenty_is_false(made, n, runs):
    """A bootstrap's were 9 % at 10 items."""
    generator = numpy.random.default_rng(n)
    false = numpy.mean([p_of(made(generator, n)) < LEVEL for _ in range(runs)])
    assert false <= LEVEL + 2.5 * math.sqrt(LEVEL * (1 - LEVEL) / runs)


def trained(generator, n, seeds, deviation):
    """The differences of two recipes that are alike, by training and item; `deviation`: of what a training adds to all
    items."""
    of_items, of_trainings = generator.normal(0, 0.3, n), generator.normal(0, deviation, seeds)
    answers = generator.normal(0, 1, (seeds, n)) + of_items + of_trainings[:, None]
    return [{item: [value] for item, value in enumerate(values)} for values in answers.round(1)]


def share_of_stars(n, seeds, deviation, runs=250):
    generator, zeros = numpy.random.default_rng(1), [{item: [0.0] for item in range(n)}] * seeds
    found = [compare(trained(generator, n, seeds, deviation), zeros, 1) for _ in range(runs)]
    return numpy.mean([each.p < LEVEL for each in found])


@pytest.mark.parametrize(("n", "deviation"), [(10, 1.0), (80, 0.3)])
def test_of_three_seeds_a_star_holds_for_other_trainings(n, deviation):
    assert share_of_stars(n, 3, deviation) <= LEVEL + 2.5 * math.sqrt(LEVEL * (1 - LEVEL) / 250)
    assert share_of_stars(n, 2, deviation) > 2 * LEVEL, "two seeds are taken as given"


# --- intervals


@pytest.mark.parametrize("better", [0, 4, 40, 100])
def test_the_interval_of_right_or_wrong_items_is_bonett_and_prices(better):
    n, worse = 200, 20
    new = {i: [i < better or i >= 100] for i in range(n)}
    old = {i: [i >= 100 - worse] for i in range(n)}
    won, lost = (sum(a[0] - b[0] == sign for a, b in zip(new.values(), old.values(), strict=True)) for sign in (1, -1))
    first, second = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    half = norm.isf(0.025) * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    found = compare([new], [old], 1)
    assert (found.low, found.high) == (
        pytest.approx(first - second - half, abs=0.002),
        pytest.approx(first - second + half, abs=0.002),
    )


@pytest.mark.parametrize("made", [right_or_wrong, graded])
@pytest.mark.parametrize("n", [10, 80])
def test_intervals_hold_the_difference_nineteen_times_in_twenty(made, n):
    generator, runs, zeros = numpy.random.default_rng(n), 600, [{item: [0] for item in range(n)}]
    found = [compare([{i: [d] for i, d in enumerate(made(generator, n))}], zeros, 1) for _ in range(runs)]
    held = numpy.mean([not (each.low > 0 or each.high < 0) for each in found])
    assert held >= 0.95 - 2.5 * math.sqrt(0.05 * 0.95 / runs)


def test_no_item_that_differs_makes_no_interval():
    found = compare([{"a": [1], "b": [0]}], [{"a": [1], "b": [0]}], 1)
    assert (found.difference, found.p) == (0, 1)
    assert all(map(math.isnan, (found.low, found.high, found.detectable)))


def test_what_can_be_detected_is_detected_four_times_in_five():
    generator, n, zeros = numpy.random.default_rng(5), 60, [{item: [0.0] for item in range(60)}]

    def differences(shift):
        return [{item: [value] for item, value in enumerate(generator.normal(shift, 2, n).round(1))}]

    detectable = numpy.mean([compare(differences(0), zeros, 1).detectable for _ in range(50)])
    shown = numpy.mean([compare(differences(detectable), zeros, 1).p < LEVEL for _ in range(400)])
    assert shown == pytest.approx(POWER, abs=0.08)


def test_a_part_of_many_counts_as_the_mean_of_its_item():
    """The interval is of the mean over parts, as the difference is; parts that are alike make it no narrower."""
    new, old = {n: [n % 3 > 0] * 4 for n in range(30)}, {n: [n % 5 > 1] * 4 for n in range(30)}
    of_parts = compare([new], [old], 1)
    of_items = compare(*([{n: parts[:1] for n, parts in values.items()}] for values in (new, old)), 1)
    for key in ("difference", "p", "low", "high", "detectable"):
        assert getattr(of_parts, key) == pytest.approx(getattr(of_items, key)), key


def test_what_is_missing_on_one_side_is_left_out_of_both():
    new = {"a": [5.0, 9.0], "b": [7.0, None], "c": [None, None]}
    old = {"a": [None, 8.0], "b": [4.0, 1.0], "c": [3.0, 3.0]}
    found = compare([new], [old], 1)
    assert (found.n, found.difference) == (2, 2.0)
    assert compare([{"a": [None]}], [{"a": [1]}], 1) is None


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
    return ["--benchmark", "b", "--comparisons", json.dumps(pair), "--output", str(folder / "b.csv")]


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


def test_a_metric_that_only_some_items_have_is_compared_on_these(tmp_path):
    """As SQuAD 2.0's, of questions with and without an answer; what is no mean over items is not compared."""
    files = {}
    for name, values in {"new": [1.0, 0.5, 0.0], "old": [0.0, 0.5, 1.0]}.items():
        rows = [
            {"id": n, "doc_sha256": f"{n:x}", "filter": "none"}
            | {"metrics": {"f1": value, "NoAns_f1" if n == 2 else "HasAns_f1": value, "best_f1": [{"text": "a"}, {}]}}
            for n, value in enumerate(values)
        ]
        means = {"f1": 0.5, "HasAns_f1": sum(values[:2]) / 2, "NoAns_f1": values[2], "best_f1": 0.5}
        scores = [{"metric": metric, "value": value} for metric, value in means.items()]
        files[name] = write_items(tmp_path / name, rows, scores)
    found = differences(tmp_path, [files["new"]], [files["old"]])
    expected = {"f1": (3, 0.0), "HasAns_f1": (2, 0.5), "NoAns_f1": (1, -1.0)}
    assert {row.Index: (row.n, row.difference) for row in found.itertuples()} == expected


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
