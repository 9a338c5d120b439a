"""Join instructions and responses to pairs, and name the response rule that a pair breaks, if any."""

import argparse
from pathlib import Path

from isheep import program
from isheep.ownership import Output
from isheep.reading import read_some
from isheep.records import InputError, write_jsonl
from isheep.responses import ResponseRules, clean_response, first_failing_rule


def main(arguments: argparse.Namespace) -> None:
    """Write every pair, with the name of the first rule that it breaks or null."""
    rules = ResponseRules.model_validate_json(arguments.rules)
    responses = {row["id"]: row["response"] for row in read_some(arguments.responses)}
    pairs = []
    for row in read_some(arguments.instructions):
        if row["id"] not in responses:
            raise InputError(
                f"{arguments.responses}: it has no response to {row['id']!r}; remove it, and it is made again."
            )
        response = clean_response(responses[row["id"]])
        broken = first_failing_rule(row["instruction"], row["input"], response, rules)
        pairs.append(row | {"response": response, "rejected_by": broken})
    write_jsonl(arguments.pairs, pairs)
    print(f"{arguments.pairs}: {sum(pair['rejected_by'] is None for pair in pairs)} of {len(pairs)} break no rule")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--instructions", type=Path, required=True, help="JSON Lines: id, instruction, input")
parser.add_argument("--responses", type=Path, required=True, help="JSON Lines: id, response")
parser.add_argument("--rules", required=True, help="settings of the response rules, JSON")
parser.add_argument("--pairs", type=Output, required=True, help="JSON Lines to write")

if __name__ == "__main__":
    program.run(main, parser)
