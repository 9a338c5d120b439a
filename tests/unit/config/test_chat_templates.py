"""The chat templates of the paper's models: the tokens that its trainer used, and a prompt that training continues."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

MESSAGES = [{"role": "system", "content": "Help."}, {"role": "user", "content": "Name a tree."}]
ANSWER = {"role": "assistant", "content": "An oak."}
RENDERED = {
    "chatml": (
        "<|im_start|>system\nHelp.<|im_end|>\n<|im_start|>user\nName a tree.<|im_end|>\n<|im_start|>assistant\n",
        "An oak.<|im_end|>\n",
    ),
    "llama3": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nHelp.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nName a tree.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "An oak.<|eot_id|>",
    ),
    "plain": (
        "Help.\n\n### User:\nName a tree.\n\n### Assistant:\n",
        "An oak.<|endoftext|>\n\n",
    ),
}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained("config/demo/base")


@pytest.mark.parametrize("name", RENDERED)
def test_prompt_and_answer_are_rendered_with_the_models_own_tokens(tokenizer, name):
    template = Path(f"config/chat_templates/{name}.jinja").read_text()
    prompt, answer = RENDERED[name]
    rendered = {"chat_template": template, "tokenize": False}
    assert tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, **rendered) == prompt
    assert tokenizer.apply_chat_template([*MESSAGES, ANSWER], **rendered) == prompt + answer
    assert tokenizer.apply_chat_template(MESSAGES[1:], add_generation_prompt=True, **rendered).count("Help.") == 0
