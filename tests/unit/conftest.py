"""Fixtures that several unit tests share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

CHAT_TEMPLATE = """{% for message in messages %}<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

CORPUS = [
    "Name three fruits that are yellow, and say where they grow.",
    "The banana, the lemon and the pineapple are yellow fruits.",
    "Where is Paris? Paris is in France. Where is Rome? Rome is in Italy.",
    "Write a list with 12 bullets.\n* one\n* two\n* three\n",
] * 4


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 checkpoint with random weights (0.1 million), a byte-level BPE tokenizer of 320 tokens, a
    ChatML template and its identity: real enough for every program that loads a checkpoint, ready in a second.

    The weights are drawn wide, so that some tokens are far more likely than others and no two nearly tie.
    """
    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    _save_tokenizer(folder)
    _save_model(folder)
    from isheep.engine.identity import write_identity

    write_identity(folder)
    return folder


def _save_tokenizer(folder: Path) -> None:
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer().train_new_from_iterator(
        CORPUS, vocab_size=320, new_special_tokens=["<|im_start|>", "<|im_end|>"], show_progress=False
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)


def _save_model(folder: Path) -> None:
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.2,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).to(torch.float32).save_pretrained(folder)


@pytest.fixture
def scripted_engine(tiny_checkpoint: Path):
    """Make an engine that writes given token ids: `scripted_engine(ids of a request)`, a function of the request.

    Its attribute `asked` lists the ids of the requests that it wrote.
    """
    from isheep.engine.engine import Engine, EngineSettings

    class ScriptedEngine(Engine):
        def __init__(self, write):
            super().__init__(tiny_checkpoint, EngineSettings())
            self.asked, self._write = [], write

        def _generate(self, encoded):
            for item in encoded:
                ids = self._write(item.request)
                self.asked.append(item.request.id)
                yield item, ids

        def _score(self, pairs):
            raise NotImplementedError

    return ScriptedEngine
