"""Let a judge score pairs on one criterion, from 1 to 10 (paper section 3.4 and appendix A)."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.data.assessment import ReadableScores, load_assessment_prompt, parse_score
from isheep.engine.earlier_texts import EarlierTexts
from isheep.engine.engine import Request, Sampling
from isheep.engine.flags import (
    add_checkpoint_argument,
    add_engine_arguments,
    add_sampling_argument,
    complete_and_publish,
    open_requested_engine,
)
from isheep.files.ownership import Output
from isheep.files.reading import iterate_some
from isheep.seeding import derive_seed


def main(arguments: argparse.Namespace) -> None:
    """Write text and score of every pair that broke no rule; a score that cannot be parsed is null.

    Raises InputError as soon as almost no score can be read, and keeps what was written for the next attempt.
    """
    prompt = load_assessment_prompt(arguments.prompt)
    sampling = Sampling.model_validate_json(arguments.sampling)
    requests = [
        Request(
            pair["id"],
            prompt.render(pair["instruction"], pair["input"], pair["response"]),
            sampling,
            derive_seed(arguments.seed, prompt.criterion, pair["id"]),
        )
        for pair in iterate_some(arguments.pairs)
        if pair["rejected_by"] is None
    ]
    readable = ReadableScores(prompt, arguments.prompt, arguments.min_readable_share)
    complete_and_publish(
        requests,
        open_requested_engine(arguments, arguments.judge, "assessment.sampling.max_tokens"),
        arguments.scores,
        lambda request, completion: {
            "id": request.id,
            "criterion": prompt.criterion,
            "score": parse_score(completion.text, prompt.score_after, prompt.fraction),
            "text": completion.text,
        },
        check=lambda completion: readable.add(completion.text),
        end=readable.end,
        earlier=EarlierTexts(arguments.scores, "text"),
    )


parser = argparse.ArgumentParser(description=__doc__)
add_engine_arguments(parser)
add_sampling_argument(parser)
add_checkpoint_argument(parser, "--judge", "folder with the weights that judge")
parser.add_argument("--pairs", type=Path, required=True, help="JSON Lines: id, instruction, input, response")
parser.add_argument("--prompt", type=Path, required=True, help="prompt file of one criterion")
parser.add_argument(
    "--min-readable-share", type=float, default=0.0, help="share of the scores that must be readable, from 0 to 1"
)
parser.add_argument("--scores", type=Output, required=True, help="JSON Lines to write, one row a judged pair")

if __name__ == "__main__":
    cli.run(main, parser)
