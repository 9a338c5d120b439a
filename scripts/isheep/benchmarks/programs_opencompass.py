"""HumanEval, HumanEval+ and MBPP as OpenCompass asks them, and the program that it takes from an answer.

Source: github.com/open-compass/opencompass, commit 81d0e4d793103e7d607669002985f1278c261cfb (23 April 2024):
configs/datasets/humaneval/humaneval_gen_8e312c.py, humaneval_plus/humaneval_plus_gen_8e312c.py and
mbpp/mbpp_gen_830460.py; in opencompass/datasets `humaneval_postprocess_v2` of humaneval.py, `MBPPEvaluator` of mbpp.py.
"""

import ast
import re
from itertools import product

MAX_TOKENS = 512
"""Both configurations' `max_out_len`."""

HUMANEVAL_REQUEST = "Complete the following python code:\n{prompt}"
MBPP_REQUEST = (
    "You are an expert Python programmer, and here is your task: {task} Your code should pass these tests:\n\n "
    "{tests}  \n"
)
MBPP_BEGIN = "[BEGIN]\n"
"""How a base model's answer begins; a chat leaves it out."""

MBPP_SHOTS = (
    (
        "You are an expert Python programmer, and here is your task: Write a function to find the similar elements "
        "from the given two tuple lists. Your code should pass these tests:\n\n "
        "assert similar_elements((3, 4, 5, 6),(5, 7, 4, 10)) == (4, 5)\n"
        "assert similar_elements((1, 2, 3, 4),(5, 4, 3, 7)) == (3, 4) \n"
        "assert similar_elements((11, 12, 14, 13),(17, 15, 14, 13)) == (13, 14) \n",
        "[BEGIN]\n 'def similar_elements(test_tup1, test_tup2):\r\n"
        "  res = tuple(set(test_tup1) & set(test_tup2))\r\n  return (res)' \n[DONE] \n\n ",
    ),
    (
        "You are an expert Python programmer, and here is your task: Write a python function to identify non-prime "
        "numbers. Your code should pass these tests:\n\n assert is_not_prime(2) == False \n"
        "assert is_not_prime(10) == True \nassert is_not_prime(35) == True \n",
        "[BEGIN]\n 'import math\r\ndef is_not_prime(n):\r\n    result = False\r\n"
        "    for i in range(2,int(math.sqrt(n)) + 1):\r\n        if n % i == 0:\r\n            result = True\r\n"
        "    return result' \n[DONE] \n\n ",
    ),
    (
        "You are an expert Python programmer, and here is your task: Write a function to find the largest integers "
        "from a given list of numbers using heap queue algorithm. Your code should pass these tests:\n\n "
        "assert heap_queue_largest( [25, 35, 22, 85, 14, 65, 75, 22, 58],3)==[85, 75, 65] \n"
        "assert heap_queue_largest( [25, 35, 22, 85, 14, 65, 75, 22, 58],2)==[85, 75] \n"
        "assert heap_queue_largest( [25, 35, 22, 85, 14, 65, 75, 22, 58],5)==[85, 75, 65, 58, 35] \n",
        "[BEGIN]\n 'import heapq as hq\r\ndef heap_queue_largest(nums,n):\r\n"
        "  largest_nums = hq.nlargest(n, nums)\r\n  return largest_nums' \n[DONE] \n\n ",
    ),
)
"""The worked examples: what the user asks, and what the assistant answers."""

ROLES = ("user", "assistant")
BLOCK = re.compile(r"```(.*?)```", re.DOTALL)
INDENT = "    "

_FRAMED = (
    rf"{begin}\s*{answer}\s*{done}"
    for answer, done, begin in product(("'(.*)'", "'(.*)", "(.*)"), (r"\[DONE\]", "DONE"), (r"\[BEGIN\]", "BEGIN"))
)
_FENCED = (r"```python\s*(.*)\s*```", r"```\s*(.*)\s*```", r"(.*)\s*```.*")
_BEGUN = (r"\[BEGIN\]\s*'(.*)", r"\[BEGIN\](.*)")
MBPP_FORMS = tuple(re.compile(form, re.DOTALL) for form in (*_FRAMED, *_FENCED, *_BEGUN))
"""The forms in which an answer holds a program, the first that fits counts: between the marks of the worked examples,
in a fence, or behind the first mark alone."""


def turns(prompt: str, format: str) -> list[tuple[str, str]]:
    """What the user asks and the assistant answers in turn; the last answer is how a base model's begins.

    prompt: HumanEval's beginning of a function, or MBPP's request.
    """
    if format == "humaneval":
        return [(HUMANEVAL_REQUEST.format(prompt=prompt), "")]
    return [*MBPP_SHOTS, (prompt, MBPP_BEGIN)]


def raw_question(prompt: str, format: str) -> str:
    """What a base model goes on with: the turns as lines."""
    return "\n".join(text for turn in turns(prompt, format) for text in turn if text)


def chat_question(prompt: str, format: str) -> list[dict[str, str]]:
    """What a checkpoint with a chat template is asked: the turns, up to the last request."""
    *shown, (request, _) = turns(prompt, format)
    messages = [{"role": role, "content": text} for turn in shown for role, text in zip(ROLES, turn, strict=True)]
    return [*messages, {"role": "user", "content": request}]


def code_of_answer(text: str, format: str) -> str:
    """The program that is run for an answer: for HumanEval the body that follows the prompt, for MBPP all of it."""
    return humaneval_body(text) if format == "humaneval" else mbpp_program(text)


def humaneval_body(text: str) -> str:
    """The first indented block of an answer, below the function's head, without what stands above and around it.

    OpenCompass evaluates an answer that is a Python expression of a text; here only a literal is, since answers are
    not to be trusted.
    """
    text = _in_fence(_literal(text).lstrip("\n"))
    if text.strip().startswith(("from", "import")) and "def" in text:
        text = _below_line(text, text.find("def"))
    text = "\n".join(line for line in text.split("\n") if line).lstrip("\n")
    if text.strip().startswith("def"):
        text = "\n".join(text.split("\n")[1:])
    if text.startswith(" "):
        return _first_block(INDENT + text.lstrip())
    return _first_block("\n".join(INDENT + line for line in text.split("\n")))


def _literal(text: str) -> str:
    """The text that a Python literal stands for; any other text as it is."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _in_fence(text: str) -> str:
    """What the first fence holds, without a language's name; of one that is not closed, what follows it."""
    if "```" not in text:
        return text
    blocks = BLOCK.findall(text)
    if not blocks:
        return text.split("```")[1]
    return blocks[0] if blocks[0].startswith("\n") else _below_line(blocks[0], 0)


def _below_line(text: str, place: int) -> str:
    """What follows the line of a place; all where that is the last."""
    return text[text.find("\n", place) + 1 :]


def _first_block(text: str) -> str:
    """The lines before the first that is indented less than the first one; texts and comments do not count."""
    lines, least = text.split("\n"), None
    for number, line in enumerate(lines):
        code = line.strip()
        if not code or code[0] in "'\"#":
            continue
        indent = len(line.rstrip()) - len(code)
        least = indent if least is None else least
        if indent < least:
            return "\n".join(lines[:number])
    return text


def mbpp_program(text: str) -> str:
    """The program in an answer, by the first of MBPP_FORMS that fits, up to a fence or `[DONE]`."""
    found = next(filter(None, (form.search(text) for form in MBPP_FORMS)), None)
    program = (found.group(1) if found else text).split("```")[0]
    return re.split(r"'?\s*\[?DONE\]?", program)[0].replace("\\_", "_").strip()
