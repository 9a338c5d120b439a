"""Let a judge rate answers to MT-Bench's questions, or take published judgments of them (`--take FILE`)."""

import argparse
from pathlib import Path

from isheep import cli
from isheep.benchmarks.judges import add_judge_arguments, open_requested_judge, usage
from isheep.benchmarks.mt_bench import (
    Answer,
    Grading,
    ask_judge,
    gradings,
    judgment_row,
    load_answers,
    load_judge_prompts,
    load_questions,
    load_references,
    notes,
    take_judgments,
)
from isheep.engine.engine import Sampling
from isheep.engine.flags import add_sampling_argument
from isheep.engine.journal import Journal
from isheep.engine.provenance import ENGINE_PACKAGES, installed_versions
from isheep.files.ownership import Output
from isheep.files.records import files_read, unfinished_folder, write_json, write_jsonl

VERSIONS_OF = ("openai", *ENGINE_PACKAGES)


def judge(arguments: argparse.Namespace) -> None:
    """Write one judgment per question and turn, and what the judge has used."""
    asked, answers = read_gradings(arguments)
    journal = unfinished_folder(arguments.judgments)
    judge = open_requested_judge(arguments, journal)
    completions = ask_judge(
        judge,
        asked,
        sampling=Sampling.model_validate_json(arguments.sampling),
        retry_temperature=arguments.retry_temperature,
        attempts=arguments.judgment_attempts,
        seed=arguments.seed,
        folder=journal,
    )
    name = judge.settings.model or judge.settings.api.model
    judgments = [
        judgment_row(grading, answers[grading.question.id].model, name, completions[grading.id]) for grading in asked
    ]
    every = [completion for attempts in completions.values() for completion in attempts]
    publish(
        arguments,
        judgments,
        judge={"identity": judge.identity, "usage": usage(judge.settings, every)},
        seed=arguments.seed,
        versions=installed_versions(VERSIONS_OF),
    )
    Journal(journal).finish()


def take(arguments: argparse.Namespace) -> None:
    """Check published judgments against questions, answers and prompts, and write them in the questions' order."""
    asked, _ = read_gradings(arguments)
    judgments = take_judgments(arguments.take, arguments.model, asked)
    publish(arguments, judgments, judge=None, seed=None, versions={})


def read_gradings(arguments: argparse.Namespace) -> tuple[list[Grading], dict[int | str, Answer]]:
    """What a judge is asked, and the answers by question."""
    questions = load_questions(arguments.questions)
    answers = load_answers(arguments.answers, questions)
    references = load_references(arguments.references, questions, arguments.reference_categories)
    return gradings(questions, answers, references, load_judge_prompts(arguments.judge_prompts)), answers


def publish(arguments: argparse.Namespace, judgments: list[dict], **record) -> None:
    """Write the judgments, and beside them what they come from."""
    source = [] if record["judge"] else [f"The judgments are published ones, by {judgments[0]['judge'][0]}."]
    record |= {"notes": source + notes(judgments), "made_from": files_read(input_files(arguments))}
    write_json(arguments.usage, record)
    write_jsonl(arguments.judgments, judgments)
    missing = sum(row["score"] is None for row in judgments)
    print(f"{arguments.judgments}: {len(judgments)} judgments, {missing} of them without a rating")


def input_files(arguments: argparse.Namespace) -> list[Path | None]:
    """The files that judgments depend on."""
    inputs = [arguments.questions, arguments.references, arguments.judge_prompts, arguments.answers]
    return [*inputs, getattr(arguments, "take", None)]


shared = argparse.ArgumentParser(add_help=False)
shared.add_argument("--questions", type=Path, required=True, help="JSON Lines: question_id, category, two turns")
shared.add_argument("--references", type=Path, help="JSON Lines: reference answers, in the format of answers")
shared.add_argument(
    "--reference-categories", action="extend", nargs="+", default=[], help="categories judged against a reference"
)
shared.add_argument("--judge-prompts", type=Path, required=True, help="JSON Lines: FastChat's judge prompts")
shared.add_argument("--answers", type=Path, required=True, help="JSON Lines: the answers that are judged")
shared.add_argument("--judgments", type=Output, required=True, help="JSON Lines to write, a row per question and turn")
shared.add_argument("--usage", type=Output, required=True, help="JSON to write: who judged, how, and what it took")

parser = argparse.ArgumentParser(description=__doc__, parents=[shared])
add_judge_arguments(parser)
add_sampling_argument(parser)
parser.add_argument("--judgment-attempts", type=int, required=True, help="asks, at most, until there is a rating")
parser.add_argument("--retry-temperature", type=float, required=True, help="temperature of all asks but the first")

take_parser = argparse.ArgumentParser(description=take.__doc__, parents=[shared])
take_parser.add_argument("--take", type=Path, required=True, help="published judgments in FastChat's format")
take_parser.add_argument("--model", help="whose judgments, where the file has those of several models")

if __name__ == "__main__":
    cli.run_or_take(judge, parser, take, take_parser)
