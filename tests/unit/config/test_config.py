"""A mistake in the configuration is one sentence: file, key, what was found, what is allowed, the nearest spelling."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from isheep.config.loading import check_files, config_schema, load_config
from isheep.config.machine import left_out
from isheep.files.records import InputError

DEMO = Path("config/config.yaml")


PROGRAMS = {"kind": "programs", "format": "mbpp", "problems": "mbpp.jsonl"}


@pytest.fixture
def raw():
    return yaml.safe_load(DEMO.read_text())


def complaint(raw, tmp_path, change):
    """The sentence about a configuration file after `change` was made to its content."""
    changed = copy.deepcopy(raw)
    change(changed)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(changed))
    with pytest.raises(InputError) as error:
        load_config(changed, [file])
    sentence = str(error.value)
    assert sentence.startswith(f"{file}: "), sentence
    assert "\n" not in sentence
    return sentence.removeprefix(f"{file}: ")


def test_the_demo_is_valid_and_its_files_are_too(raw):
    check_files(load_config(raw, [DEMO]), raw["experiment"]["benchmarks"])


def test_the_papers_suite_is_valid(raw):
    suite = Path("config/suite.yaml")
    names = yaml.safe_load(suite.read_text())["benchmarks"]
    raw["benchmarks"] |= names
    raw["experiment"]["benchmarks"] = [*dict.fromkeys([*raw["experiment"]["benchmarks"], *names])]
    check_files(load_config(raw, [DEMO, suite]), list(names))
    assert {"boolq", "mmlu", "squadv2", "humaneval", "mbpp", "ifeval"} <= set(names)


def test_paper_values_are_the_defaults(raw):
    recipe = {"one_base": {}}
    config = load_config(raw | {"recipes": recipe, "experiment": raw["experiment"] | {"recipes": ["one_base"]}}, [DEMO])
    one_base = config.recipes["one_base"]
    assert (one_base.instructions, one_base.selection.threshold, one_base.judge) == (10_000, 8, "current")
    training = one_base.training
    assert (training.lora.rank, training.lora.alpha, training.lora.dropout) == (8, 16, 0.05)
    assert (training.learning_rate, training.epochs, training.max_length, training.max_samples) == (
        5e-5,
        2,
        1024,
        3000,
    )


def test_recipe_takes_from_the_one_it_extends_what_it_does_not_say(raw):
    config = load_config(raw, [DEMO])
    one_base, self_instruct = config.recipes["one_base"], config.recipes["self_instruct"]
    assert self_instruct.selection.method == "none"
    assert self_instruct.training == one_base.training


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda c: c["recipes"]["one_base"]["selection"].update(tresholds=3),
            ["unknown key 'recipes.one_base.selection.tresholds'", "did you mean 'threshold'?"],
        ),
        (
            lambda c: c["recipes"]["one_base"]["selection"].update(threshold=11),
            ["recipes.one_base.selection.threshold", "found 11", "less than or equal to 9"],
        ),
        (
            lambda c: c["experiment"].update(iterations=0),
            ["experiment.iterations", "found 0", "greater than or equal"],
        ),
        (
            lambda c: c["experiment"].update(models=["dmeo"]),
            ["experiment.models", "found 'dmeo'", "allowed: demo", "did you mean 'demo'?"],
        ),
        (
            lambda c: c["experiment"].update(recipes=["one_bas"]),
            [
                "experiment.recipes",
                "found 'one_bas'",
                "allowed: one_base, self_instruct",
                "did you mean 'one_base'?",
            ],
        ),
        (
            lambda c: c["engine"].update(kind="vlm"),
            ["engine.kind", "found 'vlm'", "'transformers' or 'vllm'"],
        ),
        (lambda c: c.pop("models"), ["experiment.models", "found 'demo'", "add it to models"]),
        (lambda c: c["experiment"].pop("name"), ["the key 'experiment.name' is missing", "results/<name>/"]),
        (
            lambda c: c["recipes"]["self_instruct"].update(extends="one_bsae"),
            ["recipes.self_instruct.extends", "found 'one_bsae'", "did you mean 'one_base'?"],
        ),
        (
            lambda c: c["recipes"]["one_base"].update(extends="self_instruct"),
            ["extend each other in a circle"],
        ),
        (
            lambda c: c["recipes"]["one_base"].update(assessment="combind"),
            ["recipes.one_base.assessment", "did you mean 'combined'?"],
        ),
        (
            lambda c: c["recipes"]["one_base"]["selection"].update(criteria=["quality", "folowing"]),
            ["recipes.one_base.selection.criteria", "did you mean 'following'?"],
        ),
        (
            lambda c: c["models"]["demo"].update(source="hub"),
            ["models.demo", "source hub needs the key 'repository'"],
        ),
        (
            lambda c: c["tables"]["main"]["columns"][0].update(benchmark="ifevla"),
            ["tables.main.columns", "found 'ifevla'", "did you mean 'ifeval'?"],
        ),
        (
            lambda c: c["tables"]["main"]["columns"][0].update(lable="x"),
            ["unknown key 'tables.main.columns.0.lable'", "did you mean 'label'?"],
        ),
        (
            lambda c: c["tables"]["main"].update(rows=[{"model": "demo", "label": "x", "iteration": 1}]),
            [
                "unknown key 'tables.main.rows.0.iteration'",
                "allowed here: model, recipe,",
                "did you mean 'iterations'?",
            ],
        ),
        (
            lambda c: c["judges"]["demo"].update(api={"base_ulr": "x"}, model=None),
            ["unknown key 'judges.demo.api.base_ulr'", "allowed here: model", "did you mean 'base_url'?"],
        ),
        (
            lambda c: c.update(baselines={"b": {"benchmarks": {"mt_bench": {"answers": "a.jsonl", "missing": 2}}}}),
            ["baselines.b.benchmarks.mt_bench.missing: only AlpacaEval's files may lack items; remove it"],
        ),
        (
            lambda c: c.update(recipes=[1]),
            ["recipes: found [1], but it must be keys and values (The recipes, by name; "],
        ),
        (
            lambda c: c["recipes"]["one_base"].update(training=3),
            ["recipes.one_base.training: found 3, but it must be keys and values (Fine-tuning)."],
        ),
        (
            lambda c: c["experiment"].update(models="demo"),
            ["experiment.models: found 'demo', but it must be a list (Which of "],
        ),
        (
            lambda c: c["experiment"].update(seeds=None),
            ["experiment.seeds: found null, but it must be a list (One replicate of everything per seed"],
        ),
        (
            lambda c: c["experiment"].update(iterations="three"),
            ["experiment.iterations: found 'three', but it must be a whole number."],
        ),
        (
            lambda c: c["judges"]["demo"].update(chat="no way"),
            ["judges.demo.chat: found 'no way', but it must be true"],
        ),
        (
            lambda c: c["benchmarks"]["mt_bench"].update(answers_of="alpaca_eval"),
            ["mt_bench.answers_of: found 'alpaca_eval', but it must be a benchmark of kind mt_bench that has"],
        ),
        (
            lambda c: c["benchmarks"]["mt_bench"].update(answers_of="mt_bensh"),
            ["benchmarks.mt_bench.answers_of", "found 'mt_bensh'", "did you mean 'mt_bench'?"],
        ),
        (
            lambda c: c.update(agreements={"two": {"caption": "x", "benchmarks": ["mt_bench", "alpaca_eval"]}}),
            ["agreements.two.benchmarks: both must judge the same answers; give alpaca_eval the key answers_of"],
        ),
        (
            lambda c: c.update(agreements={"main": {"caption": "x", "benchmarks": ["mt_bench", "alpaca_eval"]}}),
            ["agreements.main: 'main' is the name of a table, choose another name"],
        ),
        (
            lambda c: (
                c["benchmarks"].update(again=c["benchmarks"]["mt_bench"] | {"answers_of": "mt_bench"}),
                c.update(
                    baselines={"b": {"benchmarks": {"mt_bench": {"answers": "a"}, "again": {"answers": "other"}}}},
                ),
            ),
            ["baselines.b.benchmarks.again.answers: again judges the answers of mt_bench; give both the same file"],
        ),
        (lambda c: c["recipes"].update(base={}), ["recipes.base: 'base' is the folder of the untouched base model"]),
        *(
            (
                lambda c, name=name: c["models"].update({name: c["models"]["demo"]}),
                [f"models.{name}: '{name}' is a folder of every experiment's results, choose another name"],
            )
            for name in ("tables", "baselines", "figures", "logs", "test_items")
        ),
        (
            lambda c: c["experiment"].update(name="fetched"),
            ["experiment.name: 'fetched' is the folder of what was fetched, choose another name"],
        ),
        (lambda c: c["tables"].update(data=c["tables"]["main"]), ["tables.data: 'data' is a table that every exper"]),
        (
            lambda c: c["figures"].update(main=c["figures"]["figure_3"]),
            ["figures.main: 'main' is the name of a table, choose another name"],
        ),
        (
            lambda c: c["instructions"]["filters"].update(near_duplicate_threshold=7),
            ["instructions.filters.near_duplicate_threshold", "found 7"],
        ),
    ],
)
def test_mistake_is_one_sentence(raw, tmp_path, change, parts):
    sentence = complaint(raw, tmp_path, change)
    for part in parts:
        assert part in sentence


def test_a_key_that_stands_twice_is_refused_with_its_lines(raw, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("experiment:\n  name: x\n  seeds: [1]\n  name: y\n")
    with pytest.raises(InputError) as error:
        load_config(raw, [DEMO, file])
    assert str(error.value) == f"{file}: line 4 has the key 'name', which line 2 has already; remove one of them."
    file.write_text("experiment: {name: x}\nmodels: {}\nexperiment: {seeds: [2]}\n")
    with pytest.raises(InputError, match="line 3 has the key 'experiment', which line 1 has already"):
        load_config(raw, [DEMO, file])


def test_a_key_may_stand_in_several_mappings_and_above_a_merged_one(raw, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("experiment: &a {name: x}\nruntime: {threads: 2}\nfetch: {<<: {mirror: a}, mirror: b}\n")
    raw |= {"runtime": {"threads": 2}, "fetch": {"mirror": "b"}}
    assert load_config(raw, [DEMO, file]).fetch.mirror == "b"


@pytest.mark.parametrize(
    ("change", "key", "found"),
    [
        (lambda c: c["experiment"].update(seeds=[1, 2, 1]), "experiment.seeds", "1"),
        (lambda c: c["experiment"].update(models=["demo"] * 2), "experiment.models", "'demo'"),
        (lambda c: c["experiment"].update(recipes=["one_base"] * 2), "experiment.recipes", "'one_base'"),
        (lambda c: c["experiment"].update(benchmarks=["ifeval"] * 2), "experiment.benchmarks", "'ifeval'"),
        (lambda c: c["experiment"].update(baselines=["x"] * 2), "experiment.baselines", "'x'"),
        (lambda c: c["models"]["demo"].update(recipes=["one_base"] * 2), "models.demo.recipes", "'one_base'"),
        (
            lambda c: c["recipes"]["one_base"]["selection"].update(criteria=["quality"] * 2),
            "recipes.one_base.selection.criteria",
            "'quality'",
        ),
        (lambda c: c["benchmarks"]["ifeval"].update(metrics=["m", "m"]), "benchmarks.ifeval.metrics", "'m'"),
        (lambda c: c["benchmarks"]["ifeval"].update(exclude={"key": [3, 3]}), "benchmarks.ifeval.exclude.key", "3"),
        (
            lambda c: c["benchmarks"].update(p=PROGRAMS | {"samples": 2, "temperature": 1, "k": [1, 1]}),
            "benchmarks.p.k",
            "1",
        ),
        (lambda c: c["benchmarks"].update(p=PROGRAMS | {"shots": [2, 3, 2]}), "benchmarks.p.shots", "2"),
        (
            lambda c: c["tables"]["main"].update(rows=[{"model": "demo", "label": "x", "iterations": [0, 0]}]),
            "tables.main.rows.0.iterations",
            "0",
        ),
    ],
)
def test_a_value_that_stands_twice_in_a_list_is_refused(raw, tmp_path, change, key, found):
    sentence = f"{key}: found {found} more than once, but each may stand there once; remove the others."
    assert complaint(raw, tmp_path, change) == sentence


def test_rows_that_are_the_same_and_columns_that_have_one_label_are_refused(raw, tmp_path):
    row = {"model": "demo", "label": "x"}
    alike = "numbers 0 and 2 alike, but each may stand there once; remove the others."
    rows = [row, row | {"label": "y"}, row]
    sentence = complaint(raw, tmp_path, lambda c: c["tables"]["main"].update(rows=rows))
    assert sentence == f"tables.main.rows: found {alike}"
    column = {"benchmark": "ifeval", "metric": "prompt_level_strict_acc", "label": "IFEval"}
    columns = [column, column | {"metric": "prompt_level_loose_acc"}]
    sentence = complaint(raw, tmp_path, lambda c: c["tables"]["main"].update(columns=columns))
    assert sentence == (
        "tables.main.columns: found the label 'IFEval' more than once, but each must have its own; change it."
    )


@pytest.mark.parametrize(("labels", "second"), [(["A", "A n"], "A n"), (["model"], "model"), (["A n", "A"], "A n")])
def test_labels_that_share_a_column_of_the_csv_are_refused(raw, tmp_path, labels, second):
    column = {"benchmark": "ifeval", "metric": "prompt_level_strict_acc"}
    columns = [column | {"label": label} for label in labels]
    sentence = complaint(raw, tmp_path, lambda c: c["tables"]["main"].update(columns=columns))
    assert sentence == f"tables.main: columns: {labels[-1]!r} would have a second {second!r} in the csv; rename it."


def test_the_file_that_holds_the_mistake_is_named(raw, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("experiment: {iterations: 0}")
    raw["experiment"]["iterations"] = 0
    with pytest.raises(InputError, match=r"overlay\.yaml: experiment\.iterations"):
        load_config(raw, [DEMO, overlay])


def test_a_mistake_taken_from_an_extended_recipe_names_the_file_that_holds_it(raw, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("experiment: {name: other}")
    raw["recipes"]["one_base"]["instructions"] = 0
    with pytest.raises(InputError, match=r"config\.yaml: recipes\.one_base\.instructions: found 0"):
        load_config(raw, [DEMO, other])


def test_missing_file_is_named_with_its_key(raw):
    raw["instructions"]["seed_tasks"] = "config/demo/sed_tasks.jsonl"
    with pytest.raises(InputError, match=r"instructions\.seed_tasks: the file config/demo/sed_tasks\.jsonl does not"):
        check_files(load_config(raw, [DEMO]), raw["experiment"]["benchmarks"])


FIGURE = {"kind": "share", "caption": "x", "model": "demo", "recipe": "one_base"}


@pytest.mark.parametrize(
    ("figure", "sentence"),
    [
        (FIGURE | {"treshold": 7}, "unknown key 'figures.f.treshold'; allowed here: kind, caption, model, recipe, "),
        (FIGURE | {"kind": "shares"}, "figures.f.kind: found 'shares', allowed: sweep, curve, share, projection."),
        (FIGURE | {"threshold": 10}, "figures.f.threshold: found 10, but it must be less than or equal to 9."),
    ],
)
def test_a_wrong_figure_is_one_sentence(raw, tmp_path, figure, sentence):
    assert complaint(raw, tmp_path, lambda raw: raw.update(figures={"f": figure})).startswith(sentence)


def test_included_files_lie_below_the_file_that_includes_them(raw, tmp_path):
    below, mine = tmp_path / "below.yaml", tmp_path / "mine.yaml"
    below.write_text(yaml.safe_dump(raw | {"include": [str(DEMO)], "experiment": raw["experiment"] | {"name": "x"}}))
    mine.write_text(yaml.safe_dump({"include": [str(below)], "experiment": {"seeds": [7]}}))
    config = load_config(yaml.safe_load(mine.read_text()), [mine])
    assert (config.experiment.name, config.experiment.seeds) == ("x", (7,))
    below.write_text(yaml.safe_dump(raw | {"experiment": raw["experiment"] | {"sedes": [1]}}))
    with pytest.raises(InputError, match=rf"{below}: unknown key 'experiment.sedes'"):
        load_config(yaml.safe_load(mine.read_text()), [mine])
    below.unlink()
    with pytest.raises(InputError, match=rf"{mine}: include: the file {below} does not exist"):
        load_config(yaml.safe_load(mine.read_text()), [mine])


def test_files_that_include_each_other_are_refused(raw, tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(yaml.safe_dump({"include": [str(second)]}))
    second.write_text(yaml.safe_dump({"include": [str(first)]}))
    with pytest.raises(InputError, match=rf"{second}: include: the files {first} → {second} → {first} include each"):
        load_config(raw, [first])


def test_null_removes_a_table_or_a_figure(raw):
    raw["tables"]["main"] = raw["figures"]["figure_3"] = None
    raw["agreements"] = {"judges": None}
    config = load_config(raw, [DEMO])
    assert (config.tables, config.figures, config.agreements) == ({}, {}, {})


def test_schema_file_is_up_to_date_and_describes_every_key():
    written = json.loads(Path("config/schema.json").read_text())
    assert written == config_schema(), "config/schema.json is out of date: type `make schema`"
    models = [written, *written["$defs"].values()]
    undescribed = [
        (model["title"], key)
        for model in models
        for key, field in model.get("properties", {}).items()
        if "description" not in field
    ]
    assert undescribed == []


def test_a_small_shard_continues_prompts_in_proportion(raw):
    raw["instructions"] |= {"shard_size": 1000, "prompts_per_shard": 150}
    asked = load_config(raw, [DEMO]).instructions
    assert [asked.prompts(count) for count in (1000, 40, 1)] == [(150, 600), (6, 24), (1, 1)]
    raw["instructions"]["max_prompts_per_shard"] = 200
    assert load_config(raw, [DEMO]).instructions.prompts(40) == (6, 8)


def test_a_bound_of_prompts_below_their_beginning_is_refused(raw, tmp_path):
    sentence = complaint(raw, tmp_path, lambda c: c["instructions"].update(max_prompts_per_shard=9))
    assert "max_prompts_per_shard: found 9, which is less than prompts_per_shard 160" in sentence


MODEL = {"source": "folder", "path": "models/mine"}
LINES = {"experiment": {"name": "x"}, "models": {"m": MODEL}, "recipes": {"one_base": {}}}


def loaded(raw, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(raw))
    return load_config(raw, [file])


def test_a_name_a_model_and_a_recipe_are_a_configuration(tmp_path):
    config = loaded(LINES, tmp_path)
    assert (config.experiment.models, config.experiment.recipes) == (("m",), ("one_base",))
    assert config.experiment.benchmarks
    for name in config.experiment.benchmarks:
        benchmark = config.benchmarks[name]
        assert (benchmark.kind, benchmark.hub, benchmark.nltk) == ("lm_eval", (), False), "no judge, no network"
        assert all(Path(file).is_file() for file in benchmark.files)
    assert Path(config.instructions.seed_tasks).is_file()
    assert "main" in config.tables
    assert [figure.kind for figure in config.figures.values()] == ["curve"]
    assert config.assessment.prompts["combined"].keys() == {"quality", "following"}


def test_the_shipped_example_is_ten_lines_and_the_same(tmp_path):
    mine = Path("config/mine.yaml")
    lines = [line for line in mine.read_text().splitlines() if line.split("#")[0].strip()]
    assert len(lines) <= 10
    config = load_config(yaml.safe_load(mine.read_text()), [mine])
    assert config.recipes["one_base"].training.method == "lora"
    assert config.benchmarks == loaded(LINES, tmp_path).benchmarks


def test_benchmarks_of_ones_own_take_the_place_of_the_defaults_unless_they_are_included(tmp_path):
    own = {"own": {"kind": "lm_eval", "task": "own"}}
    config = loaded(LINES | {"benchmarks": own}, tmp_path)
    assert (list(config.benchmarks), config.tables, config.figures) == (["own"], {}, {})
    config = loaded(LINES | {"benchmarks": own, "include": ["config/defaults.yaml"]}, tmp_path)
    assert {"own", *config.experiment.benchmarks} == set(config.benchmarks)
    assert "own" not in config.experiment.benchmarks


def test_what_takes_part_can_be_named_and_models_that_judge_take_none(tmp_path):
    more = {"models": {"m": MODEL, "j": MODEL}, "judges": {"own": {"model": "j"}}}
    assert loaded(LINES | more, tmp_path).experiment.models == ("m",)
    config = loaded(LINES | more | {"experiment": {"name": "x", "models": ["j"], "recipes": []}}, tmp_path)
    assert (config.experiment.models, config.experiment.recipes) == (("j",), ())


def test_recipes_and_models_of_included_files_take_part(tmp_path):
    (tmp_path / "recipes.yaml").write_text(yaml.safe_dump({"recipes": {"a": {}, "b": {"extends": "a"}}}))
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"models": {"n": MODEL}}))
    include = [str(tmp_path / "recipes.yaml"), str(tmp_path / "models.yaml")]
    for own, taking_part in (({}, ("a", "b")), ({"c": {"extends": "b"}}, ("a", "b", "c"))):
        config = loaded(LINES | {"include": include, "recipes": own}, tmp_path)
        assert (config.experiment.models, config.experiment.recipes) == (("n", "m"), taking_part)
    named = LINES | {"include": include, "experiment": {"name": "x", "recipes": ["b"]}}
    assert loaded(named, tmp_path).experiment.recipes == ("b",)


def test_of_the_papers_recipes_those_take_part_that_are_named_or_declared(tmp_path):
    included = LINES | {"include": ["config/recipes.yaml"], "recipes": {"own": {"extends": "one_last"}}}
    assert loaded(included, tmp_path).experiment.recipes == ("own",)
    smaller = included | {"recipes": {"one_last": {"instructions": 9}}}
    assert loaded(smaller, tmp_path).experiment.recipes == ("one_last",)
    above_paper = {"include": ["config/paper.yaml"], "models": {"qwen1.5-4b": {"parameters": 3}}}
    config = loaded(above_paper, tmp_path)
    assert len(config.experiment.models) == 7
    assert config.experiment.recipes == ("one_base",)


def test_recipes_of_which_none_would_take_part_are_refused(tmp_path):
    none = LINES | {"include": ["config/recipes.yaml"], "recipes": {}}
    with pytest.raises(InputError, match=r"mine\.yaml: experiment\.recipes: missing, .* name some of one_base, "):
        loaded(none, tmp_path)
    only_base = none | {"experiment": {"name": "x", "recipes": []}}
    assert loaded(only_base, tmp_path).experiment.recipes == ()


def test_what_a_configuration_leaves_out_of_hardware_stays_left_out(tmp_path):
    assert left_out(loaded(LINES, tmp_path).hardware) == ["gpus_per_node", "gpu_memory_gib", "node_memory_gib"]
    given = LINES | {"hardware": {"gpus_per_node": 8, "node_memory_gib": None}}
    assert left_out(loaded(given, tmp_path).hardware) == ["gpu_memory_gib"]


@pytest.mark.parametrize("file", ["config/config.yaml", "config/demo_matrix.yaml", "config/paper.yaml"])
def test_shipped_configurations_are_planned_alike_on_every_machine(file):
    assert left_out(load_config(yaml.safe_load(Path(file).read_text()), [file]).hardware) == []


SAMPLED = {
    "instructions.sampling": ("instructions", "sampling"),
    "responses.sampling": ("responses", "sampling"),
    "assessment.sampling": ("assessment", "sampling"),
    "alpaca_eval": ("benchmarks", "alpaca_eval", "sampling"),
    "mt_bench": ("benchmarks", "mt_bench", "judge_sampling"),
}
"""Where sampling is configured."""


def sampling_at(config, keys):
    for key in keys:
        config = config[key] if isinstance(config, dict) else getattr(config, key)
    return config


def with_sampling(raw, keys, given):
    """The configuration with this sampling, or with none of its own, at one place."""
    changed = copy.deepcopy(raw)
    *above, last = keys
    section = changed
    for key in above:
        section = section[key]
    section.pop(last, None)
    if given is not None:
        section[last] = given
    return changed


@pytest.mark.parametrize("keys", SAMPLED.values(), ids=SAMPLED)
def test_a_part_of_sampling_keeps_the_sections_defaults_for_the_rest(raw, keys):
    default = sampling_at(load_config(with_sampling(raw, keys, None), [DEMO]), keys)
    for given in ({}, {"temperature": 0.3}, {"max_tokens": 7}, {"stop": ["x"]}, {"top_p": 0.5}):
        found = sampling_at(load_config(with_sampling(raw, keys, given), [DEMO]), keys)
        assert found.model_dump(mode="json") == default.model_dump(mode="json") | given


@pytest.mark.parametrize("keys", SAMPLED.values(), ids=SAMPLED)
def test_null_switches_a_default_of_sampling_off(raw, keys):
    off = {"temperature": None, "top_p": None, "stop": None, "top_logprobs": None}
    found = sampling_at(load_config(with_sampling(raw, keys, off), [DEMO]), keys)
    assert (found.temperature, found.top_p, found.stop, found.top_logprobs) == (1, 1, (), 0)
    assert sampling_at(load_config(with_sampling(raw, keys, {"stop": []}), [DEMO]), keys).stop == ()


def test_a_mistake_in_a_part_of_sampling_is_named(raw, tmp_path):
    sentence = complaint(raw, tmp_path, lambda raw: raw["responses"].update(sampling={"max_tokens": None}))
    assert sentence == "responses.sampling.max_tokens: found null, but it must be a whole number."
    sentence = complaint(raw, tmp_path, lambda raw: raw["responses"].update(sampling={"max_token": 3}))
    assert "unknown key 'responses.sampling.max_token'" in sentence
    assert "did you mean 'max_tokens'?" in sentence


def test_the_schema_says_which_defaults_a_part_of_sampling_keeps():
    schema = config_schema()["$defs"]["ResponseSettings"]["properties"]["sampling"]
    assert "required" not in schema
    assert {key: content["default"] for key, content in schema["properties"].items()} == schema["default"]
    assert {"type": "null"} in schema["properties"]["stop"]["anyOf"]


def test_mistakes_that_are_met_together_are_told_together(tmp_path):
    sweep = {"kind": "sweep", "points": ["low"], "panels": [{"benchmark": "following", "metric": "acc", "label": "x"}]}
    with pytest.raises(InputError) as error:
        loaded(LINES | {"recipes": {"low": {"instructions": "ten"}}, "figures": {"own": sweep}}, tmp_path)
    file = tmp_path / "mine.yaml"
    assert str(error.value).split("\nError: ") == [
        f"{file}: recipes.low.instructions: found 'ten', but it must be a whole number.",
        f"{file}: the key 'figures.own.caption' is missing: One sentence below the panels.",
        f"{file}: the key 'figures.own.x_label' is missing: Title of the horizontal axes: what the recipes differ in.",
        f"{file}: the key 'figures.own.model' is missing: Name of the model.",
        f"{file}: figures.own.points.0: found 'low', but it must be keys and values, with at least x, recipe.",
    ]


def test_what_a_section_holds_is_said_where_something_else_stands(raw, tmp_path):
    sentence = complaint(raw, tmp_path, lambda raw: raw["assessment"]["prompts"].update(mine="judge.yaml"))
    assert sentence.startswith(
        "assessment.prompts.mine: found 'judge.yaml', but it must be keys and values (Prompt files"
    )
    assert "by name, then by criterion" in sentence


def test_a_mistake_that_recipes_take_from_another_is_told_once(tmp_path):
    recipes = {"high": {"extends": "low"}, "low": {"instructions": "ten"}, "higher": {"extends": "high"}}
    with pytest.raises(InputError) as error:
        loaded(LINES | {"recipes": recipes}, tmp_path)
    assert (
        str(error.value)
        == f"{tmp_path / 'mine.yaml'}: recipes.low.instructions: found 'ten', but it must be a whole number."
    )


def test_a_recipe_that_names_no_criteria_has_those_of_its_prompts(raw, tmp_path):
    raw["assessment"]["prompts"]["mine"] = {"quality": "judge.yaml"}
    raw["recipes"] = {"one_base": {"assessment": "mine"}, "both": {"assessment": "combined", "selection": {}}}
    raw |= {key: {} for key in ("tables", "figures", "claims", "cases")}
    raw["experiment"]["recipes"] = []
    recipes = load_config(raw, []).recipes
    assert recipes["one_base"].selection.criteria == ("quality",)
    assert recipes["both"].selection.criteria == ("quality", "following")


def test_a_recipe_that_names_no_prompts_has_the_only_ones(tmp_path):
    only = {"assessment": {"prompts": {"mine": {"quality": "judge.yaml"}}}}
    recipe = loaded(LINES | only, tmp_path).recipes["one_base"]
    assert (recipe.assessment, recipe.selection.criteria) == ("mine", ("quality",))


def test_a_criterion_without_a_prompt_is_told_with_the_key_of_its_file(raw, tmp_path):
    def own_prompt(raw):
        raw["assessment"]["prompts"]["mine"] = {"quality": "judge.yaml"}
        raw["recipes"]["one_base"] |= {"assessment": "mine", "selection": {"criteria": ["quality", "following"]}}

    sentence = complaint(raw, tmp_path, own_prompt)
    assert sentence.startswith("recipes.one_base.selection.criteria: found 'following', allowed: quality; or add ")
    assert "as assessment.prompts.mine.following, or leave the key out: all that are allowed" in sentence


def test_a_name_that_can_be_none_is_told_what_one_may_have(raw, tmp_path):
    sentence = complaint(raw, tmp_path, lambda raw: raw["experiment"].update(name="my trial"))
    assert sentence == (
        "experiment.name: found 'my trial', but it must begin with a letter or digit and have nothing but letters, "
        "digits, `_`, `.` and `-`."
    )


def test_an_included_file_is_looked_for_beside_the_one_that_includes_it(tmp_path):
    (tmp_path / "own.yaml").write_text("recipes: {own: {}}\n")
    with pytest.raises(
        InputError, match=rf"include: the file own.yaml does not exist; did you mean '{tmp_path}/own.yaml'"
    ):
        loaded(LINES | {"include": ["own.yaml"]}, tmp_path)


def test_a_prompt_of_another_criterion_is_told_with_its_key(raw):
    raw["assessment"]["prompts"]["simple"]["following"] = "config/demo/prompts/assessment/simple_quality.yaml"
    with pytest.raises(InputError, match=r"^assessment.prompts.simple.following: .* has `criterion: quality`; write"):
        check_files(load_config(raw, [DEMO]), [])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"responses": {"sampling": {"max_tokens": True}}},
            "responses.sampling.max_tokens: found true, but it must be",
        ),
        ({"experiment": {"name": "x", "seeds": [False]}}, "experiment.seeds.0: found false, but it must be a number"),
        ({"experiment": {"name": "x", "seeds": []}}, "experiment.seeds: found [], but it must have at least 1 of them"),
        ({"recipes": {"one_base": None}}, "recipes.one_base: found null, but it must be keys and values; {} has every"),
        ({"include": ["config"]}, "include: the file config is a folder; name a file in it"),
    ],
)
def test_what_yaml_allows_and_the_key_does_not_is_told_in_the_words_of_yaml(tmp_path, changed, said):
    with pytest.raises(InputError) as error:
        loaded(LINES | changed, tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'mine.yaml'}: {said}")


def test_an_empty_configuration_is_named_itself(tmp_path):
    with pytest.raises(InputError, match=r"mine\.yaml: the key 'experiment\.name' is missing"):
        loaded({}, tmp_path)
