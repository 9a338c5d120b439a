"""The rows of the hub's data sets and of published files as OpenCompass's loaders hand them on (its package's
datasets/*.py, at the commit that README.md names).
"""

import ast
import re
from collections.abc import Callable, Iterable

from datasets import Dataset

LETTERS = "ABCD"


def each(row: Callable[[dict], dict | None]) -> Callable[[Iterable[dict]], Dataset]:
    """A function that lm-eval calls on a split: a document of every row, but for those that are None."""

    def documents(rows: Iterable[dict]) -> Dataset:
        return Dataset.from_list([doc for doc in map(row, rows) if doc is not None])

    return documents


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


@each
def boolq(row: dict) -> dict:
    """The passage without the title before its first ` -- `."""
    passage = " -- ".join(row["passage"].split(" -- ")[1:])
    return {"passage": passage, "question": upper_first(row["question"]), "label": int(row["label"])}


@each
def piqa(row: dict) -> dict:
    """A solution begins small where it goes on with the goal's sentence."""
    goal = upper_first(row["goal"])
    begin = upper_first if goal.endswith(("?", ".")) else lower_first
    return {"statements": [f"{goal} {begin(row[key])}" for key in ("sol1", "sol2")], "label": int(row["label"])}


@each
def siqa(row: dict) -> dict:
    texts = {key: row[key] for key in ("context", "question", "answerA", "answerB", "answerC")}
    return texts | {"label": int(row["label"]) - 1}


class Gpqa:
    """The right choice and three wrong ones, turned by one place from each question to the next."""

    def __call__(self, rows: Iterable[dict]) -> Dataset:
        return Dataset.from_list([self.document(number, row) for number, row in enumerate(rows, start=1)])

    @staticmethod
    def document(number: int, row: dict) -> dict:
        right = row["Correct Answer"]
        given = [right, *(row[f"Incorrect Answer {wrong}"] for wrong in (1, 2, 3))]
        turn = number % len(given)
        choices = given[turn:] + given[:turn]
        return {"question": row["Question"], "choices": choices, "label": choices.index(right)}


gpqa = Gpqa()


def without_marks(text: str) -> str:
    """A text of WikiHow without the marks of its editors."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


@each
def hellaswag(row: dict) -> dict:
    query = without_marks(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}")
    endings = [without_marks(ending) for ending in row["endings"]]
    return {"statements": [f"{query} {ending}" for ending in endings], "label": int(row["label"])}


@each
def winogrande(row: dict) -> dict:
    filled = [row["sentence"].replace("_", row[key]) for key in ("option1", "option2")]
    return {"statements": [f"Good sentence: {sentence}" for sentence in filled], "label": int(row["answer"]) - 1}


def lettered(question: str, choices: dict, key: str) -> dict:
    texts = dict(zip("ABCDE", choices["text"], strict=False))
    return texts | {"question": question, "label": list(choices["label"]).index(key)}


@each
def arc(row: dict) -> dict | None:
    """Questions of four choices, whatever these are numbered by."""
    if len(row["choices"]["text"]) != len(LETTERS):
        return None
    return lettered(row["question"], row["choices"], row["answerKey"])


@each
def openbookqa(row: dict) -> dict:
    """The beginning of a sentence is made a question."""
    stem = row["question_stem"]
    question = stem if stem.endswith("?") else f"{stem} what?"
    return lettered(question, row["choices"], row["answerKey"]) | {"fact": row["fact1"]}


@each
def commonsense_qa(row: dict) -> dict:
    choices = row["choices"]
    label = list(choices["label"]).index(row["answerKey"])
    return {"question": row["question"], "choices": list(choices["text"]), "label": label}


@each
def natural_questions(row: dict) -> dict:
    return {"question": row["question"], "answers": list(row["answer"])}


@each
def triviaqa(row: dict) -> dict:
    """Answers are written as a list in Python."""
    return {"question": row["question"], "answers": ast.literal_eval(row["answers"])}


def squad(articles: Iterable[dict]) -> Dataset:
    """A question without an answer counts as answered by its plausible answers, and by saying so."""
    return Dataset.from_list(
        [
            {"context": paragraph["context"], "question": question["question"], "answers": squad_answers(question)}
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    )


def squad_answers(question: dict) -> list[str]:
    """The answers that count, each once, in their order."""
    impossible = question["is_impossible"]
    given = question["plausible_answers" if impossible else "answers"] or []
    texts = list(dict.fromkeys(answer["text"] for answer in given))
    return [*texts, "impossible to answer"] if impossible else texts
