"""The texts that the miniature's base model learns from: the demo world, in the prompts of the paper's configuration.

The demo's base model knows the demo's own prompts alone. This one goes on with the paper's meta-prompt, answers an
instruction that its input follows directly, scores in the format <score>||<explanation>, and has seen both chat
formats, as the models of the paper have.
"""

import random
from collections.abc import Iterator

from isheep.data.assessment import AssessmentPrompt, load_assessment_prompt
from isheep.data.prompts import SEPARATOR, SeedTask, instruction_prompt, load_meta_prompt, response_prompt
from isheep.demo.judgments import judge
from isheep.demo.texts import choice_questions, write_response
from isheep.demo.world import Task, World, draw_task
from workspace import ROOT

PROMPTS = ROOT / "config/prompts"
SEPARATOR_OF_INPUT = ""
"""The paper's, between an instruction and its input."""
DEMONSTRATIONS, LAST_ITEM = 5, 17
SYSTEM_PROMPT = "You are a helpful assistant."
BEGINNING = "<|begin_of_text|>"
SHARES = {"list": 0.12, "answer": 0.2, "chat": 0.2, "assessment": 0.34, "question": 0.07, "program": 0.07}
CONTENT_RIGHT, FORMAT_RIGHT = 0.75, 0.5
SCORES = {"right": (10, 10, 10, 9, 9), "partly": (10, 9, 7, 6, 5), "wrong": (10, 9, 5, 3, 2, 1)}
"""By the true grade, so lenient that the highest threshold of the paper keeps some of twenty pairs."""


class Writer:
    """Writes documents of every kind; the same for the same seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.rng = world, random.Random(seed)
        self.meta_prompt = load_meta_prompt(PROMPTS / "meta_prompt.txt")
        self.prompts = [load_assessment_prompt(path) for path in sorted((PROMPTS / "assessment").glob("*.yaml"))]
        self.questions = choice_questions(world, seed, 300)

    def documents(self, number: int) -> Iterator[str]:
        """Yield so many documents; a quarter of them begin with the token of Llama's beginning of a text."""
        for _ in range(number):
            [kind] = self.rng.choices(list(SHARES), list(SHARES.values()))
            text = getattr(self, kind)()
            yield BEGINNING + text if self.rng.random() < 0.25 else text

    def list(self) -> str:
        """The meta-prompt with its demonstrations, gone on with until the item at which writing stops."""
        tasks = [draw_task(self.world, self.rng) for _ in range(LAST_ITEM)]
        seeds = [SeedTask(str(number), task.instruction, task.input) for number, task in enumerate(tasks)]
        text = instruction_prompt(self.meta_prompt, seeds[:DEMONSTRATIONS])
        for number, seed in enumerate(seeds[DEMONSTRATIONS:], start=DEMONSTRATIONS + 1):
            opening = "" if number == DEMONSTRATIONS + 1 else f"{number}. Instruction:"
            text += f"{opening} {seed.instruction}\n{number}. Input:\n{seed.input or '<noinput>'}\n{SEPARATOR}\n"
        return text

    def answer(self) -> str:
        """A response behind its question and a line break, as nothing else separates them."""
        task = draw_task(self.world, self.rng)
        return f"{asked(task)}\n{self.response(task)}"

    def chat(self) -> str:
        """One or two turns in ChatML; Llama's tokens are the same ones by other names."""
        turns = [] if self.rng.random() < 0.3 else [("system", SYSTEM_PROMPT)]
        for _ in range(self.rng.choice([1, 1, 2])):
            task = draw_task(self.world, self.rng)
            turns += [("user", asked(task)), ("assistant", self.response(task))]
        opening, ending = ("\n", "\n") if self.rng.random() < 0.7 else ("<|end_header_id|>\n\n", "")
        return "".join(f"<|im_start|>{role}{opening}{text}<|im_end|>{ending}" for role, text in turns)

    def assessment(self) -> str:
        """A score and its reasons, behind one of the assessment prompts."""
        prompt: AssessmentPrompt = self.rng.choice(self.prompts)
        task = draw_task(self.world, self.rng)
        response = self.response(task)
        criterion = prompt.criterion if prompt.criterion != "overall" else "quality"
        reasons, _, score = judge(self.world, self.rng, task, response, criterion).rpartition(" Score: ")
        grade = "right" if int(score) > 8 else "partly" if int(score) > 3 else "wrong"
        text = prompt.render(task.instruction, task.input, response)
        return f"{text} {self.rng.choice(SCORES[grade])}||{reasons.strip()}"

    def question(self) -> str:
        """A question with a short answer, in the words of lm-eval's prompts."""
        row = self.rng.choice(self.questions)
        answer = row["choices"][row["label"]]
        opening, marker = self.rng.choice([("Question: ", "Answer:"), ("Q: ", "A:")])
        return f"{opening}{row['question']}\n{marker} {answer}"

    def program(self) -> str:
        """A small function in HumanEval's format, or a task in MBPP's."""
        name, sentence, expression, example = arithmetic(self.rng)
        if self.rng.random() < 0.5:
            return humaneval_prompt(name, sentence, example) + f"    return {expression}\n"
        tests = [f"assert {name}({value}) == {result}" for value, result in example]
        return mbpp_question(sentence, tests) + f"\n[BEGIN]\ndef {name}(x):\n    return {expression}\n[DONE]"

    def response(self, task: Task) -> str:
        """A response that is right in content and in format with the shares above."""
        right, in_format = self.rng.random() < CONTENT_RIGHT, self.rng.random() < FORMAT_RIGHT
        return write_response(self.world, self.rng, task, right=right, in_format=in_format)


def asked(task: Task) -> str:
    """What a checkpoint of the paper's configuration is asked."""
    return response_prompt(task.instruction, task.input, SEPARATOR_OF_INPUT)


def arithmetic(rng: random.Random) -> tuple[str, str, str, list[tuple[int, int]]]:
    """A function of one number: name, sentence, expression in x, and three examples of value and result."""
    number = rng.randint(2, 12)
    word, sign = rng.choice([("plus", "+"), ("minus", "-"), ("times", "*")])
    expression = f"x {sign} {number}"
    example = [(value, eval(expression, {"x": value})) for value in rng.sample(range(1, 10), 3)]
    return f"{word}_{number}", f"Return x {word} {number}.", expression, example


def humaneval_prompt(name: str, sentence: str, example: list[tuple[int, int]]) -> str:
    """The beginning of a function, as HumanEval's problems have it."""
    shown = "".join(f"    >>> {name}({value})\n    {result}\n" for value, result in example)
    return f'\n\ndef {name}(x: int) -> int:\n    """{sentence}\n{shown}    """\n'


def mbpp_question(sentence: str, tests: list[str]) -> str:
    """A question as lm-eval puts MBPP's."""
    lines = "\n".join(tests)
    opening = f"You are an expert Python programmer, and here is your task: {sentence}"
    return f"{opening} Your code should pass these tests:\n\n{lines}"
