"""Measure how much pairs surprise a checkpoint: the response alone, and the whole pair (paper section 4.3)."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.data.pairs import pair_text
from isheep.data.perplexity import TextPerplexity, measure_perplexities
from isheep.engine.flags import add_checkpoint_argument, add_scoring_arguments, open_requested_engine
from isheep.engine.journal import Journal
from isheep.files.ownership import Output
from isheep.files.reading import read_some
from isheep.files.records import unfinished_folder, write_jsonl


def main(arguments: argparse.Namespace) -> None:
    """Write both perplexities of every pair that broke no rule."""
    pairs = [pair for pair in read_some(arguments.pairs) if pair["rejected_by"] is None]
    responses = [pair["response"] for pair in pairs]
    wholes = [pair_text(pair, arguments.separator) for pair in pairs]
    journal = unfinished_folder(arguments.perplexities)
    engine = open_requested_engine(arguments, arguments.checkpoint)
    measured = measure_perplexities(engine, responses + wholes, journal)
    rows = [
        perplexity_row(pair, response, whole)
        for pair, response, whole in zip(pairs, measured[: len(pairs)], measured[len(pairs) :], strict=True)
    ]
    write_jsonl(arguments.perplexities, rows)
    Journal(journal).finish()
    cut = sum(bool(row["cut"]) for row in rows)
    print(f"{arguments.perplexities}: {len(rows)} pairs, {cut} of them cut to {engine.max_length - 1} tokens")


def perplexity_row(pair: dict, response: TextPerplexity, whole: TextPerplexity) -> dict:
    """Return the row of one pair; `cut` names the texts of which only the beginning was scored."""
    return {
        "id": pair["id"],
        "response_perplexity": response.perplexity,
        "pair_perplexity": whole.perplexity,
        "cut": [name for name, text in (("response", response), ("pair", whole)) if text.cut],
    }


parser = argparse.ArgumentParser(description=__doc__)
add_scoring_arguments(parser)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that judge")
parser.add_argument("--pairs", type=Path, required=True, help="JSON Lines: id, instruction, input, response")
parser.add_argument("--separator", required=True, help="text between an instruction and its input")
parser.add_argument("--perplexities", type=Output, required=True, help="JSON Lines to write, one row a pair")

if __name__ == "__main__":
    cli.run(main, parser)
