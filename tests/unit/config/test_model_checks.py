"""What is wrong with a base model is told before any job, in one sentence: what its folder lacks, or that it has no
room for what it will be asked for."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from tokenizers import Tokenizer

from isheep.config.loading import read_config
from isheep.config.matrix import Matrix
from isheep.config.model_checks import asked_of_models, check_base_models
from isheep.data.prompts import drawn_demonstrations, instruction_prompt, load_meta_prompt, load_seed_tasks
from isheep.engine.transformers_engine import opened
from isheep.files.records import InputError
from isheep.seeding import derive_seed

DEMO = Path("config/demo/base")
MOST = re.compile(r"(\w+)\.sampling\.max_tokens to (\d+)")


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(DEMO, tmp_path / "model")


def with_positions(model: Path, positions: int) -> None:
    file = model / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_position_embeddings": positions}))


def check(model: Path, keys: str = "") -> Matrix:
    """Check the shipped example with this model, and these keys on top."""
    file = model.parent / "mine.yaml"
    file.write_text(f"models: {{mine: {{path: {model}}}}}\n{keys}")
    matrix = Matrix(read_config(["config/mine.yaml", file]))
    check_base_models(matrix, str(file))
    return matrix


def complaint(model: Path, keys: str = "") -> str:
    with pytest.raises(InputError) as error:
        check(model, keys)
    return str(error.value)


def as_advised(said: str) -> str:
    """The keys of a configuration that a message advises."""
    keys = {section: {"sampling": {"max_tokens": int(most)}} for section, most in MOST.findall(said)}
    for demonstrations in re.findall(r"instructions\.demonstrations to (\d+)", said):
        keys["instructions"] |= {"demonstrations": int(demonstrations)}
    return yaml.safe_dump(keys)


def test_a_model_with_room_is_fine(model):
    with_positions(model, 4096)
    check(model)


@pytest.mark.parametrize(
    ("removed", "named"),
    [
        ("config.json", "config.json"),
        ("tokenizer.json", "a tokenizer (tokenizer.json)"),
        ("*.safetensors", "weights (*.safetensors)"),
        ("*", "config.json, tokenizer_config.json, a tokenizer (tokenizer.json), weights (*.safetensors)"),
    ],
)
def test_all_that_a_folder_lacks_is_named(model, removed, named):
    for file in model.glob(removed):
        file.unlink()
    assert complaint(model) == (
        f"models.mine.path: {model} lacks {named}, and so is no folder of a base model; copy what is missing there, or "
        "name the folder that has it."
    )


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_settings_that_are_no_json_are_named(model, name):
    (model / name).write_text('{"vocab_size": ')
    assert f"{model / name} is not valid JSON" in complaint(model)


def test_a_model_whose_files_do_not_fit_each_other_is_named_when_it_is_opened(model):
    file = model / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"vocab_size": 77}))
    with pytest.raises(InputError, match=rf"{model} cannot be opened as a model .*config\.json and the weights belong"):
        opened(model, "float32")


def test_weights_of_another_form_are_to_be_converted(model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert "lacks weights (*.safetensors), and so is no folder of a base model; convert its weights" in complaint(model)


def test_too_few_positions_are_told_with_keys_and_values_that_do(model):
    with_positions(model, 2048)
    said = complaint(model)
    assert said.startswith(
        f"models.mine: {model} takes at most 2048 tokens, prompt and text together (its config.json)"
    )
    assert said.endswith(f"in {model.parent / 'mine.yaml'}.")
    assert [section for section, _ in MOST.findall(said)] == ["responses", "assessment"]
    check(model, as_advised(said))


def test_the_engines_own_limit_is_named(model):
    with_positions(model, 4096)
    said = complaint(model, "engine: {max_model_len: 1100}")
    assert "takes at most 1100 tokens, prompt and text together (engine.max_model_len)" in said
    check(model, as_advised(said) + "\nengine: {max_model_len: 1100}")


def test_fewer_demonstrations_are_advised_where_they_leave_too_little_room_to_write(model):
    said = complaint(model)
    assert "lower instructions.demonstrations to 1, instructions.sampling.max_tokens to" in said
    check(model, as_advised(said))
    with_positions(model, 1600)
    check(model, as_advised(fewer := complaint(model)))
    assert "lower instructions.demonstrations to 2, instructions.sampling.max_tokens to 800" in fewer


def test_the_prompts_of_the_first_job_are_measured(model):
    """A config that has room to the token is fine, and one token more is not."""
    asked = asked_of_models(check(model, "instructions: {sampling: {max_tokens: 1}}\n" + NO_SCORES))["mine"]
    seeds, meta_prompt = load_seed_tasks(asked.seed_tasks), load_meta_prompt(asked.meta_prompt)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    longest = max(
        len(tokenizer.encode(instruction_prompt(meta_prompt, drawn_demonstrations(seeds, 5, asked.seed, number))).ids)
        for number in range(asked.prompts)
    )
    assert asked.seed == derive_seed(1, "instructions", "base", 0)
    check(model, f"instructions: {{sampling: {{max_tokens: {1024 - longest}}}}}\n" + NO_SCORES)
    said = complaint(model, f"instructions: {{sampling: {{max_tokens: {1025 - longest}}}}}\n" + NO_SCORES)
    assert f"{longest} + {1025 - longest} for instructions" in said


NO_SCORES = "responses: {sampling: {max_tokens: 9}}\nrecipes: {one_base: {selection: {method: rules}}}"


def test_a_prompt_that_alone_is_too_long_asks_for_another_model(model):
    with_positions(model, 256)
    assert "take a model with more, or shorten what it reads" in complaint(model)


def test_a_model_that_is_not_trained_is_asked_for_nothing(model):
    check(model, "experiment: {recipes: []}")


def test_a_model_whose_limit_is_not_known_is_left_to_its_jobs(model):
    file = model / "config.json"
    content = json.loads(file.read_text())
    del content["max_position_embeddings"]
    file.write_text(json.dumps(content))
    check(model)
