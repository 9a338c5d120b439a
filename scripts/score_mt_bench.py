"""Turn MT-Bench judgments into scores: per turn, per category, and their average."""

import argparse
import json
from pathlib import Path

from isheep import cli
from isheep.benchmarks.mt_bench import score_rows
from isheep.benchmarks.results import add_result_arguments, write_result
from isheep.files.records import read_jsonl, write_jsonl


def main(arguments: argparse.Namespace) -> None:
    """Write a row per judged turn, and the result record."""
    judgments = read_jsonl(arguments.judgments)
    record = json.loads(arguments.usage.read_text(encoding="utf-8"))
    scores = score_rows(judgments)
    write_jsonl(arguments.items, map(item_row, judgments))
    result = {
        "benchmark": arguments.benchmark,
        "task": "mt_bench",
        "scores": scores,
        "versions": record["versions"],
        "seed": record["seed"],
        "judge": record["judge"],
        "answered_by": json.loads(arguments.answered_by.read_text(encoding="utf-8")),
        "notes": record["notes"],
        "model": judgments[0]["model"],
    }
    read = [arguments.judgments, arguments.usage, arguments.answered_by]
    write_result(arguments, result, read, record, result["answered_by"])
    print(f"{arguments.benchmark}: average {scores[0]['value']} of {scores[0]['n_valid']} of {scores[0]['n']} turns")


def item_row(judgment: dict) -> dict:
    """One row of the items file."""
    return {
        "id": judgment["question_id"],
        "turn": judgment["turn"],
        "category": judgment["category"],
        "judge_prompt": judgment["judge"][1],
        "metrics": {key: judgment[key] for key in ("score", "expected_score") if key in judgment},
    }


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--judgments", type=Path, required=True, help="JSON Lines: a row per question and turn")
parser.add_argument("--usage", type=Path, required=True, help="JSON: what the judgments come from")
parser.add_argument("--answered-by", type=Path, required=True, help="JSON: who answered, and how")
add_result_arguments(parser)

if __name__ == "__main__":
    cli.run(main, parser)
