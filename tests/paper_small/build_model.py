"""Make the miniature's base model from scratch, as tests/paper_small/model has it: about 15 minutes on one core.

    PYTHONPATH=scripts:tests python -m paper_small.build_model --output FOLDER

A Qwen2-architecture model of one million parameters, trained as the demo's, on the texts of documents.py.
"""

import argparse
import json
import random
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2ForCausalLM, Qwen2Tokenizer

from isheep import cli
from isheep.demo.world import World
from paper_small.documents import BEGINNING, Writer
from train_demo_base import model_config, save, train
from workspace import ROOT

VOCABULARY = 1280
POSITIONS = 2048
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
"""Qwen's. Llama has the same ones by other names, and two more."""
TOKENS_OF_LLAMA_ALONE = [BEGINNING, "<|end_header_id|>"]


def main(arguments: argparse.Namespace) -> None:
    """Write the documents, train the tokenizer and the model."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    writer = Writer(World(ROOT / "config/demo/world.yaml"), arguments.seed)
    texts = list(writer.documents(arguments.documents))
    tokenizer = train_tokenizer(texts[:4000])
    encoded = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts)["input_ids"]]
    lengths = [len(ids) for ids in encoded]
    print(f"{len(encoded)} documents, {sum(lengths)} tokens, the longest {max(lengths)}", flush=True)
    model = Qwen2ForCausalLM(model_config(tokenizer, POSITIONS))
    log = train(model, batches_of_alike_lengths(encoded, arguments.tokens, arguments.seed), arguments.steps)
    save(model, tokenizer, log, arguments.output)


def train_tokenizer(texts: list[str]) -> Qwen2Tokenizer:
    """Train a byte-level BPE with Qwen2's pre-tokenizer, which transformers gives it when it is loaded."""
    raw = Tokenizer(models.BPE())
    fresh = Qwen2Tokenizer().backend_tokenizer
    raw.normalizer, raw.pre_tokenizer = fresh.normalizer, fresh.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TOKENS_OF_LLAMA_ALONE),
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    every_special = SPECIAL_TOKENS + TOKENS_OF_LLAMA_ALONE
    raw.train_from_iterator([without(text, every_special) for text in texts], trainer)
    trained = Tokenizer.from_str(raw.to_str())
    return Qwen2Tokenizer(
        vocab=trained.get_vocab(),
        merges=[tuple(merge) for merge in merges_of(raw)],
        extra_special_tokens=every_special[1:],
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def without(text: str, tokens: list[str]) -> str:
    """The text with a blank in place of special tokens, which must not be learned in pieces."""
    for token in tokens:
        text = text.replace(token, " ")
    return text


def merges_of(tokenizer: Tokenizer) -> list[list[str]]:
    return json.loads(tokenizer.to_str())["model"]["merges"]


def batches_of_alike_lengths(encoded: list[list[int]], tokens: int, seed: int) -> Iterator[dict[str, torch.Tensor]]:
    """Yield batches of at most so many tokens, each of documents of about the same length: little is padded, at the
    end, where causal attention does not see it."""
    rng = random.Random(seed)
    while True:
        order = sorted(range(len(encoded)), key=lambda index: (len(encoded[index]) * rng.uniform(0.9, 1.1), index))
        batches: list[list[int]] = [[]]
        for index in order:
            if (len(batches[-1]) + 1) * max(len(encoded[index]), *(len(encoded[i]) for i in batches[-1]), 1) > tokens:
                batches.append([])
            batches[-1].append(index)
        rng.shuffle(batches)
        for batch in batches:
            longest = max(len(encoded[index]) for index in batch)
            ids = torch.zeros(len(batch), longest, dtype=torch.long)
            labels = torch.full_like(ids, -100)
            for row, index in enumerate(batch):
                length = len(encoded[index])
                ids[row, :length] = labels[row, :length] = torch.tensor(encoded[index])
            yield {"input_ids": ids, "labels": labels}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=9000)
    parser.add_argument("--steps", type=int, default=520)
    parser.add_argument("--tokens", type=int, default=3000, help="tokens per step, at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="the folder to write")
    cli.run(main, parser)
