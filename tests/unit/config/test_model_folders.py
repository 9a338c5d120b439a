"""A folder that is no base model, or whose tokenizer has no chat template, is refused by what to write and where."""

import json
import struct
from pathlib import Path

import pytest

from isheep.engine.base_models import billions_of_parameters, require_base_model, require_chat_template
from isheep.files.records import InputError

SETTINGS = "tokenizer_config.json"


@pytest.fixture
def folder(tmp_path):
    """A base model without a chat template; its one file of weights has 2 x 3 + 5 parameters."""
    for name in ("config.json", SETTINGS, "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    write_weights(tmp_path / "model.safetensors", {"a": [2, 3], "b": [5]})
    return tmp_path


def write_weights(path: Path, shapes: dict[str, list[int]]) -> None:
    head = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    text = json.dumps({"__metadata__": {"format": "pt"}} | head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        require_chat_template(folder, "mine", "config/mine.yaml")
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "text"), [("chat_template.jinja", "{{ messages }}"), (SETTINGS, '{"chat_template": "{{ messages }}"}')]
)
def test_the_tokenizers_own_template_is_enough(folder, name, text):
    (folder / name).write_text(text)
    require_chat_template(folder, "mine", "config/mine.yaml")


def test_a_missing_template_is_named_with_model_folder_and_file(folder):
    sentence = refusal(folder)
    for part in (
        f"models.mine: the tokenizer of {folder} has no chat template",
        "below models.mine in config/mine.yaml",
    ):
        assert part in sentence


@pytest.mark.parametrize(
    ("name", "content", "template"),
    [
        ("tokenizer.json", {"added_tokens": [{"id": 1, "content": "<|im_end|>"}]}, "chatml"),
        ("tokenizer.json", {"added_tokens": [{"id": 1, "content": "<|eot_id|>"}]}, "llama3"),
        (SETTINGS, {"added_tokens_decoder": {"1": {"content": "<|eot_id|>"}}}, "llama3"),
        (SETTINGS, {"extra_special_tokens": ["<|im_end|>"]}, "chatml"),
        (SETTINGS, {"eos_token": "</s>"}, "plain"),
    ],
)
def test_the_template_that_is_offered_closes_a_turn_with_a_token_of_the_tokenizer(folder, name, content, template):
    (folder / name).write_text(json.dumps(content))
    offered = f"config/chat_templates/{template}.jinja"
    assert f"write `chat_template: {offered}`" in refusal(folder)
    assert Path(offered).is_file()


@pytest.mark.parametrize("name", ["config.json", SETTINGS, "model.safetensors"])
def test_what_a_folder_lacks_is_named(folder, name):
    require_base_model(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"^{folder} lacks .*{name.replace('model', '')}"):
        require_base_model(folder)


def test_parameters_are_counted_in_the_heads_of_all_files(folder):
    assert billions_of_parameters(folder) == 11e-9
    write_weights(folder / "second.safetensors", {"c": [1000, 1000]})
    assert billions_of_parameters(folder) == pytest.approx(1_000_011e-9)


def test_torn_weights_are_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=rf"{path} is torn"):
        billions_of_parameters(folder)
