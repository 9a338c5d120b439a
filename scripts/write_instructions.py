"""Let a checkpoint write instructions: raw continuation of the meta-prompt and a few seed tasks (paper section 3.3)."""

import argparse
import random
from pathlib import Path

from isheep import program
from isheep.engine import Request, Sampling
from isheep.ownership import Output
from isheep.prompts import instruction_prompt, load_meta_prompt, load_seed_tasks
from isheep.seeds import derive_seed
from isheep.writing import (
    add_checkpoint_argument,
    add_engine_arguments,
    add_sampling_argument,
    complete_and_publish,
    open_requested_engine,
)


def main(arguments: argparse.Namespace) -> None:
    """Write one continuation per prompt; what is in them is parsed by select_instructions.py."""
    seed_tasks = load_seed_tasks(arguments.seed_tasks, arguments.demonstrations)
    meta_prompt = load_meta_prompt(arguments.meta_prompt)
    sampling = Sampling.model_validate_json(arguments.sampling)
    requests = []
    for number in range(arguments.prompts):
        draw = random.Random(derive_seed(arguments.seed, "demonstrations", number))
        demonstrations = draw.sample(seed_tasks, arguments.demonstrations)
        prompt = instruction_prompt(meta_prompt, demonstrations)
        requests.append(Request(str(number), prompt, sampling, derive_seed(arguments.seed, "sampling", number)))
    complete_and_publish(
        requests,
        open_requested_engine(arguments, arguments.checkpoint),
        arguments.continuations,
        lambda request, completion: {
            "prompt": int(request.id),
            "text": completion.text,
            "finish_reason": completion.finish_reason,
        },
    )


parser = argparse.ArgumentParser(description=__doc__)
add_engine_arguments(parser)
add_sampling_argument(parser)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that write")
parser.add_argument("--seed-tasks", type=Path, required=True, help="seed tasks, Self-Instruct format")
parser.add_argument("--meta-prompt", type=Path, required=True, help="text with the placeholder {demonstrations}")
parser.add_argument("--demonstrations", type=int, required=True, help="seed tasks shown in a prompt")
parser.add_argument("--prompts", type=int, required=True, help="how many prompts to continue")
parser.add_argument("--continuations", type=Output, required=True, help="JSON Lines to write, one row a prompt")

if __name__ == "__main__":
    program.run(main, parser)
