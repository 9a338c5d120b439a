"""Let a checkpoint answer instructions, zero-shot: raw as the base model, by its chat template after training."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.data.prompts import chat_messages, response_prompt
from isheep.engine.earlier_texts import EarlierTexts
from isheep.engine.engine import Request, Sampling
from isheep.engine.flags import (
    add_checkpoint_argument,
    add_engine_arguments,
    add_prompting_arguments,
    add_sampling_argument,
    complete_and_publish,
    open_requested_engine,
)
from isheep.files.ownership import Output
from isheep.files.reading import iterate_some
from isheep.seeding import derive_seed


def main(arguments: argparse.Namespace) -> None:
    """Write one response per instruction."""
    sampling = Sampling.model_validate_json(arguments.sampling)
    requests = []
    for row in iterate_some(arguments.instructions):
        question = response_prompt(row["instruction"], row["input"], arguments.separator)
        prompt = chat_messages(question, arguments.system_prompt) if arguments.chat else f"{question}\n"
        requests.append(Request(row["id"], prompt, sampling, derive_seed(arguments.seed, row["id"])))
    complete_and_publish(
        requests,
        open_requested_engine(arguments, arguments.checkpoint, "responses.sampling.max_tokens"),
        arguments.responses,
        lambda request, completion: {"id": request.id, "response": completion.text},
        earlier=EarlierTexts(arguments.responses, "response"),
    )


parser = argparse.ArgumentParser(description=__doc__)
add_engine_arguments(parser)
add_sampling_argument(parser)
add_prompting_arguments(parser)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that answer")
parser.add_argument("--instructions", type=Path, required=True, help="JSON Lines: id, instruction, input")
parser.add_argument("--separator", required=True, help="text between an instruction and its input")
parser.add_argument("--responses", type=Output, required=True, help="JSON Lines to write, one row an instruction")

if __name__ == "__main__":
    cli.run(main, parser)
