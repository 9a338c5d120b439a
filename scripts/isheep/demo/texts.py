"""The texts of the demo world: responses, the documents of its models, and its task files.

A base model trained on these documents can list tasks, answer them (imperfectly) and judge answers; so the
whole loop of the method (arXiv 2408.08072, Algorithm 1) can be watched in minutes.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from isheep.demo.judgments import CRITERIA, compare, judge, rate
from isheep.demo.world import (
    BULLETS,
    HIGHLIGHT,
    Task,
    World,
    content_right,
    draw_constraints,
    draw_task,
    draw_with,
    format_right,
    names_subject_throughout,
    with_article,
)
from isheep.files.records import InputError

LISTED_TASKS = 9
"""Tasks in a document that lists them: five that stand for demonstrations and four that the model writes."""
CONTENT_RIGHT, FORMAT_RIGHT = 0.75, 0.5
"""Share of the documents' answers that are right in content and in format: a base model with much to gain."""
JUDGED_RIGHT = 0.5
"""The same shares in the documents with a judgment: a judge must see as much of the bad as of the good."""
GOES_ON_SHARE = 0.15
"""Share of the answers wrong in format that go on writing the instruction instead of only answering it."""
DOCUMENT_SHARES = {
    "base": {"list": 0.03, "answer": 0.36, "combined": 0.5, "simple": 0.08, "icl": 0.03},
    "judge": {
        "list": 0.03,
        "answer": 0.32,
        "conversation": 0.04,
        "combined": 0.40,
        "simple": 0.06,
        "icl": 0.03,
        "rating": 0.07,
        "comparison": 0.05,
    },
}
"""Share of each kind of document, for the base model and for the judge of the benchmarks. combined, simple and icl are
judgments after that assessment prompt, rating those after MT-Bench's prompts, comparison those after AlpacaEval's."""
SECOND_TURN_SHARE = 0.5
"""Share of the ratings that are of a conversation's second turn."""
REFERENCE_KINDS = ("place",)
"""Kinds of task that are rated with a reference answer, as MT-Bench rates mathematics, reasoning and coding."""
REFERENCE_CONTENT_RIGHT, REFERENCE_FORMAT_RIGHT = 0.9, 0.75
"""The same shares in the reference outputs that a checkpoint's are compared with: good ones, not faultless ones."""
TRIES = 2000
"""How often a clean task is worded before its kind is held to be too long for its constraints."""


def write_response(world: World, rng: random.Random, task: Task, *, right: bool, in_format: bool) -> str:
    """Write a response whose content is right or wrong and which is in the asked format or not."""
    while True:
        words = _draw_answers(world, rng, task, right)
        ids = [constraint.id for constraint in task.constraints]
        broken, opening = [], None
        if not in_format and rng.random() < GOES_ON_SHARE:
            opening = _other_instruction(world, rng)
        elif not in_format:
            broken = rng.sample(ids, rng.randint(1, len(ids)))
        response = _Draft(world, rng, task, words, set(ids) - set(broken)).compose(opening)
        if content_right(world, task, response) == right and format_right(world, task, response) == in_format:
            return response


def _draw_answers(world: World, rng: random.Random, task: Task, right: bool) -> list[str]:
    if task.kind != "naming":
        answers = world.facts[task.kind]["answers"]
        others = sorted(set(answers.values()) - {answers[task.subject], task.subject})
        return [answers[task.subject] if right else rng.choice(others)]
    members = world.topics[task.subject]["members"]
    if right:
        return rng.sample(members, task.count)
    other = rng.choice(sorted(set(world.topics) - {task.subject}))
    foreign = rng.randint(1, task.count)
    words = rng.sample(members, task.count - foreign) + rng.sample(world.topics[other]["members"], foreign)
    rng.shuffle(words)
    if task.count > 1 and rng.random() < 0.25:
        return rng.sample(members, task.count - 1)
    return words


def _other_instruction(world: World, rng: random.Random) -> str:
    constraint = draw_constraints(world, rng, count=1)[0]
    wording = rng.choice(world.constraints[constraint.id]["wordings"])
    return wording.format(value=constraint.value, count="two")


class _Draft:
    """A response in the making: the answer's words, and which of the task's constraints it keeps."""

    def __init__(self, world: World, rng: random.Random, task: Task, words: list[str], kept: set[str]) -> None:
        self.world, self.rng, self.task, self.words = world, rng, task, words
        self.asked = {constraint.id: constraint.value for constraint in task.constraints}
        self.kept = kept
        self.avoided = []
        if "keywords:forbidden_words" in kept:
            self.avoided.append(rf"\b{self.asked['keywords:forbidden_words']}\b")
        if "punctuation:no_comma" in kept:
            self.avoided.append(",")

    def compose(self, opening: str | None) -> str:
        """Return the whole response; `opening` is a first line in front of all else."""
        body = self._body()
        separator = "\n" if body.startswith("*") and "\n" in body else " "
        sentences = [body, *self._keyword(), *self._placeholder(), *self._remark()]
        lines = [*self._title(), separator.join(sentences), *self._postscript()]
        lines[-1] += self._ending()
        return self._quoted("\n".join([opening, *lines] if opening else lines))

    def _allowed(self, texts: list[str]) -> list[str]:
        return [text for text in texts if not any(re.search(p, text, re.IGNORECASE) for p in self.avoided)]

    def _pick(self, texts: list[str]) -> str:
        return self.rng.choice(self._allowed(texts))

    def _body(self) -> str:
        body = self.rng.choice(self._allowed(self._wordings()) or [" and ".join(self.words) + "."])
        if BULLETS in self.kept:
            body = "\n".join(f"* {word}" for word in self.words)
        elif BULLETS in self.asked and self.rng.random() < 0.5:
            points = [*self.words, self.rng.choice(self.world.phrases["titles"])]
            body = "\n".join(f"* {word}" for word in points)
        if HIGHLIGHT in self.asked:
            star = "*" if HIGHLIGHT in self.kept else self.rng.choice(["", "_"])
            body = re.sub(rf"\b{self.words[0]}\b", f"{star}{self.words[0]}{star}", body, count=1)
        return body

    def _wordings(self) -> list[str]:
        """Return the wordings of the answer proper."""
        task, words = self.task, self.words
        if task.kind == "naming":
            templates = self.world.naming["bodies_one" if task.count == 1 else "bodies_many"]
            plural = self.world.topics[task.subject]["plural"]
        else:
            templates, plural = self.world.facts[task.kind]["bodies"], None
        slots = {
            "subject": task.subject,
            "topic": task.subject,
            "one": with_article(task.subject),
            "plural": plural,
            "answer": words[0],
            "member": words[0],
            "a_member": with_article(words[0]),
            "commas": ", ".join(words),
            "ands": " and ".join(words),
        }
        shortest, *others = [template.format(**slots) for template in templates]
        return [shortest, *(text[0].upper() + text[1:] for text in others)]

    def _keyword(self) -> list[str]:
        name, sentences = "keywords:existence", self.world.phrases["keyword_sentences"]
        if name in self.kept:
            return [sentences[self.asked[name]]]
        if name in self.asked and self.rng.random() < 0.4:
            return [self._pick(list(sentences.values()))]
        return []

    def _placeholder(self) -> list[str]:
        name = "detectable_content:number_placeholders"
        if name not in self.asked:
            return []
        sentence = self.rng.choice(self.world.phrases["placeholder_sentences"]).format(value=self.asked[name])
        if name in self.kept:
            return [sentence]
        return [sentence.replace("[", "(").replace("]", ")")] if self.rng.random() < 0.4 else []

    def _remark(self) -> list[str]:
        needed = {"keywords:forbidden_words", "punctuation:no_comma"} & (set(self.asked) - self.kept)
        return [self._pick(self.world.phrases["fillers"])] if self.rng.random() < 0.15 or needed else []

    def _title(self) -> list[str]:
        name = "detectable_format:title"
        if name not in self.asked:
            return []
        title = self._pick(self.world.phrases["titles"])
        if name in self.kept:
            return [f"<<{title}>>"]
        return [self.rng.choice([title, f"<{title}>"])] if self.rng.random() < 0.5 else []

    def _postscript(self) -> list[str]:
        name = "detectable_content:postscript"
        if name not in self.asked:
            return []
        note = self._pick(self.world.phrases["postscripts"])
        if name in self.kept:
            return [f"{self.asked[name]} {note}"]
        return [f"{self.rng.choice(['PS', 'Note:'])} {note}"] if self.rng.random() < 0.5 else []

    def _ending(self) -> str:
        name = "startend:end_checker"
        if name not in self.asked:
            return ""
        phrase = self.asked[name]
        if name not in self.kept:
            other = self._pick(self.world.constraints[name]["values"])
            phrase = self.rng.choice(["", other, f"{phrase} {self._pick(self.world.phrases['fillers'])}"])
        return self.rng.choice([" ", "\n"]) + phrase if phrase else ""

    def _quoted(self, response: str) -> str:
        name = "startend:quotation"
        if name in self.kept:
            return f'"{response}"'
        return f'"{response}' if name in self.asked and self.rng.random() < 0.3 else response


def list_blocks(tasks: list[tuple[str, str]]) -> str:
    """Return (instruction, input) pairs as the numbered blocks of the instruction-generation format."""
    return "".join(
        f"###\n{number}. Instruction: {instruction}\n{number}. Input:\n{input_text or '<noinput>'}\n"
        for number, (instruction, input_text) in enumerate(tasks, start=1)
    )


@dataclass(frozen=True)
class Prompts:
    """The prompts after which a model learns to list tasks and to judge."""

    meta_prompt: str
    """Holds {demonstrations}."""
    assessment: dict[tuple[str, str], str]
    """By variant and criterion; each holds {instruction} and {response}."""
    ratings: dict[str, str]
    """MT-Bench's judge prompts by name, with its placeholders."""
    comparison: str
    """Holds {instruction}, {output_1} and {output_2}."""


def documents(world: World, seed: int, number: int, prompts: Prompts, reader: str = "base") -> Iterator[str]:
    """Yield the training documents of a reader, `base` or `judge`; the same for the same seed.

    Raises InputError for a meta-prompt without its placeholder.
    """
    if "{demonstrations}" not in prompts.meta_prompt:
        raise InputError("The meta-prompt lacks its placeholder {demonstrations}; add it at its end.")
    rng = random.Random(seed)
    kinds, shares = zip(*DOCUMENT_SHARES[reader].items(), strict=True)
    for _ in range(number):
        kind = rng.choices(kinds, shares)[0]
        writer = {
            "list": _list_document,
            "answer": _answer_document,
            "conversation": _conversation_document,
            "rating": _rating_document,
            "comparison": _comparison_document,
        }.get(kind)
        yield writer(world, rng, prompts) if writer else _assessment_document(world, rng, prompts, kind)


def _list_document(world: World, rng: random.Random, prompts: Prompts) -> str:
    tasks = [draw_task(world, rng) for _ in range(LISTED_TASKS)]
    blocks = list_blocks([(task.instruction, task.input) for task in tasks])
    return prompts.meta_prompt.replace("{demonstrations}", blocks + "###")


def _answer_document(world: World, rng: random.Random, _: Prompts) -> str:
    task = draw_task(world, rng)
    return f"{task.text}\n{_imperfect(world, rng, task, CONTENT_RIGHT, FORMAT_RIGHT)}"


def _conversation_document(world: World, rng: random.Random, prompts: Prompts) -> str:
    return "\n".join(_answer_document(world, rng, prompts) for _ in range(2))


def _assessment_document(world: World, rng: random.Random, prompts: Prompts, variant: str) -> str:
    task = draw_task(world, rng)
    response = _imperfect(world, rng, task, JUDGED_RIGHT, JUDGED_RIGHT)
    criterion = rng.choice(CRITERIA)
    prompt = prompts.assessment[variant, criterion].format(instruction=task.text, response=response)
    return prompt + judge(world, rng, task, response, criterion)


def _rating_document(world: World, rng: random.Random, prompts: Prompts) -> str:
    """A rating of one answer; or of the second of two, whose tasks are of one kind as in `conversations`."""
    task = draw_task(world, rng)
    response = _imperfect(world, rng, task, JUDGED_RIGHT, JUDGED_RIGHT)
    reference = _imperfect(world, rng, task, 1, 1)
    name = "single-math-v1" if task.kind in REFERENCE_KINDS else "single-v1"
    if rng.random() >= SECOND_TURN_SHARE:
        prompt = prompts.ratings[name].format(question=task.text, answer=response, ref_answer_1=reference)
        return prompt + rate(world, rng, task, response)
    first = _task_of_kind(world, rng, task.kind)
    prompt = prompts.ratings[f"{name}-multi-turn"].format(
        question_1=first.text,
        answer_1=_imperfect(world, rng, first, JUDGED_RIGHT, JUDGED_RIGHT),
        ref_answer_1=_imperfect(world, rng, first, 1, 1),
        question_2=task.text,
        answer_2=response,
        ref_answer_2=reference,
    )
    return prompt + rate(world, rng, task, response)


def _comparison_document(world: World, rng: random.Random, prompts: Prompts) -> str:
    task = draw_task(world, rng)
    first, second = (_imperfect(world, rng, task, JUDGED_RIGHT, JUDGED_RIGHT) for _ in range(2))
    prompt = prompts.comparison.format(instruction=task.text, output_1=first, output_2=second)
    return prompt + compare(world, rng, task, first, second)


def _imperfect(world: World, rng: random.Random, task: Task, content: float, in_format: float) -> str:
    """A response that is right in content and in format with these probabilities."""
    return write_response(world, rng, task, right=rng.random() < content, in_format=rng.random() < in_format)


def _task_of_kind(world: World, rng: random.Random, kind: str, *, held_out: bool = False) -> Task:
    return next(task for task in iter(lambda: draw_task(world, rng, held_out=held_out), None) if task.kind == kind)


def draw_seed_tasks(world: World, seed: int, number: int) -> list[Task]:
    """Return the tasks behind `seed_tasks`, in its order."""
    return _distinct_tasks(world, random.Random(f"seed tasks {seed}"), number)


def seed_tasks(world: World, seed: int, number: int) -> list[dict]:
    """Return distinct tasks with right responses, in Self-Instruct's format."""
    rng = random.Random(f"seed responses {seed}")
    rows = []
    for index, task in enumerate(draw_seed_tasks(world, seed, number)):
        response = write_response(world, rng, task, right=True, in_format=True)
        rows.append(
            {
                "id": f"seed_task_{index}",
                "name": f"{task.kind}_{task.subject}",
                "instruction": task.instruction,
                "instances": [{"input": task.input, "output": response}],
                "is_classification": task.kind == "kind",
            }
        )
    return rows


def draw_evaluation_tasks(world: World, seed: int, number: int) -> list[Task]:
    """Return the tasks behind `evaluation_tasks`, in its order."""
    return _distinct_tasks(world, random.Random(f"evaluation tasks {seed}"), number, held_out=True)


def evaluation_tasks(world: World, seed: int, number: int) -> list[dict]:
    """Return distinct tasks of held-out combinations, in the format of IFEval's data file."""
    return _ifeval_rows(draw_evaluation_tasks(world, seed, number))


def clean_evaluation_tasks(world: World, unseen: World, seed: int, number: int) -> list[dict]:
    """Return a counterpart to each evaluation task, with its key and constraints, about a subject of `unseen`.

    It names its subject throughout, so that no pair has a run of it whose texts name no such subject. It is of the same
    kind, or a naming task where all wordings of that kind are too long with these constraints.
    """
    rng = random.Random(f"clean evaluation tasks {seed}")
    tasks: dict[str, Task] = {}
    for task in draw_evaluation_tasks(world, seed, number):
        kinds = chain(repeat(task.kind, TRIES), repeat("naming"))
        drawn = (draw_with(unseen, rng, kind, task.constraints) for kind in kinds)
        clean = next(one for one in drawn if one.text not in tasks and names_subject_throughout(unseen, one.text))
        tasks[clean.text] = clean
    return _ifeval_rows(tasks.values())


def _ifeval_rows(tasks: Iterable[Task]) -> list[dict]:
    return [
        {
            "key": key,
            "prompt": task.text,
            "instruction_id_list": [constraint.id for constraint in task.constraints],
            "kwargs": [constraint.kwargs for constraint in task.constraints],
        }
        for key, task in enumerate(tasks)
    ]


def reference_outputs(world: World, seed: int, number: int) -> list[dict]:
    """Return held-out tasks with good but not faultless responses, in AlpacaEval's format of outputs."""
    rng = random.Random(f"reference outputs {seed}")
    return [
        {
            "dataset": task.kind,
            "instruction": task.text,
            "output": _imperfect(world, rng, task, REFERENCE_CONTENT_RIGHT, REFERENCE_FORMAT_RIGHT),
            "generator": "demo_reference",
        }
        for task in _distinct_tasks(world, rng, number, held_out=True)
    ]


def conversations(world: World, seed: int, number: int) -> tuple[list[dict], list[dict]]:
    """Return questions of two turns and the reference answers to some, in MT-Bench's formats.

    The kinds of task stand for MT-Bench's categories; the tasks are of held-out combinations.
    """
    rng = random.Random(f"conversations {seed}")
    kinds = ["naming", *world.facts]
    questions, references = [], []
    for identity in range(1, number + 1):
        kind = kinds[identity % len(kinds)]
        turns = [_task_of_kind(world, rng, kind, held_out=True) for _ in range(2)]
        questions.append({"question_id": identity, "category": kind, "turns": [task.text for task in turns]})
        if kind in REFERENCE_KINDS:
            answers = [_imperfect(world, rng, task, 1, 1) for task in turns]
            references.append(
                {"question_id": identity, "model_id": "reference", "choices": [{"index": 0, "turns": answers}]}
            )
    return questions, references


def _distinct_tasks(world: World, rng: random.Random, number: int, *, held_out: bool = False) -> list[Task]:
    tasks: dict[str, Task] = {}
    while len(tasks) < number:
        task = draw_task(world, rng, held_out=held_out)
        tasks.setdefault(task.text, task)
    return list(tasks.values())


def choice_questions(world: World, seed: int, number: int) -> list[dict]:
    """Return questions without constraints: `question`, four `choices`, index of the right one as `label`."""
    rng = random.Random(f"choice questions {seed}")
    rows: dict[str, dict] = {}
    while len(rows) < number:
        kind = rng.choice(["naming", *world.facts])
        if kind == "naming":
            subject, *others = rng.sample(sorted(world.topics), 4)
            wording = rng.choice(world.naming["one"]).format(one=with_article(subject), topic=subject)
            right, *wrong = (rng.choice(world.topics[topic]["members"]) for topic in (subject, *others))
        else:
            answers = world.facts[kind]["answers"]
            subject = rng.choice(sorted(answers))
            wording = rng.choice(world.facts[kind]["open"]).format(subject=subject)
            right = answers[subject]
            wrong = rng.sample(sorted(set(answers.values()) - {right, subject}), 3)
        choices = [right, *wrong]
        rng.shuffle(choices)
        choices_shown = [with_article(word) + "." if kind != "opposite" else word + "." for word in choices]
        rows.setdefault(wording, {"question": wording, "choices": choices_shown, "label": choices.index(right)})
    return list(rows.values())
