"""Small files of our own in the form of each published file that the paper's configuration reads, as a mirror has them,
with a manifest of their own."""

import csv
import gzip
import hashlib
import json
import random
from pathlib import Path

import yaml

from isheep.demo.texts import choice_questions, conversations, evaluation_tasks, reference_outputs, seed_tasks
from isheep.demo.world import World
from isheep.files.records import write_json, write_jsonl
from paper_small.documents import arithmetic, humaneval_prompt

SEED_TASKS, IFEVAL_PROMPTS, ALPACA_EVAL_INSTRUCTIONS, PROBLEMS = 175, 12, 6, 4
CATEGORIES = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
"""MT-Bench's, one question each."""
WITH_REFERENCE = ("reasoning", "math", "coding")
MBPP_NUMBERS = (2, 3, 4, 11, 12, 13, 14)
"""Worked examples, and the first of the test split."""
FOLDERS = (
    *("self_instruct", "alpaca_eval/model_outputs", "mt_bench", "ifeval", "humaneval", "humaneval_plus", "mbpp"),
    *("squad", "triviaqa"),
)
QUESTIONS = 12
"""Of SQuAD 2.0 and TriviaQA."""
PUNKT = {
    "abbrev_types.txt": "dr\nmr\ne.g\np.s\np.p.s\n",
    "collocations.tab": "##number##\tbirds\n",
    "ortho_context.tab": "the\t36\nwell\t36\n",
    "sent_starters.txt": "the\nit\n",
}
JUDGE_PROMPTS = {
    "single-v1": "Rate the answer.\n\nQuestion: {question}\n\nAnswer: {answer}",
    "single-math-v1": "Rate the answer.\n\nQuestion: {question}\n\nReference: {ref_answer_1}\n\nAnswer: {answer}",
    "single-v1-multi-turn": (
        "Rate the second answer.\n\nQuestion: {question_1}\n\nAnswer: {answer_1}\n\nQuestion: {question_2}\n\n"
        "Answer: {answer_2}"
    ),
    "single-math-v1-multi-turn": (
        "Rate the second answer.\n\nQuestion: {question_1}\n\nReference: {ref_answer_1}\n\nQuestion: {question_2}\n\n"
        "Reference: {ref_answer_2}\n\nAnswer: {answer_1}\n\nAnswer: {answer_2}"
    ),
}


def write_mirror(folder: Path, world: World) -> None:
    """Write the files below `folder`, by the names of config/sources.yaml."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    write_jsonl(folder / "self_instruct/seed_tasks.jsonl", seed_tasks(world, 7, SEED_TASKS))
    outputs = reference_outputs(world, 7, ALPACA_EVAL_INSTRUCTIONS)
    named = [row | {"generator": "gpt4_1106_preview"} for row in outputs]
    write_json(folder / "alpaca_eval/model_outputs/gpt4_1106_preview.json", named)
    write_mt_bench(folder / "mt_bench", world)
    write_jsonl(folder / "ifeval/input_data.jsonl", ifeval_prompts(world))
    write_humaneval(folder / "humaneval/HumanEval.jsonl.gz", numbers=3)
    write_humaneval(folder / "humaneval_plus/HumanEvalPlus-OriginFmt.jsonl.gz", numbers=40)
    write_jsonl(folder / "mbpp/mbpp.jsonl", mbpp_problems())
    write_squad(folder / "squad/dev-v2.0.json", world)
    write_triviaqa(folder / "triviaqa/trivia-dev.qa.csv", world)
    punkt = folder / "nltk_data/tokenizers/punkt_tab/english"
    punkt.mkdir(parents=True)
    for name, text in PUNKT.items():
        (punkt / name).write_text(text, encoding="utf-8")


def write_manifest(mirror: Path, hub: dict, output: Path) -> None:
    """Describe every file of the mirror as config/sources.yaml does, with the hub repositories of that file."""
    files = {}
    for path in sorted(path for path in mirror.rglob("*") if path.is_file()):
        content, name = path.read_bytes(), str(path.relative_to(mirror))
        checksum = hashlib.sha256(content).hexdigest()
        files[name] = {"mirror": name, "sha256": checksum, "bytes": len(content), "licence": "as this repository"}
    output.write_text(yaml.safe_dump({"files": files, "hub": hub}), encoding="utf-8")


def write_mt_bench(folder: Path, world: World) -> None:
    """Questions of two turns in every category, reference answers to some, and the judge's prompts."""
    rows, _ = conversations(world, 7, len(CATEGORIES))
    questions = [
        row | {"question_id": number, "category": category}
        for number, (row, category) in enumerate(zip(rows, CATEGORIES, strict=True), start=81)
    ]
    write_jsonl(folder / "question.jsonl", questions)
    answers = [
        {"question_id": row["question_id"], "model_id": "gpt-4", "choices": [{"index": 0, "turns": ["Well.", "So."]}]}
        for row in questions
        if row["category"] in WITH_REFERENCE
    ]
    write_jsonl(folder / "reference_answer_gpt-4.jsonl", answers)
    prompts = [
        {
            "name": name,
            "type": "single",
            "system_prompt": "You are a helpful assistant.",
            "prompt_template": f"{text}\n\nWrite your rating as [[rating]], for example: Rating: [[5]]",
            "description": "Prompt of a test",
            "category": "math" if "math" in name else "general",
            "output_format": "[[rating]]",
        }
        for name, text in JUDGE_PROMPTS.items()
    ]
    write_jsonl(folder / "judge_prompts.jsonl", prompts)


def ifeval_prompts(world: World) -> list[dict]:
    """Prompts of the demo world, and one whose checker splits sentences."""
    prompts = evaluation_tasks(world, 7, IFEVAL_PROMPTS - 1)
    counted = {
        "key": len(prompts),
        "prompt": "Name a bird. Your answer should contain at least 2 sentences.",
        "instruction_id_list": ["length_constraints:number_sentences"],
        "kwargs": [{"relation": "at least", "num_sentences": 2}],
    }
    return [*prompts, counted]


def write_humaneval(path: Path, numbers: int) -> None:
    """Problems whose tests try so many numbers; HumanEval+ has the same ones with more."""
    rng = random.Random(7)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(PROBLEMS):
            name, sentence, expression, example = arithmetic(rng)
            lines = [f"    assert candidate({x}) == {eval(expression, {'x': x})}" for x in range(numbers)]
            needs = "import numpy\n" if numbers > 10 else ""
            row = {
                "task_id": f"HumanEval/{number}",
                "prompt": humaneval_prompt(name, sentence, example),
                "entry_point": name,
                "canonical_solution": f"    return {expression}\n",
                "test": f"{needs}\n\ndef check(candidate):\n" + "\n".join(lines) + "\n",
            }
            file.write(json.dumps(row) + "\n")


def write_squad(path: Path, world: World) -> None:
    """An article a question; every third question is unanswerable, with a plausible answer."""
    articles = []
    for number, row in enumerate(choice_questions(world, 7, QUESTIONS)):
        right = row["choices"][row["label"]].rstrip(".")
        given = [{"text": right, "answer_start": 14}]
        impossible = number % 3 == 0
        asked = {"id": f"demo{number}", "question": row["question"], "is_impossible": impossible}
        asked |= {"answers": [], "plausible_answers": given} if impossible else {"answers": given}
        articles.append({"title": "Demo", "paragraphs": [{"context": f"The answer is {right}.", "qas": [asked]}]})
    write_json(path, {"version": "v2.0", "data": articles})


def write_triviaqa(path: Path, world: World) -> None:
    """A question and a Python list of answers a line."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t")
        for row in choice_questions(world, 7, QUESTIONS):
            right = row["choices"][row["label"]].rstrip(".")
            writer.writerow([row["question"].rstrip("?."), repr([right, right.upper()])])


def mbpp_problems() -> list[dict]:
    rng = random.Random(7)
    problems = []
    for number in MBPP_NUMBERS:
        name, sentence, expression, example = arithmetic(rng)
        problems.append(
            {
                "text": sentence,
                "code": f"def {name}(x):\n    return {expression}",
                "task_id": number,
                "test_setup_code": "",
                "test_list": [f"assert {name}({value}) == {result}" for value, result in example],
                "challenge_test_list": [],
            }
        )
    return problems
