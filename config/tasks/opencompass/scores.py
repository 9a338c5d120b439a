"""How OpenCompass scores an answer in words (its NQEvaluator, TriviaQAEvaluator and SQuAD20Evaluator, at the commit
that README.md names). Each function takes a document and its one answer, and gives 1 or 0.
"""

import re

ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)


def plain(text: str) -> str:
    """A text up to its first line's end, full stop or comma, without punctuation, articles and double spaces."""
    clause = re.split(r"[\n.,]", text, maxsplit=1)[0]
    words = ARTICLES.sub("", re.sub(r"[^\w\s]", "", clause))
    return " ".join(words.split())


def after_last(text: str, *marks: str) -> str:
    """What follows the last of a mark, for one mark after the other."""
    for mark in marks:
        text = text.rpartition(mark)[2]
    return text


def references(doc: dict) -> list[str]:
    """The answers that count, as answers are compared."""
    return [plain(answer).lower() for answer in doc["answers"]]


def contained(doc: dict, answer: str) -> dict:
    """Whether one of the right answers is part of the given one."""
    return {"score": float(any(reference in answer for reference in references(doc)))}


def natural_questions(doc: dict, results: list[str]) -> dict:
    """Whether the first line, behind `answer is`, holds a right answer."""
    line = results[0].strip().split("\n")[0].lower()
    return contained(doc, plain(after_last(line, "answer is")))


def triviaqa(doc: dict, results: list[str]) -> dict:
    """Whether the first line, behind `answer is`, `a:` and `answer:`, holds a right answer."""
    line = results[0].strip().split("\n")[0].lower()
    return contained(doc, plain(after_last(line, "answer is", "a:", "answer:").strip()))


def squad(doc: dict, results: list[str]) -> dict:
    """Whether the first line, behind `answer is`, equals a right answer; an empty first line is an answer too."""
    line = results[0].split("\n")[0].lower()
    return {"score": float(plain(after_last(line, "answer is")) in references(doc))}
