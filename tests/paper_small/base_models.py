"""The models of the paper in miniature: one set of weights as Qwen1.5 and as Llama 3 have them.

Both architectures compute the same: Llama's linear maps get the biases that Qwen2's queries, keys and values have.
The tokenizers differ by the names of their special tokens, and Llama's puts one at a text's beginning.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

MODEL = Path(__file__).parent / "model"
"""The weights that build_model.py made, with both architectures' special tokens."""
RENAMED = {"<|endoftext|>": "<|end_of_text|>", "<|im_start|>": "<|start_header_id|>", "<|im_end|>": "<|eot_id|>"}
"""Qwen's special tokens by Llama's names."""
OF_LLAMA_ALONE = ("<|begin_of_text|>", "<|end_header_id|>")


logging.disable_progress_bar()


def write_qwen(folder: Path, shard_size: str = "1GB") -> None:
    """Write the model as Qwen1.5: its vocabulary ends before its rows of weights do, as in the published ones."""
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype="auto")
    model.save_pretrained(folder, max_shard_size=shard_size)
    write_generation(folder, {"bos_token_id": 0, "eos_token_id": 0})
    tokenizer, settings = read_tokenizer()
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] not in OF_LLAMA_ALONE]
    for name in OF_LLAMA_ALONE:
        tokenizer["model"]["vocab"].pop(name, None)
    settings["extra_special_tokens"] = ["<|im_start|>", "<|im_end|>"]
    write_tokenizer(folder, tokenizer, settings)


def write_llama(folder: Path) -> None:
    """Write the same weights as Llama 3."""
    qwen = AutoModelForCausalLM.from_pretrained(MODEL, dtype="auto")
    as_llama(qwen).save_pretrained(folder)
    write_generation(folder, {"bos_token_id": OF_LLAMA_ALONE_IDS[0], "eos_token_id": 0})
    tokenizer, settings = read_tokenizer()
    rename(tokenizer)
    tokenizer["post_processor"] = {
        "type": "Sequence",
        "processors": [tokenizer["post_processor"], begins_with(OF_LLAMA_ALONE[0], OF_LLAMA_ALONE_IDS[0])],
    }
    settings |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": OF_LLAMA_ALONE[0],
        "eos_token": "<|end_of_text|>",
        "pad_token": "<|end_of_text|>",
        "unk_token": None,
        "extra_special_tokens": ["<|start_header_id|>", "<|eot_id|>", "<|end_header_id|>"],
    }
    write_tokenizer(folder, tokenizer, settings)


OF_LLAMA_ALONE_IDS = (1278, 1279)
"""The last two of the vocabulary."""


def as_llama(qwen: torch.nn.Module) -> LlamaForCausalLM:
    """The same function as a Llama: the output's map has a bias there too, which is zero."""
    settings = qwen.config
    config = LlamaConfig(
        **{
            name: getattr(settings, name)
            for name in (
                *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
                *("num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "rope_parameters"),
                "tie_word_embeddings",
            )
        },
        attention_bias=True,
        bos_token_id=OF_LLAMA_ALONE_IDS[0],
        eos_token_id=0,
        pad_token_id=0,
    )
    llama = LlamaForCausalLM(config).to(qwen.dtype)
    missing = llama.load_state_dict(qwen.state_dict(), strict=False)
    if missing.unexpected_keys or {name.split(".", 3)[-1] for name in missing.missing_keys} != {
        "self_attn.o_proj.bias"
    }:
        raise ValueError(f"the weights do not fit: {missing}")
    for layer in llama.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.bias)
    return llama


def read_tokenizer() -> tuple[dict, dict]:
    return json.loads((MODEL / "tokenizer.json").read_text()), json.loads((MODEL / "tokenizer_config.json").read_text())


def write_tokenizer(folder: Path, tokenizer: dict, settings: dict) -> None:
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def write_generation(folder: Path, tokens: dict[str, int]) -> None:
    """As the published base models have it: they end at the end of a text, and know of no chat."""
    settings = tokens | {"do_sample": False, "max_new_tokens": 2048}
    (folder / "generation_config.json").write_text(json.dumps(settings), encoding="utf-8")


def rename(tokenizer: dict) -> None:
    """Give the special tokens Llama's names, wherever the file has them."""
    for token in tokenizer["added_tokens"]:
        token["content"] = RENAMED.get(token["content"], token["content"])
    vocabulary = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {RENAMED.get(name, name): number for name, number in vocabulary.items()}


def begins_with(token: str, number: int) -> dict:
    """A post-processor that puts a token before a text, as Llama 3's has it."""
    special = {"SpecialToken": {"id": token, "type_id": 0}}
    one, two = ({"Sequence": {"id": name, "type_id": type_id}} for name, type_id in (("A", 0), ("B", 1)))
    return {
        "type": "TemplateProcessing",
        "single": [special, one],
        "pair": [special, one, {"SpecialToken": {"id": token, "type_id": 1}}, two],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }
