"""Join instructions and responses to pairs, and name the response rule that a pair breaks, if any."""

import argparse
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from isheep import cli
from isheep.data.responses import ResponseRules, clean_response, first_failing_rule
from isheep.files.ownership import Output
from isheep.files.reading import iterate_some
from isheep.files.records import InputError, write_jsonl


def main(arguments: argparse.Namespace) -> None:
    """Write every pair, with the name of the first rule that it breaks or null."""
    rules = ResponseRules.model_validate_json(arguments.rules)
    counts = Counter()

    def pair(row: dict, response: str) -> dict:
        response = clean_response(response)
        broken = first_failing_rule(row["instruction"], row["input"], response, rules)
        counts["unbroken"] += broken is None
        counts["all"] += 1
        return row | {"response": response, "rejected_by": broken}

    answers = answered(arguments.instructions, arguments.responses)
    write_jsonl(arguments.pairs, (pair(row, response) for row, response in answers))
    print(f"{arguments.pairs}: {counts['unbroken']} of {counts['all']} break no rule")


def answered(instructions: Path, responses: Path) -> Iterator[tuple[dict, str]]:
    """Yield each instruction with its response, reading both files side by side.

    Raises InputError where the responses are not those of the instructions in the same order.
    """
    both = zip_longest(
        iterate_some(instructions, "id", "instruction", "input"), iterate_some(responses, "id", "response")
    )
    for line, (row, response) in enumerate(both, start=1):
        asked, found = (each and each["id"] for each in (row, response))
        if asked != found:
            raise InputError(
                f"{responses}: line {line} {_of(found)}, but line {line} of {instructions} {_of(asked)}; write the "
                "responses to these instructions again."
            )
        yield row, response["response"]


def _of(id: str | None) -> str:
    return "is missing" if id is None else f"is of {id!r}"


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--instructions", type=Path, required=True, help="JSON Lines: id, instruction, input")
parser.add_argument("--responses", type=Path, required=True, help="JSON Lines: id, response")
parser.add_argument("--rules", required=True, help="settings of the response rules, JSON")
parser.add_argument("--pairs", type=Output, required=True, help="JSON Lines to write")

if __name__ == "__main__":
    cli.run(main, parser)
