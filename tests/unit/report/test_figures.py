"""Figures show the numbers they are given, say what is missing, and can be read in grey and by the colour-blind."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas
import pytest
from pydantic import TypeAdapter, ValidationError

import plot_curve
import plot_projection
import plot_share
import plot_sweep
from isheep.data.vectors import write_vectors
from isheep.files.records import InputError, write_jsonl
from isheep.report.figures import (
    MOST_SERIES,
    CurveFigure,
    FigureSettings,
    ProjectionFigure,
    ShareFigure,
    SweepFigure,
    SweepPoint,
)
from isheep.report.plotting import GENERATED, REFERENCE, SERIES, WIDTH, house_style

SCRIPTS = Path(plot_sweep.__file__).parent
SWEEP = {
    "kind": "sweep",
    "caption": "Accuracy by threshold, costs $5 or $6.",
    "x_label": "threshold",
    "model": "m",
    "iterations": [1, 2],
    "points": [{"x": -1, "recipe": "a"}, {"x": 8, "recipe": "b"}, {"x": 2, "recipe": "c"}],
    "panels": [
        {"benchmark": "ifeval", "metric": "strict", "label": "IFEval strict"},
        {"benchmark": "chat", "metric": "rating", "label": "Rating", "percent": False},
    ],
}
CURVE = {"kind": "curve", "caption": "Accuracy by iteration.", "panels": SWEEP["panels"]}
CURVE_POINTS = [
    {"line": line, "iteration": iteration, "checkpoint": checkpoint, "model": "m"}
    for line, checkpoints in {
        "long": ["a/iter1", "b/iter1", "b/iter2", "c/iter1"],
        "short": ["a/iter1", "c/iter2"],
    }.items()
    for iteration, checkpoint in enumerate(checkpoints)
]
SHARE = {"kind": "share", "caption": "High scores.", "model": "m", "recipe": "r", "iterations": [1, 2]}
PROJECTION = {
    "kind": "projection",
    "caption": "Generated pairs.",
    "model": "m",
    "recipe": "r",
    "iterations": [1, 2],
    "reference": "reference.jsonl",
    "sample": 20,
}
POINTS = [
    {"x": str(point["x"]), "iteration": iteration, "checkpoint": f"{point['recipe']}/iter{iteration}", "model": "m"}
    for point in SWEEP["points"]
    for iteration in (1, 2)
]


def some_scores(*seeds):
    """Scores of every point; seed s adds s / 100. The point 8 of iteration 2 has no score of ifeval."""
    rows = []
    for (number, point), seed in itertools.product(enumerate(POINTS), seeds):
        for benchmark, metric, value in (("ifeval", "strict", number / 10), ("chat", "rating", number)):
            missing = benchmark == "ifeval" and point["checkpoint"] == "b/iter2"
            where = {"model": "m", "seed": seed, "checkpoint": point["checkpoint"], "benchmark": benchmark}
            score = {"metric": metric, "value": None if missing else value + seed / 100, "n": 10, "n_valid": 9}
            rows.append(where | score)
    return pandas.DataFrame(rows)


def flags(folder, **values):
    """Return the command line of a program that draws into `folder`; what is no text is given as JSON."""
    outputs = {form: str(folder / f"figure.{form}") for form in ("svg", "pdf", "csv")}
    return [
        part
        for name, value in {**values, **outputs}.items()
        for part in (f"--{name}", value if isinstance(value, str) else json.dumps(value))
    ]


@pytest.fixture
def sweep(tmp_path):
    some_scores(1, 3).to_csv(tmp_path / "scores.csv", index=False)
    return flags(tmp_path, figure=SWEEP, points=POINTS, scores=str(tmp_path / "scores.csv"))


@pytest.fixture
def curve(tmp_path):
    some_scores(1, 3).to_csv(tmp_path / "scores.csv", index=False)
    return flags(tmp_path, figure=CURVE, points=CURVE_POINTS, scores=str(tmp_path / "scores.csv"))


@pytest.fixture
def share(tmp_path):
    """Iteration 1 with two seeds, iteration 2 with one. Of 5 pairs one broke a rule, one has a score not parsed."""
    high, low, unparsed = {"quality": 9, "following": 10}, {"quality": 10, "following": 8}, {"quality": None}
    of = {(1, 1): [high, low, low, unparsed, {}], (1, 2): [high, high, low, low, {}], (2, 1): [high] * 4}
    for (iteration, seed), scores in of.items():
        rows = [{"id": f"base:0:{n}", "kept": True, "reason": None, "scores": s} for n, s in enumerate(scores)]
        write_jsonl(tmp_path / f"ledger{iteration}{seed}.jsonl", rows)
    ledgers = [{"iteration": t, "seed": s, "path": str(tmp_path / f"ledger{t}{s}.jsonl")} for t, s in of]
    return [*flags(tmp_path, figure=SHARE), "--ledgers", *map(json.dumps, ledgers)]


@pytest.fixture
def projection(tmp_path):
    """Vectors that vary along two directions only, 3 to 1; the pairs of iteration 2 lie 50 to the side."""
    generator = np.random.default_rng(1)

    def vectors(name, count, shift):
        places = generator.normal(size=(count, 5)) * [3, 1, 0, 0, 0] + [1000, shift, 0, 0, 7]
        write_vectors(tmp_path / name, [f"{name}:{number}" for number in range(count)], places)
        return str(tmp_path / name)

    files = [
        {"iteration": 1, "paths": [vectors("a.npz", 15, 0), vectors("b.npz", 15, 0)]},
        {"iteration": 2, "paths": [vectors("c.npz", 10, 50)]},
    ]
    return flags(tmp_path, figure=PROJECTION, vectors=files, reference=vectors("reference.npz", 40, 0), seed="1")


PROGRAMS = {program.__name__: program for program in (plot_sweep, plot_curve, plot_share, plot_projection)}


@pytest.fixture(params=PROGRAMS)
def each(request):
    """Each program and its command line."""
    return PROGRAMS[request.param], request.getfixturevalue(request.param.removeprefix("plot_"))


def draw(program, arguments):
    parsed = program.parser.parse_args(arguments)
    program.main(parsed)
    return pandas.read_csv(parsed.csv, dtype={"x": str})


def test_a_name_on_an_axis_is_no_formula_in_the_csv(tmp_path):
    some_scores(1).to_csv(tmp_path / "scores.csv", index=False)
    figure = SWEEP | {"points": [point | {"x": f"={point['x']}"} for point in SWEEP["points"]]}
    points = [point | {"x": f"={point['x']}"} for point in POINTS]
    numbers = draw(plot_sweep, flags(tmp_path, figure=figure, points=points, scores=str(tmp_path / "scores.csv")))
    assert set(numbers.x) == {f"'={point['x']}" for point in SWEEP["points"]}


def refusal(program, arguments, folder):
    """Return the sentence of a program that must refuse its input and write nothing."""
    with pytest.raises(InputError) as error:
        program.main(program.parser.parse_args(arguments))
    assert not list(folder.glob("*figure*"))
    return str(error.value)


def replaced(arguments, flag, value):
    place = arguments.index(flag) + 1
    return [*arguments[:place], value if isinstance(value, str) else json.dumps(value), *arguments[place + 1 :]]


# Sweeps


def test_a_sweeps_numbers_are_mean_and_deviation_of_its_scores(sweep):
    numbers = draw(plot_sweep, sweep)
    assert list(numbers.x) == ["-1", "8", "2"] * 4
    assert list(numbers.iteration) == [1, 1, 1, 2, 2, 2] * 2
    strict, rating = numbers[:6], numbers[6:]
    assert list(strict["mean"])[:5] == pytest.approx([2, 22, 42, 12, np.nan], nan_ok=True)
    assert list(rating["mean"]) == pytest.approx([0.02, 2.02, 4.02, 1.02, 3.02, 5.02])
    assert list(strict.standard_deviation)[:4] == pytest.approx([2**0.5] * 4, rel=1e-4)
    assert list(numbers.seeds) == [2, 2, 2, 2, 0, 2] + [2] * 6
    assert list(rating.n) == [20] * 6
    assert list(rating.n_valid) == [18] * 6


def test_a_sweep_draws_what_its_csv_says(sweep):
    numbers = draw(plot_sweep, sweep)
    with house_style():
        drawing = plot_sweep.draw_sweep(numbers, SweepFigure.model_validate(SWEEP))
    lines = [line for axes in drawing.axes for line in axes.get_lines() if len(line.get_ydata()) == 3]
    drawn = [line for line in lines if line.get_linestyle() != "None"]
    assert np.concatenate([line.get_ydata() for line in drawn]) == pytest.approx(list(numbers["mean"]), nan_ok=True)
    bars = [s for axes in drawing.axes for bar in axes.collections for s in bar.get_segments()]
    shown = numbers.dropna(subset="mean")
    assert [bar[1][1] - bar[0][1] for bar in bars] == pytest.approx(list(2 * shown.standard_deviation))
    assert [label.get_text() for label in drawing.axes[0].get_xticklabels()] == ["-1", "8", "2"]
    assert [axes.get_title() for axes in drawing.axes] == ["IFEval strict (%)", "Rating"]


def test_a_sweep_says_how_many_points_and_items_are_missing(sweep, tmp_path):
    draw(plot_sweep, sweep)
    words = words_of(tmp_path / "figure.svg")
    assert "1 of 12 points are missing: they have no score." in words
    assert "Mean and standard deviation over 2 seeds." in words
    assert "In 11 of 11 points some items have no valid score" in words


def test_a_sweep_names_points_that_are_trained_on_the_same_pairs(sweep, tmp_path):
    places = []
    for number, checkpoint in enumerate(("a", "b", "c")):
        path = tmp_path / f"selection{number}.json"
        rows = {"rows": "first", "max_samples": 3, "validation_share": 0}
        counts = {"kept": 9, "trained_on": 3, "held_out": 0, "trained_on_sha256": "other" if number == 1 else "same"}
        path.write_text(json.dumps({"rows": rows} | counts))
        places.append({"model": "m", "seed": 1, "recipe": checkpoint, "iteration": 1, "path": str(path)})
    noted = SWEEP | {"notes": ["What the paper leaves open."]}
    draw(plot_sweep, [*replaced(sweep, "--figure", noted), "--selections", *map(json.dumps, places)])
    words = words_of(tmp_path / "figure.svg")
    assert "Trained on the very same pairs: -1 iteration 1, 2 iteration 1 (seed 1)." in words
    assert "Of the kept pairs the first 3, evenly" in words
    assert "What the paper leaves open." in words


def test_a_sweep_of_one_seed_has_no_deviations(sweep, tmp_path):
    some_scores(1).to_csv(tmp_path / "scores.csv", index=False)
    numbers = draw(plot_sweep, sweep)
    assert numbers.standard_deviation.isna().all()
    assert "One seed." in words_of(tmp_path / "figure.svg")


def test_a_seed_without_a_score_is_told(sweep, tmp_path):
    scores = some_scores(1, 3)
    scores.loc[0, "value"] = None
    scores.to_csv(tmp_path / "scores.csv", index=False)
    numbers = draw(plot_sweep, sweep)
    assert (numbers.seeds[0], numbers["mean"][0]) == (1, pytest.approx(3))
    assert "over 2 seeds (1 of 11 points: over fewer)" in words_of(tmp_path / "figure.svg")


def test_a_sweep_without_any_score_says_so(sweep, tmp_path):
    some_scores(1).assign(value=None).to_csv(tmp_path / "scores.csv", index=False)
    assert draw(plot_sweep, sweep)["mean"].isna().all()
    words = words_of(tmp_path / "figure.svg")
    assert words.count("no score ") == 2
    assert "12 of 12 points are missing" in words


def test_a_metric_that_no_record_has_is_refused(sweep, tmp_path):
    some_scores(1).replace({"strict": "prompt_strict"}).to_csv(tmp_path / "scores.csv", index=False)
    sentence = refusal(plot_sweep, sweep, tmp_path)
    assert "scores.csv: no record of ifeval has the metric 'strict' of the panel 'IFEval strict'" in sentence
    assert sentence.endswith("did you mean 'prompt_strict'?.")


def test_a_benchmark_without_scores_is_refused(sweep, tmp_path):
    some_scores(1).replace({"chat": "chats"}).to_csv(tmp_path / "scores.csv", index=False)
    sentence = refusal(plot_sweep, sweep, tmp_path)
    assert "no scores of the benchmark 'chat' of the panel 'Rating', only of chats, ifeval" in sentence


def test_points_must_be_those_of_the_figure(sweep, tmp_path):
    assert "--points: ('2', 2) is missing" in refusal(plot_sweep, replaced(sweep, "--points", POINTS[:-1]), tmp_path)
    further = [*POINTS, POINTS[0] | {"x": "3"}]
    assert "--points: ('3', 1) is not part" in refusal(plot_sweep, replaced(sweep, "--points", further), tmp_path)


# Shares


def test_a_curve_draws_its_scores_from_the_base_on_and_ends_where_a_recipe_does(curve):
    numbers = draw(plot_curve, curve)
    strict = numbers[numbers["panel"] == "IFEval strict"]
    # The checkpoints' scores are 0, 20, none, 40 and 0, 50 per cent, and 1 and 3 more by the seeds.
    assert strict["mean"].tolist() == pytest.approx([2, 22, np.nan, 42, 2, 52], nan_ok=True)
    assert strict["standard_deviation"].dropna().tolist() == pytest.approx([2**0.5] * 5, rel=1e-4)
    with house_style():
        drawing = plot_curve.draw_curve(numbers, CurveFigure.model_validate(CURVE))
    axes = drawing.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["base", "1", "2", "3"]
    long, short = (line.get_ydata() for line in axes.get_lines() if len(line.get_ydata()) == 4)
    assert list(long) == pytest.approx([2, 22, np.nan, 42], nan_ok=True)
    assert list(short) == pytest.approx([2, 52, np.nan, np.nan], nan_ok=True)
    assert [text.get_text() for text in drawing.legends[0].get_texts()] == ["long", "short"]


def test_shares_are_counted_per_criterion_and_for_all_of_them(share):
    numbers = draw(plot_share, share)
    assert list(numbers.columns) == (
        ["iteration", "seed", "criterion", "kept", "scored", "generated", "share_of_scored", "share_of_generated"]
    )
    first = numbers[(numbers.iteration == 1) & (numbers.seed == 1)]
    assert list(first.criterion) == ["quality", "following", "quality and following"]
    assert list(first.kept) == [3, 1, 1]
    assert list(first.scored) == [3, 3, 3]
    assert list(first.generated) == [5, 5, 5]
    assert list(first.share_of_scored) == pytest.approx([1, 1 / 3, 1 / 3], abs=1e-6)
    assert list(first.share_of_generated) == pytest.approx([0.6, 0.2, 0.2])


def test_the_threshold_itself_is_not_high(share):
    figure = SHARE | {"threshold": 9}
    numbers = draw(plot_share, replaced(share, "--figure", figure))
    last = numbers[numbers.iteration == 2]
    assert list(last.kept) == [0, 4, 0]


def test_a_pair_counts_as_scored_only_with_every_score_of_the_curve(share, tmp_path):
    one_sided = [{"id": "base:0:0", "scores": {"quality": 9, "following": None}}, {"id": "b", "scores": {"quality": 9}}]
    write_jsonl(tmp_path / "ledger21.jsonl", one_sided)
    numbers = draw(plot_share, share)
    last = numbers[numbers.iteration == 2]
    assert list(last.scored) == [2, 0, 0]
    assert last.share_of_scored.isna().tolist() == [False, True, True]
    assert "2 of 6 points are missing: no pair has a valid score." in words_of(tmp_path / "figure.svg")


def test_shares_are_drawn_as_the_csv_says(share, tmp_path):
    numbers = draw(plot_share, share)
    with house_style():
        drawing = plot_share.draw_shares(numbers, ShareFigure.model_validate(SHARE))
    drawn = [line.get_ydata() for line in drawing.axes[0].get_lines() if line.get_linestyle() != "None"]
    mine = numbers.groupby(["criterion", "iteration"])["share_of_scored"].mean() * 100
    for values, name in zip(drawn, ["quality", "following", "quality and following"], strict=True):
        assert list(values) == pytest.approx(list(mine[name]))
    [bar] = drawing.axes[0].collections[1].get_segments()
    assert bar[:, 1] == pytest.approx(
        [100 * (5 / 12 - np.std([1 / 3, 1 / 2], ddof=1)), 100 * (5 / 12 + np.std([1 / 3, 1 / 2], ddof=1))], rel=1e-4
    )
    words = words_of(tmp_path / "figure.svg")
    assert "as the paper's caption says; its legend says average" in words
    assert "Shares are of the pairs with a valid score" in words
    assert "over 2 seeds (3 of 6 points: over fewer)" in words


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "it holds no pair"),
        ([{"id": "a"}], "line 1 has no 'scores' by criterion"),
        ([{"id": "a", "scores": {"qualty": 9, "following": 9}}], "'quality' .* found: following, qualty; did you mean"),
        ([{"id": "a", "scores": {}}], "found: none is defined"),
    ],
)
def test_a_wrong_ledger_is_refused(share, tmp_path, rows, sentence):
    write_jsonl(tmp_path / "ledger21.jsonl", rows)
    told = refusal(plot_share, share, tmp_path)
    assert re.search(f"ledger21.jsonl: .*{sentence}", told), told


def test_every_iteration_needs_a_ledger(share, tmp_path):
    told = refusal(plot_share, replaced(share, "--figure", SHARE | {"iterations": [1, 2, 3]}), tmp_path)
    assert told == "--ledgers: 3 is missing; give what --figure declares."


# Projections


def test_components_are_those_of_the_reference_alone(projection, tmp_path):
    points = draw(plot_projection, projection)
    reference = np.load(tmp_path / "reference.npz")["vectors"].astype(float)
    centred = reference - reference.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    every = {
        str(name): vector
        for file in ("reference", "a", "b", "c")
        for name, vector in zip(*np.load(tmp_path / f"{file}.npz").values(), strict=True)
    }
    for number in (1, 2):
        expected = [(every[name] - reference.mean(axis=0)) @ directions[number - 1] for name in points.id]
        drawn = points[f"component_{number}"]
        sign = np.sign(np.dot(drawn, expected))
        assert list(drawn) == pytest.approx(list(sign * np.array(expected)), rel=1e-4, abs=1e-4)
    share = singular**2 / (singular**2).sum()
    words = words_of(tmp_path / "figure.svg")
    assert f"component 1 ({share[0]:.1%} of variance)" in words
    assert f"component 2 ({share[1]:.1%} of variance)" in words


def test_a_sample_is_drawn_without_repeats_from_all_shards(projection, tmp_path):
    points = draw(plot_projection, projection)
    counts = points.groupby(["set", "iteration"]).id.agg(["count", "nunique"])
    assert counts.to_dict("index") == {
        ("generated", 1): {"count": 20, "nunique": 20},
        ("generated", 2): {"count": 10, "nunique": 10},
        ("reference", 0): {"count": 20, "nunique": 20},
    }
    first = points[points.iteration == 1]
    assert {name.split(":")[0] for name in first.id} == {"a.npz", "b.npz"}
    words = words_of(tmp_path / "figure.svg")
    assert "iteration 1 (20 of 30)" in words
    assert "iteration 2 (10 of 10)" in words
    assert "reference (20 of 40)" in words


def test_another_seed_draws_another_sample(projection):
    first = draw(plot_projection, projection)
    second = draw(plot_projection, replaced(projection, "--seed", "2"))
    assert set(first.id) != set(second.id)


def test_clouds_are_drawn_as_the_csv_says(projection):
    points = draw(plot_projection, projection)
    with house_style():
        drawing = plot_projection.draw_projection(
            points, {0: 40, 1: 30, 2: 10}, (0.9, 0.1), ProjectionFigure.model_validate(PROJECTION)
        )
    for axes, iteration in zip(drawing.axes, (1, 2), strict=True):
        [cloud] = axes.collections
        colours = [matplotlib.colors.to_hex(colour).upper() for colour in cloud.get_facecolors()]
        drawn = {(colour, *place) for colour, place in zip(colours, cloud.get_offsets().tolist(), strict=True)}
        shown = points[points.iteration.isin([0, iteration])]
        assert drawn == {
            (GENERATED.colour if point.iteration else REFERENCE.colour, point.component_1, point.component_2)
            for point in shown.itertuples()
        }


def test_vectors_of_another_model_are_refused(projection, tmp_path):
    write_vectors(tmp_path / "c.npz", ["x"], np.zeros((1, 4)))
    assert "c.npz: its vectors have 4 numbers, but those before them have 5" in (
        refusal(plot_projection, projection, tmp_path)
    )


def test_a_reference_needs_three_vectors_that_differ(projection, tmp_path):
    write_vectors(tmp_path / "reference.npz", ["x", "y"], np.eye(2, 5))
    assert "reference.npz: two components need at least 3" in refusal(plot_projection, projection, tmp_path)
    write_vectors(tmp_path / "reference.npz", ["x", "y", "z", "w"], np.ones((4, 5)))
    assert "reference.npz: two components need at least 3" in refusal(plot_projection, projection, tmp_path)


# All of them


def test_drawn_again_every_file_has_the_same_bytes(each, tmp_path):
    program, arguments = each
    draw(program, arguments)
    (tmp_path / "again").mkdir()
    again = [part.replace(f"{tmp_path}/figure.", f"{tmp_path}/again/figure.") for part in arguments]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, SCRIPTS / f"{program.__name__}.py", *again], env=environment, check=True)
    for form in ("svg", "pdf", "csv"):
        assert (tmp_path / f"figure.{form}").read_bytes() == (tmp_path / f"again/figure.{form}").read_bytes()


def test_the_users_own_matplotlib_settings_change_nothing(sweep, tmp_path):
    draw(plot_sweep, sweep)
    first = (tmp_path / "figure.svg").read_bytes()
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "svg.fonttype": "path"}):
        draw(plot_sweep, sweep)
    assert (tmp_path / "figure.svg").read_bytes() == first


def test_text_is_text_of_7_points_or_more_and_fonts_are_truetype(each, tmp_path):
    draw(*each)
    svg, pdf = (tmp_path / "figure.svg").read_text(), (tmp_path / "figure.pdf").read_bytes()
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:\w+ )*([\d.]+)px", svg)]
    assert sizes
    assert min(sizes) >= 7
    assert f'width="{WIDTH * 72:.0f}pt"' in svg
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"/CreationDate" not in pdf
    assert "<dc:date>" not in svg


def test_long_labels_stay_inside_the_figure(sweep, tmp_path):
    long = "a label of very many words that nobody could ever write into one line of a small panel"
    names = ["supercalifragilisticexpialidocious thousand", "a few instructions more than before", "the last"]
    figure = SWEEP | {
        "x_label": long,
        "caption": f"{long}, {long}, {long}.",
        "points": [{"x": x, "recipe": "a"} for x in names],
        "panels": [SWEEP["panels"][number % 2] | {"label": f"{number} {long}"} for number in range(5)],
    }
    points = [{"x": x, "iteration": t, "checkpoint": f"a/iter{t}", "model": "m"} for x in names for t in (1, 2)]
    settings = SweepFigure.model_validate(figure)
    numbers = plot_sweep.sweep_numbers(some_scores(1), settings, TypeAdapter(list[SweepPoint]).validate_python(points))
    with house_style():
        drawing = plot_sweep.draw_sweep(numbers, settings)
        drawing.savefig(tmp_path / "long.pdf")
        box = drawing.bbox
        for axes in drawing.axes:
            tight = axes.get_tightbbox()
            assert box.x0 - 1 <= tight.x0 < tight.x1 <= box.x1 + 1
            assert box.y0 - 1 <= tight.y0 < tight.y1 <= box.y1 + 1
            assert axes.get_window_extent().height > 70
        boxes = [axes.get_tightbbox() for axes in drawing.axes]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"iterations": [1, 1]}, "found 1 more than once"),
        ({"iterations": []}, "at least 1 item"),
        ({"iterations": list(range(1, MOST_SERIES + 2))}, f"at most {MOST_SERIES} items"),
        ({"points": [{"x": "8", "recipe": "a"}, {"x": 8, "recipe": "b"}]}, "found the x '8' more than once"),
        ({"kind": "bars"}, "'sweep', 'curve', 'share', 'projection'"),
    ],
)
def test_wrong_settings_are_told(wrong, sentence):
    with pytest.raises(ValidationError, match=sentence):
        TypeAdapter(FigureSettings).validate_python(SWEEP | wrong)


# Colours. The matrices simulate the full absence of one kind of cone, on linear RGB: Machado, Oliveira and Fernandes,
# A physiologically-based model for simulation of color vision deficiency, IEEE TVCG 15 (2009), severity 1.0.

VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ_OF_SRGB = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]


def lab(colour, vision="normal"):
    """Return lightness (0 to 100), a and b of a colour in CIELAB (white D65), as someone with `vision` sees it."""
    srgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array(XYZ_OF_SRGB) @ np.clip(np.array(VISION[vision]) @ linear, 0, 1) / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_stay_apart_in_every_colour_vision(vision):
    """A distance of about 2.3 in CIELAB is just noticeable; lines need far more."""
    seen = [lab(series.colour, vision) for series in SERIES]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 15
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen[:3], 2)) > 50
    assert np.linalg.norm(lab(REFERENCE.colour, vision) - lab(GENERATED.colour, vision)) > 50
    assert min(np.linalg.norm(one - lab("white", vision)) for one in seen) > 30


def test_series_stay_apart_in_grey():
    lightness = [lab(series.colour)[0] for series in SERIES[:3]]
    assert min(abs(one - other) for one, other in itertools.combinations(lightness, 2)) > 20
    assert abs(lab(REFERENCE.colour)[0] - lab(GENERATED.colour)[0]) > 40
    assert len({series.marker for series in SERIES}) == len({series.line for series in SERIES}) == MOST_SERIES


def words_of(svg):
    """Return the text of a figure, its lines joined by blanks, with a blank at the end."""
    return " ".join(re.findall(r"<(?:text|tspan)[^>]*>([^<]+)</", Path(svg).read_text(encoding="utf-8"))) + " "
