"""Let a checkpoint answer MT-Bench's questions, or take a baseline's published answers (`--take FILE`)."""

import argparse
import json
from pathlib import Path

from isheep import cli
from isheep.benchmarks.mt_bench import Question, answer_prompt, answer_sampling, load_answers, load_questions
from isheep.engine.engine import Request
from isheep.engine.flags import (
    add_checkpoint_argument,
    add_engine_arguments,
    add_prompting_arguments,
    open_requested_engine,
)
from isheep.engine.journal import Journal, complete_with_journal
from isheep.engine.provenance import (
    add_answered_by_argument,
    write_answered_by_checkpoint,
    write_answered_by_publication,
)
from isheep.files.ownership import Output
from isheep.files.records import unfinished_folder, write_jsonl
from isheep.seeding import derive_seed


def answer(arguments: argparse.Namespace) -> None:
    """Answer all first turns, then all second ones with the checkpoint's own first answers in sight.

    White space around an answer is cut off, as in FastChat.
    """
    questions = load_questions(arguments.questions)
    engine = open_requested_engine(arguments, arguments.checkpoint, "max_tokens of the benchmark")
    journal = unfinished_folder(arguments.answers)
    first = complete_with_journal(engine, turn_requests(arguments, questions, [None] * len(questions)), journal)
    texts = [completion.text.strip() for completion in first]
    second = complete_with_journal(engine, turn_requests(arguments, questions, texts), journal)
    rows = [
        answer_row(question.id, arguments.model_id, [done.text.strip() for done in turns])
        | {
            "finish_reasons": [done.finish_reason for done in turns],
            "tokens": [done.completion_tokens for done in turns],
        }
        for question, *turns in zip(questions, first, second, strict=True)
    ]
    write_answered_by_checkpoint(arguments, engine, arguments.questions)
    write_jsonl(arguments.answers, rows)
    Journal(journal).finish()
    print(f"{arguments.answers}: {len(rows)} questions answered")


def take(arguments: argparse.Namespace) -> None:
    """Check published answers against the questions, and write them in their order."""
    answers = load_answers(arguments.take, load_questions(arguments.questions), arguments.model)
    write_answered_by_publication(arguments, arguments.questions)
    write_jsonl(arguments.answers, (answer_row(id, answer.model, answer.turns) for id, answer in answers.items()))
    print(f"{arguments.answers}: {len(answers)} answers taken from {arguments.take}")


def turn_requests(
    arguments: argparse.Namespace, questions: list[Question], first_answers: list[str | None]
) -> list[Request]:
    """One request per question: its first turn where there is no first answer, else its second."""
    temperatures = json.loads(arguments.temperatures)
    return [
        Request(
            str(question.id),
            answer_prompt(
                question,
                first_answer,
                chat=arguments.chat,
                system_prompt=arguments.system_prompt,
                raw_suffix=arguments.raw_suffix,
            ),
            answer_sampling(question.category, temperatures, arguments.max_tokens),
            derive_seed(arguments.seed, question.id, 1 if first_answer is None else 2),
        )
        for question, first_answer in zip(questions, first_answers, strict=True)
    ]


def answer_row(question_id: int | str, model: str, turns: list[str] | tuple[str, ...]) -> dict:
    """A row of FastChat's answer files."""
    return {"question_id": question_id, "model_id": model, "choices": [{"index": 0, "turns": list(turns)}]}


shared = argparse.ArgumentParser(add_help=False)
add_answered_by_argument(shared)
shared.add_argument("--questions", type=Path, required=True, help="JSON Lines: question_id, category, two turns")
shared.add_argument("--answers", type=Output, required=True, help="JSON Lines to write, one row a question")

parser = argparse.ArgumentParser(description=__doc__, parents=[shared])
add_engine_arguments(parser)
add_prompting_arguments(parser)
add_checkpoint_argument(parser, "--checkpoint", "folder with the weights that answer")
parser.add_argument("--model-id", required=True, help="name of the checkpoint in the answers")
parser.add_argument("--temperatures", required=True, help="temperature by category, JSON")
parser.add_argument("--max-tokens", type=int, required=True, help="the most tokens of an answer")
parser.add_argument("--raw-suffix", default="", help="text put behind each text of a prompt that is answered raw")

take_parser = argparse.ArgumentParser(description=take.__doc__, parents=[shared])
take_parser.add_argument("--take", type=Path, required=True, help="published answers in FastChat's format")
take_parser.add_argument("--model", help="whose answers, where the file has those of several models")

if __name__ == "__main__":
    cli.run_or_take(answer, parser, take, take_parser)
