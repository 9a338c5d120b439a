"""Merge a LoRA adapter into the weights it was trained on."""

import argparse
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from isheep import cli
from isheep.engine.identity import read_identity, require_base, write_identity
from isheep.files.ownership import Output
from isheep.files.records import publish


def main(arguments: argparse.Namespace) -> None:
    """Write full weights with the tokenizer and chat template of the weights that were started from."""
    require_base(arguments.adapter, arguments.weights)
    model = AutoModelForCausalLM.from_pretrained(arguments.weights, dtype="auto")
    merged = PeftModel.from_pretrained(model, arguments.adapter).merge_and_unload()
    with publish(arguments.output) as partial, torch.inference_mode():
        merged.save_pretrained(partial)
        AutoTokenizer.from_pretrained(arguments.weights).save_pretrained(partial)
        write_identity(partial, merged_from=read_identity(arguments.adapter))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--weights", type=Path, required=True, help="folder with the weights that training started from")
parser.add_argument("--adapter", type=Path, required=True, help="folder with the adapter")
parser.add_argument("--output", type=Output, required=True, help="folder to write")

if __name__ == "__main__":
    cli.run(main, parser)
