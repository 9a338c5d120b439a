"""The true judgments of the demo world: of a response on one criterion, as a rating, and of two responses.

Each gives its reasons first, in a form that a small model can learn: from them the verdict can be copied.
"""

import random

from isheep.demo.world import Task, World, constraints_kept, content_right, found_answers, goes_on

CRITERIA = ("quality", "following")
SCORES = {"right": (9, 10), "partly": (4, 7), "wrong": (1, 3)}
"""Lowest and highest score of each grade; the paper keeps what scores more than 8 (section 5.3)."""


def judge(world: World, rng: random.Random, task: Task, response: str, criterion: str) -> str:
    """Write the true judgment of a response on one criterion: reasons, then "Score: n" from 1 to 10."""
    reasons, grade = _JUDGES[criterion](world, task, response)
    return f" {reasons} Score: {rng.randint(*SCORES[grade])}"


def rate(world: World, rng: random.Random, task: Task, response: str) -> str:
    """Write the true rating of a response on both criteria: reasons, then "Rating: [[n]]" from 1 to 10."""
    reasons, right = _judge_both(world, task, response)
    grade = ("wrong", "partly", "right")[right]
    return f" {reasons} Rating: [[{rng.randint(*SCORES[grade])}]]"


def compare(world: World, rng: random.Random, task: Task, first: str, second: str) -> str:
    """Write the true comparison of two responses: reasons, then "Better: A" or "Better: B"; ties are random."""
    reasons_first, right_first = _judge_both(world, task, first)
    reasons_second, right_second = _judge_both(world, task, second)
    level = right_first == right_second
    better = rng.choice("AB") if level else "A" if right_first > right_second else "B"
    return f" A: {reasons_first} B: {reasons_second} Better: {better}"


def _judge_both(world: World, task: Task, response: str) -> tuple[str, int]:
    """Return the reasons of both criteria, and on how many of them the response is right."""
    judged = [_JUDGES[criterion](world, task, response) for criterion in CRITERIA]
    return " ".join(reasons for reasons, _ in judged), sum(grade == "right" for _, grade in judged)


def _judge_quality(world: World, task: Task, response: str) -> tuple[str, str]:
    """Reasons that a small model can learn: a word is right if it is the one that stood before "fits"."""
    found = found_answers(world, task, response)
    if task.kind == "naming":
        asked = f"{task.count} {task.subject}" if task.count > 1 else task.subject
        right_ones = [word for word in found if world.topic_of[word] == task.subject]
        shown = [f"{word}, {world.topic_of[word]}" for word in found]
    else:
        answer = world.facts[task.kind]["answers"][task.subject]
        asked, shown = f"{task.subject}, {answer}", found
        right_ones = [word for word in found if word == answer]
    verdicts = ["fits" if word in right_ones else "fails" for word in found]
    given = "; ".join(f"{text} {verdict}" for text, verdict in zip(shown, verdicts, strict=True)) or "nothing"
    counted = f" Counted {len(found)} of {task.count}." if task.count > 1 else ""
    grade = "right" if content_right(world, task, response) else "partly" if right_ones else "wrong"
    return f"Asked: {asked} fits. Given: {given}.{counted}", grade


def _judge_following(world: World, task: Task, response: str) -> tuple[str, str]:
    kept = constraints_kept(task, response)
    parts = []
    for constraint, is_kept in zip(task.constraints, kept, strict=True):
        label = world.constraints[constraint.id]["label"]
        value = "" if constraint.value is None else f" {constraint.value}".rstrip(".")
        parts.append(f"{label}{value}: {'kept' if is_kept else 'missed'}.")
    if goes_on(world, response):
        return " ".join(["Goes on asking.", *parts]), "wrong"
    return " ".join(parts), "right" if all(kept) else "partly" if any(kept) else "wrong"


_JUDGES = {"quality": _judge_quality, "following": _judge_following}
