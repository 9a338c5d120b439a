"""The models of the paper's miniature: two architectures with one set of weights, and a tokenizer that is read as it
was trained."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from isheep.demo.world import World
from paper_small import base_models
from paper_small.documents import Writer
from workspace import ROOT

BEGINNING = 1278
"""Llama's token of a text's beginning."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    base_models.write_qwen(home / "qwen", "1MB")
    base_models.write_llama(home / "llama")
    return {name: home / name for name in ("qwen", "llama")}


@pytest.fixture(scope="module")
def texts():
    writer = Writer(World(ROOT / "config/demo/world.yaml"), seed=99)
    kinds = (writer.list, writer.answer, writer.assessment, writer.question, writer.program)
    return [kind() for kind in kinds for _ in range(4)]


def test_both_architectures_compute_the_same(folders, texts):
    tokenizer = AutoTokenizer.from_pretrained(folders["qwen"])
    ids = tokenizer(texts[0], return_tensors="pt")["input_ids"]
    qwen, llama = (AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in folders.values())
    assert {qwen.config.model_type, llama.config.model_type} == {"qwen2", "llama"}
    with torch.no_grad():
        assert torch.equal(qwen(ids).logits, llama(ids).logits)


def test_weights_of_one_lie_in_several_files(folders):
    index = json.loads((folders["qwen"] / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 1


def test_the_loaded_tokenizers_agree_with_the_trained_one(folders, texts):
    trained, qwen, llama = (AutoTokenizer.from_pretrained(path) for path in (base_models.MODEL, *folders.values()))
    for text in texts:
        ids = trained(text)["input_ids"]
        assert qwen(text)["input_ids"] == ids
        assert llama(text)["input_ids"] == [BEGINNING, *ids]
        assert llama.decode([BEGINNING, *ids], skip_special_tokens=True) == qwen.decode(ids) == text


@pytest.mark.parametrize(
    ("model", "template", "special"),
    [
        ("qwen", "chatml", ["<|im_start|>", "<|im_end|>"]),
        ("llama", "llama3", ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
    ],
)
def test_the_papers_chat_templates_find_their_special_tokens(folders, model, template, special):
    tokenizer = AutoTokenizer.from_pretrained(folders[model])
    tokenizer.chat_template = (ROOT / f"config/chat_templates/{template}.jinja").read_text()
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Name a bird."}], return_dict=True)["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert set(special) <= set(tokens)
    other = {"qwen": "<|eot_id|>", "llama": "<|im_end|>"}[model]
    assert len(tokenizer(other, add_special_tokens=False)["input_ids"]) > 1
