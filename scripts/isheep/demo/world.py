"""The demo world: short English tasks with checkable constraints, and what counts as right in content and
format.

A stand-in for the data behind the models of the paper (arXiv 2408.08072), which are too large for a laptop.
The constraints are IFEval's, and are checked by lm-eval's own checkers; the content is checked against the
world file.
"""

import hashlib
import random
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from isheep.benchmarks.lm_eval_tasks import no_download
from isheep.data import contamination

with no_download():
    from lm_eval.tasks.ifeval.utils import InputExample, test_instruction_following_strict

NUMBER_WORDS = {2: "two", 3: "three"}
HELD_OUT_SHARE = 0.1
"""Share of (subject, constraints) combinations that only the evaluation tasks use."""
BULLETS, HIGHLIGHT = "detectable_format:number_bullet_lists", "detectable_format:number_highlighted_sections"
INCOMPATIBLE = [
    {BULLETS, HIGHLIGHT},
    {BULLETS, "startend:quotation"},
    {"detectable_format:title", "startend:quotation"},
]
"""Pairs of constraints that one answer cannot keep: one's stars or quotes are taken for the other's."""


@dataclass(frozen=True)
class Constraint:
    """One constraint of a task: IFEval's id, the value in its wording (if any), the checker's arguments."""

    id: str
    value: str | int | None
    kwargs: dict


@dataclass(frozen=True)
class Task:
    """One task.

    `kind` is "naming" or a kind of fact; `subject` the topic, or what the fact is about; `count` how many
    members are asked for (naming only, else 0); `input` may be empty.
    """

    kind: str
    subject: str
    count: int
    constraints: tuple[Constraint, ...]
    instruction: str
    input: str

    @property
    def text(self) -> str:
        """The instruction with its input, as prompts show it."""
        return f"{self.instruction} {self.input}".rstrip()


class World:
    """The vocabulary and wordings of the world file, with the look-ups that checking needs."""

    def __init__(self, path: str | Path, *, unseen: bool = False) -> None:
        """unseen: talk about the file's unseen subjects alone, which no document names."""
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
        self.topics = content["unseen"]["topics"] if unseen else content["topics"]
        self.facts = content["facts"]
        for kind, answers in content["unseen"]["answers"].items() if unseen else ():
            self.facts[kind]["answers"] = answers
        self.naming = content["naming"]
        self.openings = content["openings"]
        self.constraints = content["constraints"]
        self.phrases = {
            key: content[key]
            for key in ("keyword_sentences", "postscripts", "titles", "placeholder_sentences", "fillers")
        }
        self.topic_of = {member: topic for topic, entry in self.topics.items() for member in entry["members"]}
        self.facts["kind"]["answers"] = self.topic_of

    @cached_property
    def subject_words(self) -> frozenset[str]:
        """The words, in lower case, that name what a task is about or that answer it."""
        topics = {word for topic, entry in self.topics.items() for word in (topic, entry["plural"])}
        facts = {word for fact in self.facts.values() for pair in fact["answers"].items() for word in pair}
        return frozenset(word.lower() for word in topics | facts)

    @cached_property
    def instruction_pattern(self) -> re.Pattern:
        """Matches any wording of a task or a constraint, whatever its slots hold."""
        wordings = self.naming["one"] + self.naming["many"]
        for fact in self.facts.values():
            wordings = wordings + fact["open"] + fact["with_input"]
        for constraint in self.constraints.values():
            wordings = wordings + constraint["wordings"]
        patterns = [re.sub(r"\\\{\w+\\\}", "[^.?\\n]+", re.escape(wording)) for wording in wordings]
        return re.compile("|".join(patterns))


def with_article(noun: str) -> str:
    """Return the noun with its indefinite article; a name (capital letter) stands alone."""
    if noun[0].isupper():
        return noun
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def draw_task(world: World, rng: random.Random, *, held_out: bool = False) -> Task:
    """Draw a task from the grammar, of a combination that is held out for evaluation or of one that is
    not."""
    while True:
        kind = rng.choice(["naming", "naming", "naming", *world.facts])
        count = rng.choice(world.naming["counts"]) if kind == "naming" else 0
        subject = rng.choice(_subjects(world, kind))
        constraints = draw_constraints(world, rng, count)
        ids = {constraint.id for constraint in constraints}
        if any(pair <= ids for pair in INCOMPATIBLE) or _contradict(constraints):
            continue
        if is_held_out(subject, ids) != held_out:
            continue
        instruction, input_text = _word_task(world, rng, kind, subject, count, constraints)
        return Task(kind, subject, count, constraints, instruction, input_text)


def draw_with(world: World, rng: random.Random, kind: str, constraints: tuple[Constraint, ...]) -> Task:
    """Draw a task of a kind with given constraints, about any subject of this world."""
    count = rng.choice(world.naming["counts"]) if kind == "naming" else 0
    subject = rng.choice(_subjects(world, kind))
    return Task(kind, subject, count, constraints, *_word_task(world, rng, kind, subject, count, constraints))


def _subjects(world: World, kind: str) -> list[str]:
    return sorted(world.topics if kind == "naming" else world.facts[kind]["answers"])


def is_held_out(subject: str, constraint_ids: set[str]) -> bool:
    """Say whether this combination of subject and constraints belongs to the evaluation tasks alone."""
    digest = hashlib.sha256(" ".join([subject, *sorted(constraint_ids)]).encode()).digest()
    return digest[0] < 256 * HELD_OUT_SHARE


def names_subject_throughout(world: World, text: str) -> bool:
    """Say whether every run of words of the text that is looked for in training sets, of 13 or of all where there are
    fewer, has a subject of this world; then no pair without one has such a run."""
    run = contamination.RUN
    is_subject = [word in world.subject_words for word in contamination.words(text)]
    return all(any(is_subject[start : start + run]) for start in range(max(1, len(is_subject) - run + 1)))


def draw_constraints(world: World, rng: random.Random, count: int) -> tuple[Constraint, ...]:
    """Draw one or two different constraints; a number of bullets is only for tasks that ask for several
    things."""
    possible = [name for name in world.constraints if count > 1 or name != BULLETS]
    drawn = []
    for name in rng.sample(possible, rng.choice([1, 1, 2])):
        values = world.constraints[name].get("values")
        value = rng.choice(values) if values else None
        kwargs = {
            "startend:end_checker": {"end_phrase": value},
            BULLETS: {"num_bullets": count},
            "detectable_content:postscript": {"postscript_marker": value},
            "keywords:existence": {"keywords": [value]},
            "keywords:forbidden_words": {"forbidden_words": [value]},
            HIGHLIGHT: {"num_highlights": 1},
            "detectable_content:number_placeholders": {"num_placeholders": 1},
        }.get(name, {})
        drawn.append(Constraint(name, count if name == BULLETS else value, kwargs))
    return tuple(drawn)


def _contradict(constraints: tuple[Constraint, ...]) -> bool:
    forbidden = [c.value for c in constraints if c.id == "keywords:forbidden_words"]
    others = [str(c.value) for c in constraints if c.id != "keywords:forbidden_words"]
    return any(re.search(rf"\b{word}\b", other, re.IGNORECASE) for word in forbidden for other in others)


def _word_task(
    world: World, rng: random.Random, kind: str, subject: str, count: int, constraints: tuple[Constraint, ...]
) -> tuple[str, str]:
    input_text = ""
    if kind == "naming":
        wording = rng.choice(world.naming["one" if count == 1 else "many"])
    elif rng.random() < 0.5:
        wording = rng.choice(world.facts[kind]["open"])
    else:
        wording, input_text = rng.choice(world.facts[kind]["with_input"]), subject
    slots = {
        "subject": subject,
        "topic": subject,
        "one": with_article(subject),
        "plural": world.topics[subject]["plural"] if kind == "naming" else None,
        "count": NUMBER_WORDS.get(count),
    }
    sentences = [wording.format(**slots)]
    for constraint in constraints:
        text = rng.choice(world.constraints[constraint.id]["wordings"])
        text = text.format(value=constraint.value, count=NUMBER_WORDS.get(count))
        sentences.insert(0 if rng.random() < 0.25 else len(sentences), text)
    if rng.random() < 0.35:
        sentences.insert(0, rng.choice(world.openings))
    return " ".join(sentences), input_text


def found_answers(world: World, task: Task, response: str) -> list[str]:
    """Return the distinct words of the response that count as answers to this kind of task, in order.

    Members of any topic for naming, else the answers of the task's kind of fact (without the subject itself).
    """
    if task.kind == "naming":
        vocabulary = world.topic_of
    else:
        vocabulary = set(world.facts[task.kind]["answers"].values()) - {task.subject}
    lookup = {word.lower(): word for word in vocabulary}
    words = (lookup.get(word) for word in re.findall(r"[a-z]+", response.lower()))
    return list(dict.fromkeys(word for word in words if word))


def content_right(world: World, task: Task, response: str) -> bool:
    """Say whether the response holds exactly what was asked for: nothing missing, nothing foreign."""
    found = found_answers(world, task, response)
    if task.kind == "naming":
        return len(found) == task.count and all(world.topic_of[word] == task.subject for word in found)
    return found == [world.facts[task.kind]["answers"][task.subject]]


def constraints_kept(task: Task, response: str) -> list[bool]:
    """Return for every constraint of the task whether IFEval's strict check accepts the response."""
    example = InputExample(
        key=0,
        instruction_id_list=[constraint.id for constraint in task.constraints],
        prompt=task.text,
        kwargs=[constraint.kwargs for constraint in task.constraints],
    )
    return test_instruction_following_strict(example, response).follow_instruction_list


def goes_on(world: World, response: str) -> bool:
    """Say whether the response goes on writing instructions, as base models do."""
    return world.instruction_pattern.search(response) is not None


def format_right(world: World, task: Task, response: str) -> bool:
    """Say whether every constraint is kept and no further instruction is written."""
    return all(constraints_kept(task, response)) and not goes_on(world, response)
