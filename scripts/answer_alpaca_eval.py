"""Let a checkpoint answer AlpacaEval's instructions, or take a baseline's published outputs (`--take FILE`)."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.benchmarks.alpaca_eval import load_outputs, load_reference
from isheep.data.prompts import chat_messages
from isheep.engine.engine import Request, Sampling
from isheep.engine.flags import (
    add_checkpoint_argument,
    add_engine_arguments,
    add_prompting_arguments,
    add_sampling_argument,
    open_requested_engine,
)
from isheep.engine.journal import Journal, complete_with_journal
from isheep.engine.provenance import (
    add_answered_by_argument,
    write_answered_by_checkpoint,
    write_answered_by_publication,
)
from isheep.files.ownership import Output
from isheep.files.records import unfinished_folder, write_json
from isheep.seeding import derive_seed


def main(arguments: argparse.Namespace) -> None:
    """Write one output for each of the reference's instructions, in its order."""
    reference = load_reference(arguments.reference)
    sampling = Sampling.model_validate_json(arguments.sampling)
    requests = [
        Request(
            str(number),
            prompt_for(row["instruction"], arguments),
            sampling,
            derive_seed(arguments.seed, row["instruction"]),
        )
        for number, row in enumerate(reference, start=1)
    ]
    journal = unfinished_folder(arguments.outputs)
    engine = open_requested_engine(arguments, arguments.checkpoint, "sampling.max_tokens of the benchmark")
    completions = complete_with_journal(engine, requests, journal)
    rows = [
        {
            "instruction": row["instruction"],
            "output": completion.text,
            "generator": arguments.generator,
            "dataset": row["dataset"],
        }
        for row, completion in zip(reference, completions, strict=True)
    ]
    write_answered_by_checkpoint(arguments, engine, arguments.reference)
    write_json(arguments.outputs, rows)
    Journal(journal).finish()
    print(f"{arguments.outputs}: {len(rows)} instructions answered")


def prompt_for(instruction: str, arguments: argparse.Namespace) -> str | list[dict[str, str]]:
    """Return the instruction as a chat, or as a text to continue."""
    if arguments.chat:
        return chat_messages(instruction, arguments.system_prompt)
    return instruction + arguments.raw_suffix


def take(arguments: argparse.Namespace) -> None:
    """Check published outputs against the reference's instructions, and write them in its order."""
    reference = load_reference(arguments.reference)
    rows = [row for row in load_outputs(arguments.take, reference, arguments.model, arguments.missing) if row]
    write_answered_by_publication(arguments, arguments.reference)
    write_json(arguments.outputs, rows)
    print(f"{arguments.outputs}: {len(rows)} outputs taken from {arguments.take}")


shared = argparse.ArgumentParser(add_help=False)
add_answered_by_argument(shared)
shared.add_argument("--reference", type=Path, required=True, help="reference outputs, JSON list or JSON Lines")
shared.add_argument("--outputs", type=Output, required=True, help="JSON list to write, one row an instruction")

parser = argparse.ArgumentParser(description=__doc__, parents=[shared])
add_engine_arguments(parser)
add_sampling_argument(parser)
add_prompting_arguments(parser)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that answer")
parser.add_argument("--generator", required=True, help="name of the checkpoint in the outputs")
parser.add_argument("--raw-suffix", default="", help="text put after an instruction that is answered raw")

take_parser = argparse.ArgumentParser(description=take.__doc__, parents=[shared])
take_parser.add_argument("--take", type=Path, required=True, help="published outputs, JSON list or JSON Lines")
take_parser.add_argument("--model", help="take only the rows of this generator")
take_parser.add_argument("--missing", type=int, default=0, help="how many instructions the file may lack")

if __name__ == "__main__":
    cli.run_or_take(main, parser, take, take_parser)
