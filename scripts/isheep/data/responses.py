"""Responses: the zero-shot prompt, and the rules that drop a plainly broken pair before it is scored.

The rules are those of the method's released scripts (arXiv 2408.08072 names them "heuristic rules").
"""

import re
from collections.abc import Callable

from isheep.settings import Settings


class ResponseRules(Settings):
    """Rules that drop a pair before it is scored, in the order in which they are tried; false switches one
    off."""

    role_line: bool = True
    """Drop if a line of the response begins with assistant, system, human, question, output or user (in
    any case), directly followed by a colon or a line break."""
    answer_choices: bool = True
    """Drop if the response has a header `Answer choices:`."""
    response_noinput: bool = True
    """Drop if the response has `noinput` or `no input`."""
    can_you: bool = True
    """Drop if a line after the first of the response begins with `can you`."""
    do_you: bool = True
    """Drop if a line after the first of the response begins with `do you`."""
    short_question: bool = True
    """Drop if a paragraph of the response (between blank lines) ends with `?` and has at most 100
    characters."""
    lettered_choices: bool = True
    """Drop if the response lists choices: two different letters of A to E, as lines that begin with `A.`,
    `B.`, or anywhere as `(A)`, `(B)`."""
    chinese: bool = True
    """Drop if the response has a Chinese character."""
    instruction_noinput: bool = True
    """Drop if the instruction or its input has `noinput` or `no input`."""
    placeholder: bool = True
    """Drop if the instruction or its input has a placeholder in angle brackets of at most 20 characters."""
    none: bool = True
    """Drop if the instruction or its input has the word `none`."""
    repeated_input: bool = True
    """Drop if the input is not empty and stands in the instruction already."""
    empty: bool = True
    """Drop if the response is empty."""


ANSWER_LABEL = re.compile(r"\A\s*\u7b54\u6848\s*[:\uff1a]")
ROLE_LINE = re.compile(r"^(?:assistant|system|human|question|output|user)[:\n]", re.IGNORECASE | re.MULTILINE)
ANSWER_CHOICES = re.compile(r"\banswer choices\s*:", re.IGNORECASE)
NO_INPUT = re.compile(r"\bno ?input\b", re.IGNORECASE)
CAN_YOU = re.compile(r"\n\s*can you\b", re.IGNORECASE)
DO_YOU = re.compile(r"\n\s*do you\b", re.IGNORECASE)
BLANK_LINE = re.compile(r"\n\s*\n")
MOST_CHARACTERS_OF_A_QUESTION = 100
CHOICE_LINE = re.compile(r"^[ \t]*([A-E])\.(?=\s)", re.MULTILINE)
CHOICE_IN_BRACKETS = re.compile(r"\(([A-E])\)")
CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
PLACEHOLDER = re.compile(r"<(?!\s)[^<>\n]{1,20}(?<!\s)>")
NONE = re.compile(r"\bnone\b", re.IGNORECASE)


def _has_short_question(response: str) -> bool:
    paragraphs = (paragraph.strip() for paragraph in BLANK_LINE.split(response))
    return any(text.endswith("?") and len(text) <= MOST_CHARACTERS_OF_A_QUESTION for text in paragraphs)


def _lists_choices(response: str) -> bool:
    return any(len(set(pattern.findall(response))) >= 2 for pattern in (CHOICE_LINE, CHOICE_IN_BRACKETS))


BREAKS: dict[str, Callable[[str, str, str], object]] = {
    "role_line": lambda instruction, given, response: ROLE_LINE.search(response),
    "answer_choices": lambda instruction, given, response: ANSWER_CHOICES.search(response),
    "response_noinput": lambda instruction, given, response: NO_INPUT.search(response),
    "can_you": lambda instruction, given, response: CAN_YOU.search(response),
    "do_you": lambda instruction, given, response: DO_YOU.search(response),
    "short_question": lambda instruction, given, response: _has_short_question(response),
    "lettered_choices": lambda instruction, given, response: _lists_choices(response),
    "chinese": lambda instruction, given, response: CHINESE.search(response),
    "instruction_noinput": lambda instruction, given, response: NO_INPUT.search(f"{instruction}\n{given}"),
    "placeholder": lambda instruction, given, response: PLACEHOLDER.search(f"{instruction}\n{given}"),
    "none": lambda instruction, given, response: NONE.search(f"{instruction}\n{given}"),
    "repeated_input": lambda instruction, given, response: given.strip() and given.strip() in instruction,
    "empty": lambda instruction, given, response: not response.strip(),
}
"""For each rule, whether (instruction, input, response) breaks it. Keys are those of ResponseRules."""


def clean_response(response: str) -> str:
    """Return the response without a leading Chinese label "answer:" and without white space around it."""
    return ANSWER_LABEL.sub("", response, count=1).strip() if ANSWER_LABEL.match(response) else response.strip()


def first_failing_rule(instruction: str, input: str, response: str, rules: ResponseRules) -> str | None:
    """Return the name of the first rule, of those switched on, that the pair breaks; None if it breaks none.

    response: as clean_response returns it.
    """
    switched_on = (name for name in BREAKS if getattr(rules, name))
    return next((name for name in switched_on if BREAKS[name](instruction, input, response)), None)
