"""Run written programs against their problems' tests in a sandbox: a row per program, and one result record."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from isheep import cli
from isheep.benchmarks.programs import (
    TIME_LIMITS,
    FinishedPrograms,
    published_samples_note,
    read_problems,
    read_samples,
    require_enough_samples,
    require_modules,
    run_samples,
    scores,
    select_problems,
)
from isheep.benchmarks.results import add_result_arguments, write_result
from isheep.benchmarks.sandbox import Limits, find_sandbox
from isheep.files.records import unfinished_folder, write_jsonl

NOTES = {
    ("humaneval", "raw"): "HumanEval's prompts, stop texts and length are those of lm-eval's task humaneval.",
    ("humaneval", "chat"): (
        "HumanEval in a chat: the request of lm-eval's task humaneval_instruct, without its opened answer; the "
        "first code block of the answer is run behind the prompt."
    ),
    ("mbpp", "raw"): (
        "MBPP's prompts, stop text and length are those of lm-eval's task mbpp; unlike there, a problem's "
        "test_setup_code is run before its tests."
    ),
    ("mbpp", "chat"): (
        "MBPP in a chat: the prompt of lm-eval's task mbpp as the user's message; the first code block of the answer "
        "is run, and a problem's test_setup_code before its tests."
    ),
    ("humaneval", "opencompass"): (
        "HumanEval as OpenCompass asks it (humaneval_gen_8e312c) and takes a program from the answer, which is run "
        "behind the prompt."
    ),
    ("mbpp", "opencompass"): (
        "MBPP as OpenCompass asks it (mbpp_gen_830460) and takes a program from the answer, which is run with the "
        "problem's tests."
    ),
    ("humaneval", "published"): "HumanEval: published programs, run behind the prompt.",
    ("mbpp", "published"): "MBPP: published programs, run with each problem's test_setup_code before its tests.",
}
"""How the programs came about, by format and --written, or --protocol where that is not lm-eval's."""


def main(arguments: argparse.Namespace) -> None:
    """Run all programs that a killed job had not run yet, and publish items and result."""
    all_problems = read_problems(arguments.problems, arguments.format, arguments.protocol)
    problems = select_problems(all_problems, arguments.ids)
    samples = read_samples(arguments.samples, problems)
    require_enough_samples(samples, arguments.k)
    sandbox = find_sandbox(arguments.image)
    require_modules(problems, sandbox)
    time_limit = arguments.time_limit or TIME_LIMITS[arguments.format]
    limits = Limits(cpu_seconds=time_limit, memory_mib=arguments.memory_limit)
    folder = unfinished_folder(arguments.items)
    outcomes = run_samples(samples, problems, sandbox, limits, arguments.threads, folder)
    notes = published_samples_note(samples) if arguments.written == "published" else []
    is_opencompass = arguments.protocol == "opencompass" and arguments.written != "published"
    how = "opencompass" if is_opencompass else arguments.written
    record = {
        "benchmark": arguments.benchmark,
        "task": arguments.format,
        "scores": scores(outcomes, arguments.k),
        "versions": sandbox.identity["versions"],
        "sandbox": sandbox.identity,
        "seed": None,
        "judge": None,
        "notes": [NOTES[arguments.format, how], *notes],
        "ids": arguments.ids,
        "samples": len(outcomes),
        "limits": {"cpu_seconds": limits.cpu_seconds, "wall_seconds": limits.until, "memory_mib": limits.memory_mib},
        "written": arguments.written,
        "answered_by": json.loads(arguments.answered_by.read_text(encoding="utf-8")),
    }
    write_jsonl(arguments.items, map(asdict, outcomes))
    read = [arguments.samples, arguments.problems, arguments.answered_by]
    write_result(arguments, record, read, record["answered_by"])
    FinishedPrograms(folder).finish()
    print(f"{arguments.benchmark}: {sum(outcome.passed for outcome in outcomes)} of {len(outcomes)} programs passed")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--problems", type=Path, required=True, help="file of problems as published")
parser.add_argument("--format", choices=("humaneval", "mbpp"), required=True, help="format of the problems")
parser.add_argument("--protocol", choices=("lm_eval", "opencompass"), default="lm_eval", help="whose protocol")
parser.add_argument("--ids", type=int, nargs=2, metavar=("FIRST", "LAST"), help="only problems with these numbers")
parser.add_argument("--samples", type=Path, required=True, help="JSON Lines: task_id, completion")
parser.add_argument("--written", choices=("raw", "chat", "published"), required=True, help="how the samples came about")
parser.add_argument("--answered-by", type=Path, required=True, help="JSON: who wrote the samples, and how")
parser.add_argument("--k", type=int, action="extend", nargs="+", required=True, help="report pass@k for each")
parser.add_argument("--time-limit", type=int, help="seconds of CPU time of one program; default: the format's")
parser.add_argument("--memory-limit", type=int, default=1024, help="MiB of memory of one program")
parser.add_argument("--image", help="container image with python3, for apptainer")
parser.add_argument("--threads", type=int, default=1, help="programs run at once")
add_result_arguments(parser)

if __name__ == "__main__":
    cli.run(main, parser)
