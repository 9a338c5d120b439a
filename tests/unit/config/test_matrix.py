"""The paper's matrix: every published cell has its place, and recipes share what they can."""

import copy
import shutil
from pathlib import Path

import pytest
import yaml

from isheep.config.loading import check_files, load_config
from isheep.config.matrix import Matrix
from isheep.files.records import InputError
from isheep.report.published import load_published, published_tables

DEMO = "config/config.yaml"
PAPER = "config/paper.yaml"
BIG = "qwen1.5-72b"


def matrix_of(file):
    matrix = Matrix(load_config(yaml.safe_load(Path(file).read_text()), [file]))
    matrix.check()
    check_files(matrix.config, matrix.benchmarks())
    return matrix


def matrix_of_raw(raw):
    return Matrix(load_config(copy.deepcopy(raw), [DEMO]))


@pytest.fixture(scope="module")
def paper():
    return matrix_of(PAPER)


@pytest.fixture
def demo():
    return yaml.safe_load(Path(DEMO).read_text())


@pytest.mark.parametrize("file", [PAPER, "config/demo_matrix.yaml", "config/published.yaml"])
def test_shipped_configuration_is_valid(file):
    matrix_of(file)


def test_every_published_cell_has_a_row_and_a_column(paper):
    declared = {}
    for name, table in paper.config.tables.items():
        rows = [row.published for row in paper.rows(table)]
        columns = [column.published for column in table.columns]
        declared[name] = {(row, column) for row in rows for column in columns}
        assert len(rows) == len(set(rows))
    for name, published in published_tables("config/published").items():
        printed = {(r, c) for r in published.rows for c in published.columns if published.value(r, c) is not None}
        assert printed <= declared[name], f"{name}: {printed - declared[name]}"


def test_every_published_cell_is_measured_or_says_why_it_cannot_be_compared(paper):
    measured = paper.grid("results", paper.needed_by_all()).measured
    for table in paper.config.tables.values():
        published = load_published(table.published)
        for row in paper.rows(table):
            for column in table.columns:
                if not column.published or published.value(row.published, column.published) is None:
                    continue
                assert column.benchmark in measured[row.model][row.checkpoint], (row.label, column.label)
        for remarks in (published.remarks(r, c) for r in published.rows for c in published.columns):
            assert all(remark.text for remark in remarks if not remark.comparable)


def test_every_open_choice_stands_below_the_tables_that_it_touches(paper):
    """By what a table shows: the sentence of each choice that the paper leaves open."""
    for name, table in paper.config.tables.items():
        notes = " ".join(table.notes)
        benchmarks = {column.benchmark for column in table.columns}
        recipes = {row.recipe for row in paper.rows(table)}
        said = {
            "both are shown, its number beside the raw one": "alpaca_eval" in benchmarks,
            "AlpacaEval at temperature 0.7": bool(benchmarks & {"alpaca_eval", "mt_bench"}),
            "how IFEval's answers were drawn": "ifeval" in benchmarks,
            "one score; the paper does not say what it is compared with": "icl" in recipes,
            "the first ones of each file, whose order and number are not known": True,
            "Total_base trains on 3000 pairs in all": "total_base" in recipes,
            "the 3000 pairs are drawn": bool(recipes & {"direct_20k", "direct_30k"}),
            "Each pair weighs the same": True,
            "in our own words": True,
        }
        assert {sentence: sentence in notes for sentence in said} == said, name
    assert "neither which model its vectors are of" in paper.config.figures["figure_4"].notes[0]
    assert "presumably Total_base" in " ".join(paper.config.yields.notes)


def test_every_claim_is_about_published_cells(paper):
    assert len(paper.config.claims) == 6
    for claim in paper.config.claims.values():
        table = paper.config.tables[claim.table]
        published = load_published(table.published)
        for label in claim.columns:
            column = next(column.published for column in table.columns if column.label == label)
            assert published.value(claim.earlier, column) is not None
            assert published.value(claim.later, column) is not None


def test_models_have_the_papers_iterations(paper):
    iterations = {model: paper.iterations(model, "one_base") for model in paper.config.experiment.models}
    assert list(iterations.values()) == [3, 3, 3, 3, 4, 6, 3]
    assert {paper.iterations(BIG, recipe) for recipe in paper.recipes(BIG) if recipe != "one_base"} == {1, 3}


@pytest.mark.parametrize(
    ("recipe", "iteration", "checkpoint"),
    [
        ("one_last", 1, "one_base/iter1"),
        ("total_base", 1, "one_base/iter1"),
        ("one_last", 2, "one_last/iter2"),
        ("data_20k", 1, "direct_20k/iter1"),
        ("data_20k", 2, "data_20k/iter2"),
        ("threshold_none", 1, "self_instruct/iter1"),
        ("threshold_none", 2, "threshold_none/iter2"),
        ("threshold_0", 3, "no_assessment/iter3"),
        ("quality", 1, "quality/iter1"),
        ("threshold_6", 1, "threshold_6/iter1"),
        ("one_base", 0, "base"),
    ],
)
def test_recipes_share_what_cannot_differ_yet(paper, recipe, iteration, checkpoint):
    assert paper.checkpoint(BIG, recipe, iteration) == checkpoint


def test_recipes_with_more_instructions_draw_a_sample(paper):
    """Else the cap would leave Direct 20k and 30k the very same pairs."""
    ordinary = paper.config.recipes["one_base"].instructions
    more = {name: recipe.training for name, recipe in paper.config.recipes.items() if recipe.instructions > ordinary}
    assert set(more) == {"direct_20k", "direct_30k", *(f"data_{n}0k" for n in range(2, 6))}
    assert {(training.rows, training.max_samples) for training in more.values()} == {("sample", 3000)}


def test_every_checkpoint_is_trained_by_the_recipe_that_owns_it(paper):
    for model, checkpoint in paper.trained():
        recipe, _, iteration = checkpoint.partition("/iter")
        assert paper.checkpoint(model, recipe, int(iteration)) == checkpoint


def test_a_shared_checkpoint_needs_an_owner_with_so_many_iterations(demo):
    demo["recipes"] |= {
        "short": {"extends": "one_base", "iterations": 1},
        "long": {"extends": "one_base", "iterations": 2},
    }
    demo["experiment"]["recipes"] = ["short", "long"]
    matrix = Matrix(load_config(demo, [DEMO]))
    assert matrix.checkpoint("demo", "long", 1) == "short/iter1"
    assert matrix.checkpoint("demo", "long", 2) == "long/iter2"


def test_a_sweep_shows_the_iterations_that_all_its_recipes_have(demo):
    points = [{"recipe": "one_base", "x": "scored"}, {"recipe": "self_instruct", "x": "all"}]
    panels = [{"benchmark": "ifeval", "metric": "prompt_level_strict_acc", "label": "x"}]
    sweep = {"kind": "sweep", "caption": "x", "x_label": "x", "model": "demo", "points": points, "panels": panels}
    for recipe_iterations, shown in ((1, (1,)), (2, (1, 2)), (9, (1, 2, 3))):
        demo["recipes"]["self_instruct"]["iterations"] = recipe_iterations
        demo["figures"]["sweep"] = sweep
        matrix = matrix_of_raw(demo)
        matrix.check()
        assert matrix.figure("sweep").iterations == shown
        assert ("demo", f"one_base/iter{shown[-1]}", "ifeval") in matrix.needed_by_figure("sweep")


def test_only_the_iteration_is_filled_into_a_row_s_name(demo):
    row = {"model": "demo", "recipe": "one_base", "iterations": [1, 2], "label": "{x} {iteration} {} {0.a} {{}}"}
    demo["tables"]["main"]["rows"] = [row]
    matrix = Matrix(load_config(demo, [DEMO]))
    labels = [row.label for row in matrix.rows(matrix.config.tables["main"])]
    assert labels == ["{x} 1 {} {0.a} {{}}", "{x} 2 {} {0.a} {{}}"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            {"recipe": "one_bace", "iterations": [1], "label": "x"},
            "tables.extra.rows.0: found the recipe 'one_bace', but demo goes through one_base, self_instruct; "
            "did you mean 'one_base'?; add it to models.demo.recipes or experiment.recipes; or leave out the row, or "
            "the table (tables: {extra: null}).",
            id="recipe",
        ),
        pytest.param(
            {"model": "dem", "label": "x"},
            "tables.extra.rows.0.model: found 'dem', allowed: demo; did you mean 'demo'?; or leave out the row, or "
            "the table (tables: {extra: null}).",
            id="model",
        ),
        pytest.param(
            {"recipe": "self_instruct", "iterations": [1, 2], "label": "x"},
            "tables.extra.rows.0.iterations: found 2, but self_instruct on demo has iterations 1 to 1; correct it, or "
            "raise the iterations; or leave out the row, or the table (tables: {extra: null}).",
            id="iteration",
        ),
    ],
)
def test_a_row_that_the_experiment_does_not_have_is_one_sentence(demo, change, sentence):
    demo["tables"]["extra"] = {
        "caption": "x",
        "columns": [{"benchmark": "choice", "metric": "acc", "label": "acc"}],
        "rows": [{"model": "demo"} | change],
    }
    with pytest.raises(InputError) as error:
        Matrix(load_config(demo, [DEMO])).check()
    assert str(error.value) == sentence


def test_a_metric_that_nobody_computes_is_refused_at_the_start(demo):
    demo["tables"]["main"]["columns"][0] = {"benchmark": "alpaca_eval", "metric": "win_rat", "label": "w"}
    with pytest.raises(InputError, match=r"tables.main.columns: found 'win_rat', allowed: win_rate, .*did you mean"):
        load_config(demo, [DEMO])


@pytest.mark.parametrize(
    ("row", "column", "sentence"),
    [
        (
            {"label": "x", "published": "1.8B base", "iterations": [1, 2], "recipe": "one_base"},
            {},
            r"tables.main: 2 rows \(x, x\) name the published row '1.8B base'; leave it to one",
        ),
        ({"label": "x"}, {"metric": "{which}"}, r"tables.main: column 'w': the metric '{which}' cannot be filled"),
    ],
)
def test_a_table_that_cannot_be_made_is_refused_at_the_start(demo, row, column, sentence):
    demo["tables"]["main"] = {
        "caption": "x",
        "columns": [{"benchmark": "alpaca_eval", "metric": "win_rate", "label": "w"} | column],
        "rows": [{"model": "demo"} | row],
        "published": "config/published/table_1.csv",
    }
    with pytest.raises(InputError, match=sentence):
        Matrix(load_config(demo, [DEMO])).check()


@pytest.fixture
def judged(demo):
    """The demo with a table of one row that a judge rates, and one of all rows by multiple choice."""
    demo["tables"] = {
        "choice": {"caption": "x", "columns": [{"benchmark": "choice", "metric": "acc", "label": "c"}]},
        "judged": {
            "caption": "x",
            "columns": [
                {"benchmark": "alpaca_eval", "metric": "win_rate", "label": "w"},
                {"benchmark": "alpaca_eval", "metric": "n_wins", "label": "n"},
                {"benchmark": "choice", "metric": "acc", "label": "c"},
            ],
            "rows": [{"model": "demo", "recipe": "one_base", "iterations": [2], "label": "{iteration}"}],
            "notes": ["y"],
        },
    }
    return demo


def test_where_the_experiment_names_no_benchmarks_tables_have_measured_what_they_show(judged):
    judged["experiment"]["benchmarks"] = None
    matrix = Matrix(load_config(judged, [DEMO]))
    measured = matrix.grid("results", matrix.needed_by_all()).measured["demo"]
    assert measured.pop("one_base/iter2") == ("choice", "alpaca_eval")
    assert set(measured.values()) == {("choice",)}
    assert matrix.table("judged") == matrix.config.tables["judged"]


def test_no_table_makes_a_benchmark_run_that_the_experiment_leaves_out(judged):
    judged["experiment"]["benchmarks"] = ["choice"]
    matrix = Matrix(load_config(judged, [DEMO]))
    assert matrix.benchmarks() == ["choice"]
    assert matrix.judging_models() == []
    assert matrix.needed_by_table("judged") == [("demo", "one_base/iter2", "choice")]
    assert matrix.table("judged").notes == (
        "w, n: not measured, since alpaca_eval is not in experiment.benchmarks.",
        "y",
    )
    assert matrix.unmeasured_warnings()[-1] == (
        "tables.judged: w, n will show dashes, since alpaca_eval is not in experiment.benchmarks; to measure it, write "
        "`experiment: {benchmarks: [choice, alpaca_eval]}`."
    )


@pytest.mark.parametrize(
    ("figure", "drop"),
    [
        ({"kind": "share", "recipe": "self_instruct"}, "; or leave out the figure (figures: {f: null})."),
        (
            {
                **{"kind": "sweep", "x_label": "x", "iterations": [1]},
                "points": [{"x": "1", "recipe": "one_base"}, {"x": "2", "recipe": "self_instruct"}],
                "panels": [{"benchmark": "choice", "metric": "acc", "label": "x"}],
            },
            "; or leave out the point, or the figure (figures: {f: null}).",
        ),
    ],
    ids=["share", "sweep"],
)
def test_a_figure_of_a_recipe_that_was_removed_says_how_to_drop_it(demo, figure, drop):
    demo["experiment"]["recipes"] = ["one_base"]
    demo["figures"] = {"f": {"caption": "x", "model": "demo"} | figure}
    with pytest.raises(InputError) as error:
        Matrix(load_config(demo, [DEMO])).check()
    assert str(error.value) == (
        "figures.f: found the recipe 'self_instruct', but demo goes through one_base; add it to models.demo.recipes or "
        f"experiment.recipes{drop}"
    )


def test_a_figure_of_a_benchmark_that_the_experiment_leaves_out_says_how_to_drop_it(demo):
    demo["experiment"]["benchmarks"] = ["choice"]
    demo["figures"]["sweep"] = {
        **{"kind": "sweep", "caption": "x", "x_label": "x", "model": "demo"},
        "points": [{"x": "1", "recipe": "one_base"}],
        "panels": [{"benchmark": "ifeval", "metric": "prompt_level_strict_acc", "label": "x"}],
    }
    with pytest.raises(InputError, match=r"figures.sweep.panels: 'ifeval' is not in .*\(figures: {sweep: null}\)"):
        load_config(demo, [DEMO])


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("1.8B base,", "1.8B iter1,", r"table_1.csv: line 3 .*1.8B iter1"),
        ("15.53", "15,53", r"table_1.csv: line 3"),
        ("1.8B iter2,", "1.8B iter22,", r"table_1.csv: it has no row '1.8B iter2'; did you mean"),
    ],
)
def test_broken_published_numbers_are_refused_at_the_start(tmp_path, monkeypatch, old, new, sentence):
    for folder in ("config", "results"):
        (tmp_path / folder).mkdir()
    shutil.copytree("config/published", tmp_path / "config/published")
    raw, table = yaml.safe_load(Path(PAPER).read_text()), tmp_path / "config/published/table_1.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    config = load_config(raw, [PAPER])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        Matrix(config).check()


def test_two_judges_are_asked_about_the_rows_of_their_table_and_nothing_is_answered_twice(demo):
    demo["benchmarks"]["again"] = demo["benchmarks"]["mt_bench"] | {"answers_of": "mt_bench"}
    demo["experiment"]["benchmarks"] = []
    demo["tables"] = {}
    rows = [{"model": "demo", "recipe": "one_base", "iterations": [1, 2], "label": "iter{iteration}"}]
    demo["agreements"] = {"judges": {"caption": "x", "benchmarks": ["mt_bench", "again"], "rows": rows}}
    matrix = Matrix(load_config(demo, [DEMO]))
    matrix.check()
    cells = [("demo", f"one_base/iter{t}", benchmark) for t in (1, 2) for benchmark in ("mt_bench", "again")]
    assert matrix.needed_by_agreement("judges") == matrix.needed_by_all() == cells
    assert matrix.benchmarks() == ["mt_bench", "again"]
    demo["agreements"] = {}
    demo["experiment"]["benchmarks"] = ["again"]
    assert matrix_of_raw(demo).benchmarks() == ["again", "mt_bench"], "its answers are those of mt_bench"
    demo["agreements"] = {"judges": {"caption": "x", "benchmarks": ["mt_bench", "again"], "rows": rows}}
    rows[0]["iterations"] = [4]
    with pytest.raises(InputError, match=r"agreements.judges.rows.0.iterations: found 4"):
        matrix_of_raw(demo).check()


def test_a_claim_about_a_row_that_its_table_lacks_is_refused(demo):
    demo["tables"]["main"] |= {
        "rows": [{"model": "demo", "label": "base", "published": "1.8B base"}],
        "published": "config/published/table_1.csv",
    }
    demo["claims"] = {
        "gain": {
            "text": "x",
            "printed": "1",
            "kind": "absolute",
            "table": "main",
            "columns": ["multiple choice"],
            "earlier": "1.8B base",
            "later": "1.8B bass",
        }
    }
    with pytest.raises(InputError, match=r"claims.gain: found the row '1.8B bass', .*did you mean '1.8B base'"):
        Matrix(load_config(demo, [DEMO])).check()


CASES = {"caption": "x", "model": "demo", "recipe": "one_base", "iterations": [1]}


@pytest.mark.parametrize(
    ("key", "change", "sentence"),
    [
        ("cases", {"iterations": [4]}, r"cases.extra.iterations: found 4, but one_base on demo has iterations 1 to 3"),
        ("cases", {"criteria": ["qualiti"]}, r"cases.extra.criteria: found 'qualiti', .*did you mean 'quality'"),
        ("cases", {"recipe": "self_instruct"}, r"cases.extra.criteria: found 'quality', but .* scores none is defined"),
        ("tables", {"empty": ["avrage"]}, r"tables.main.rows.0.empty: found 'avrage', allowed: average; did you mean"),
    ],
)
def test_a_table_of_pairs_or_an_empty_cell_that_cannot_be_is_refused(demo, key, change, sentence):
    if key == "cases":
        demo["cases"] = {"extra": CASES | change}
    else:
        column = {"benchmark": "mt_bench", "metric": "average", "label": "average"}
        rows = [{"model": "demo", "label": "base"} | change]
        demo["tables"]["main"] = {"caption": "x", "columns": [column], "rows": rows}
    with pytest.raises(InputError, match=sentence):
        Matrix(load_config(demo, [DEMO])).check()


def instructions_of(demo, counts, shard_size=1000):
    """The sizes of the base model's shards where recipes ask for so many instructions."""
    demo["instructions"]["shard_size"] = shard_size
    demo["recipes"] |= {name: {"extends": "one_base", "instructions": count} for name, count in counts.items()}
    demo["experiment"] |= {"recipes": list(counts), "iterations": 2}
    return Matrix(load_config(demo, [DEMO]))


def sizes(matrix, checkpoint, shards):
    return [matrix.shard_size("demo", checkpoint, shard) for shard in range(shards)]


def test_a_shard_is_never_larger_than_what_is_asked(demo):
    matrix = instructions_of(demo, {"few": 40, "more": 250}, shard_size=100)
    assert sizes(matrix, "base", 3) == [100, 100, 50], "as many as the recipe that asks for the most"
    assert sizes(matrix, "few/iter1", 1) == [40]
    assert sizes(matrix, "more/iter1", 3) == [100, 100, 50]


def test_raising_the_instructions_adds_to_the_last_shard_and_behind_it(demo):
    assert sizes(instructions_of(copy.deepcopy(demo), {"one": 250}, 100), "base", 3) == [100, 100, 50]
    assert sizes(instructions_of(demo, {"one": 420}, 100), "base", 5) == [100, 100, 100, 100, 20]


def test_a_shard_that_nothing_asks_for_is_an_error(demo):
    with pytest.raises(
        InputError, match="demo base: nothing asks for shard 1, since 40 instructions in shards of 1000"
    ):
        instructions_of(demo, {"few": 40}).shard_size("demo", "base", 1)


@pytest.mark.parametrize("file", [PAPER, "config/demo_matrix.yaml", DEMO])
def test_the_shards_of_the_shipped_configurations_are_all_full(file):
    matrix = matrix_of(file)
    full = matrix.config.instructions.shard_size
    for model in matrix.config.experiment.models:
        for recipe in matrix.recipes(model):
            for iteration in range(1, matrix.iterations(model, recipe)):
                checkpoint = matrix.checkpoint(model, recipe, iteration)
                assert {matrix.shard_size(model, checkpoint, shard) for shard in matrix.shards(recipe)} == {full}


def test_a_recipe_that_is_sure_to_end_during_its_warm_up_is_named_before_anything_starts(demo):
    demo["recipes"]["one_base"]["training"] |= {"warmup_steps": 20, "epochs": 2, "batch_size": 16}
    matrix = instructions_of(demo, {"few": 160, "more": 176})
    assert [warning.partition(" steps of")[0] for warning in matrix.warm_up_warnings()] == [
        "recipes.few: even if every pair is kept, 160 pairs make only 20"
    ]


@pytest.mark.parametrize("file", [PAPER, "config/demo_matrix.yaml", DEMO])
def test_the_shipped_configurations_can_reach_their_learning_rates(file):
    assert matrix_of(file).warm_up_warnings() == []
    assert matrix_of(file).unmeasured_warnings() == []


CURVE = {
    "kind": "curve",
    "caption": "x",
    "panels": [{"benchmark": "ifeval", "metric": "prompt_level_strict_acc", "label": "strict"}],
}


def curve_of(demo, **keys):
    matrix = Matrix(load_config(demo | {"figures": {"curve": CURVE | keys}}, [DEMO]))
    matrix.check()
    return matrix


def test_a_curve_has_a_line_for_each_recipe_from_the_base_on(demo):
    points = curve_of(demo).curve_points("curve")
    assert [(p["line"], p["iteration"], p["checkpoint"]) for p in points] == [
        ("one_base", 0, "base"),
        *(("one_base", t, f"one_base/iter{t}") for t in (1, 2, 3)),
        ("self_instruct", 0, "base"),
        ("self_instruct", 1, "self_instruct/iter1"),
    ]
    assert {point["line"] for point in curve_of(demo, recipes=["one_base"]).curve_points("curve")} == {"one_base"}


def test_lines_of_several_models_name_theirs_and_one_without_recipes_has_its_base(demo):
    demo["models"]["other"] = demo["models"]["demo"] | {"recipes": []}
    demo["experiment"]["models"] = ["demo", "other"]
    lines = {point["line"] for point in curve_of(demo).curve_points("curve")}
    assert lines == {"demo one_base", "demo self_instruct", "other base"}


def test_what_a_curve_shows_is_measured(demo):
    demo["experiment"]["benchmarks"] = None
    matrix = curve_of(demo | {"tables": {}}, recipes=["self_instruct"])
    assert matrix.needed_by_all() == [("demo", "base", "ifeval"), ("demo", "self_instruct/iter1", "ifeval")]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"models": ["dem"]}, r"figures\.curve\.models: found 'dem', allowed: demo; did you mean 'demo'\?"),
        ({"recipes": ["two"]}, r"figures\.curve\.recipes: found 'two', allowed: one_base, self_instruct"),
    ],
)
def test_a_curve_of_what_takes_no_part_is_refused(demo, keys, sentence):
    with pytest.raises(InputError, match=sentence):
        curve_of(demo, **keys)


def test_a_curve_has_no_more_lines_than_can_be_told_apart(demo):
    demo["recipes"] |= {f"r{n}": {"extends": "one_base"} for n in range(5)}
    demo["experiment"]["recipes"] += [f"r{n}" for n in range(5)]
    with pytest.raises(InputError, match=r"figures\.curve: it has 7 lines.* figures: \{curve: null\}"):
        curve_of(demo)
