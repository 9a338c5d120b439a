"""A result record that does not fit what lies there, or what is configured, is refused, never shown."""

import json
import shutil
from pathlib import Path

import pytest

from isheep.benchmarks.result_checks import Configured, check_result
from isheep.benchmarks.results import read_result
from isheep.engine.identity import IDENTITY_FILE
from isheep.files.records import InputError, file_sha256, files_read, write_json, write_jsonl
from made_up_results import write_made_up_result

WHERE = {"model": "m", "seed": 1, "checkpoint": "one_base/iter1", "benchmark": "chat"}
LORA = {"epochs": 2, "method": "lora"}
RECIPE = {
    "selection": {"method": {"threshold": 8}, "instructions": 2},
    "training": {"settings": LORA},
}
CONFIGURED = Configured(
    results="results/x",
    benchmarks={"chat": {"kind": "alpaca_eval", "sampling": {"temperature": 1.0}}},
    judges={"chat": {"api": {"model": "gpt-4"}}},
    engine={"kind": "vllm"},
    system_prompts={"m": "Be brief."},
    published={"p": {"chat": {"answers": None, "judgments": "theirs.json", "model": None}}},
    recipes={"one_base": RECIPE},
)
HOME = Path("results/x/m/seed1/one_base/iter1")
RESULT = HOME / "benchmarks/chat/result.json"
IDENTITY = "a" * 64


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A trained checkpoint with one result, all as it is configured, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (HOME / "adapter").mkdir(parents=True)
    write_json(HOME / "adapter" / IDENTITY_FILE, {"sha256": IDENTITY, "base": "b" * 64})
    for name in ("pairs.jsonl", "training_set.jsonl", "validation_set.jsonl"):
        write_jsonl(HOME / name, [{"id": 1}])
    selection = RECIPE["selection"] | {"seed": 3, "files": files_read([HOME / "pairs.jsonl"])}
    write_json(HOME / "selection.json", selection)
    trained_by = {name: file_sha256(HOME / f"{name}.jsonl") for name in ("training_set", "validation_set")}
    training = trained_by | {"system_prompt": "Be brief.", "seed": 4}
    write_json(HOME / "adapter/training.json", RECIPE["training"] | training)
    write_jsonl(RESULT.with_name("items.jsonl"), [{"id": 1}])
    write_record()
    return HOME


def write_record(settings=None, **changes) -> None:
    answered_by = {"engine": {"checkpoint": IDENTITY}}
    settings = CONFIGURED.of("m", "one_base/iter1", "chat") if settings is None else settings
    record = {"benchmark": "chat", "answered_by": answered_by} | changes
    write_made_up_result(RESULT.with_name("items.jsonl"), [{"metric": "win_rate", "value": 0.512}], settings, **record)


def refused(*parts: str, configured: Configured = CONFIGURED) -> None:
    with pytest.raises(InputError) as error:
        check_result(RESULT, WHERE, configured)
    for part in parts:
        assert part in str(error.value)


def test_a_record_that_fits_is_read(home):
    assert [score.value for score in check_result(RESULT, WHERE, CONFIGURED).scores] == [0.512]


def test_a_value_that_was_changed_by_hand_is_refused(home):
    RESULT.write_text(RESULT.read_text().replace("0.512", "0.912"))
    refused("benchmarks/chat/result.json: it was changed after it was written")


def test_items_that_were_changed_are_refused(home):
    before = file_sha256(RESULT.with_name("items.jsonl"))
    write_jsonl(RESULT.with_name("items.jsonl"), [{"id": 2}])
    after = file_sha256(RESULT.with_name("items.jsonl"))
    refused("chat of m one_base/iter1 (seed 1)", "items.jsonl", before[:12], after[:12])


def test_items_that_are_missing_are_refused(home):
    RESULT.with_name("items.jsonl").unlink()
    refused("items.jsonl, which is missing")


@pytest.mark.parametrize(
    ("part", "now", "named"),
    [
        ("judges", {"chat": {"api": {"model": "gpt-5"}}}, ('judge.api.model "gpt-4"', '"gpt-5" is configured')),
        ("engine", {"kind": "transformers"}, ('engine.kind "vllm"', '"transformers" is configured')),
        ("system_prompts", {"m": None}, ('system_prompt "Be brief."', "null is configured")),
        ("benchmarks", {"chat": {"kind": "alpaca_eval", "limit": 5}}, ("benchmark.sampling", "null is configured")),
    ],
)
def test_a_result_of_other_settings_is_refused_with_both_values(home, part, now, named):
    refused("chat of m one_base/iter1", *named, configured=CONFIGURED.model_copy(update={part: now}))


@pytest.mark.parametrize(
    ("part", "now", "named"),
    [
        ("selection", {"method": {"threshold": 5}, "instructions": 2}, ("selection.json", "method.threshold 8, but 5")),
        (
            "training",
            {"settings": LORA | {"epochs": 3}},
            ("training.json", "settings.epochs 2, but 3"),
        ),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(home, part, now, named):
    refused(*named, configured=CONFIGURED.model_copy(update={"recipes": {"one_base": RECIPE | {part: now}}}))


def test_a_result_of_another_checkpoint_than_the_one_there_is_refused(home):
    write_json(HOME / "adapter" / IDENTITY_FILE, {"sha256": "c" * 64, "base": "b" * 64})
    refused("the checkpoint aaaaaaaaaaaa answered", "holds cccccccccccc")


def test_merged_weights_are_known_by_their_adapter(home):
    write_record(answered_by={"engine": {"checkpoint": "d" * 64, "merged_from": IDENTITY}})
    check_result(RESULT, WHERE, CONFIGURED)


def test_an_adapter_that_an_earlier_recipe_left_is_not_the_checkpoint(home):
    full = RECIPE | {"training": {"settings": LORA | {"method": "full"}}}
    shutil.copytree(HOME / "adapter", HOME / "weights")
    write_json(HOME / "weights" / IDENTITY_FILE, {"sha256": "e" * 64})
    trained = json.loads((HOME / "weights/training.json").read_text())
    write_json(HOME / "weights/training.json", trained | full["training"])
    write_record(answered_by={"engine": {"checkpoint": "e" * 64}})
    check_result(RESULT, WHERE, CONFIGURED.model_copy(update={"recipes": {"one_base": full}}))


def test_a_checkpoint_that_is_gone_is_refused(home):
    (HOME / "adapter" / IDENTITY_FILE).unlink()
    refused("identity.json is missing")


@pytest.mark.parametrize("file", ["training_set.jsonl", "validation_set.jsonl", "pairs.jsonl"])
def test_a_training_set_or_pairs_that_are_others_now_are_refused(home, file):
    write_jsonl(HOME / file, [{"id": 9}])
    refused(file, "but what lies there has")


def test_published_results_have_no_checkpoint(home):
    where = {"model": "p", "seed": 0, "checkpoint": "published", "benchmark": "chat"}
    write_record(CONFIGURED.of("p", "published", "chat"), answered_by=None)
    check_result(RESULT, where, CONFIGURED)
    assert "judge" not in CONFIGURED.of("p", "published", "chat"), "their judgments are published too"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda record: record.pop("schema_version"), "no schema_version"),
        (lambda record: record.update(schema_version=0), "schema_version 0, but this version of the project reads 1"),
        (lambda record: record["scores"][0].pop("value"), "scores.0.value: Field required"),
        (lambda record: record["scores"][0].update(value="0.5x"), "scores.0.value"),
        (lambda record: record["scores"][0].update(value=float("nan")), "scores.0.value"),
        (lambda record: record["scores"][0].update(n_valid=2), "n_valid 2 is above n 1"),
        (lambda record: record.pop("made_from"), "made_from: Field required"),
    ],
)
def test_a_record_of_another_schema_is_refused_with_file_and_key(home, change, named):
    record = json.loads(RESULT.read_text())
    change(record)
    RESULT.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"result\.json") as error:
        read_result(RESULT)
    assert named in str(error.value)


def test_a_value_that_is_no_number_is_not_written(home):
    with pytest.raises(InputError, match=r"scores.0.value: .*nan is no number"):
        write_made_up_result(RESULT.with_name("items.jsonl"), [{"metric": "win_rate", "value": float("nan")}])


def test_a_part_of_the_configuration_is_that_of_its_results_alone():
    from isheep.benchmarks.grid import Grid

    grid = Grid(results="results/x", seeds=(1,), measured={"m": {"base": ("chat",)}})
    part = CONFIGURED.restricted_to(grid)
    assert (part.recipes, part.published) == ({}, {})
    assert part.of("m", "base", "chat") == CONFIGURED.of("m", "base", "chat")
