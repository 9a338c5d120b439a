"""Case studies: single pairs of a recipe's iterations, drawn by a seeded rule (paper, Table 6)."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal

from pydantic import Field

from isheep.seeding import derive_seed
from isheep.settings import Settings, Unique

Iterations = Annotated[Unique[Annotated[int, Field(ge=1)]], Field(min_length=1)]


class CaseSettings(Settings):
    """A table of single pairs: what a checkpoint was asked, what it answered, and how that was scored."""

    caption: str
    """One sentence above the table."""
    model: str
    """Name of the model."""
    recipe: str
    """Name of the recipe; it must select by scores on the criteria below."""
    iterations: Iterations
    """Iterations whose new pairs are drawn from: those that the checkpoint before wrote."""
    arrange: Literal["scores", "instruction"] = "scores"
    """scores: pairs whose scores are low or high, a group for each combination, as the paper's Table 6 has them.
    instruction: the responses to one and the same instruction and input, iteration by iteration."""
    count: int = Field(2, ge=1)
    """How many pairs of each group, or how many instructions, are drawn."""
    criteria: Annotated[Unique[str], Field(min_length=1, max_length=3)] = ("quality", "following")
    """Criteria of the assessment that are shown, and that make the groups."""
    threshold: int = Field(8, ge=0, le=9)
    """A score is high if it is > threshold (paper: 8)."""
    longest: int = Field(300, ge=20)
    """Characters of a text that the Markdown and LaTeX forms show; the csv file has all of it."""
    notes: tuple[str, ...] = ()
    """Sentences that the table shows below it."""


class CaseFiles(Settings):
    """Where the pairs of one iteration lie (resolved)."""

    iteration: int
    """Number of the iteration."""
    ledger: str
    """The ledger of its training set."""
    pairs: tuple[str, ...]
    """The shards that the checkpoint before wrote."""


@dataclass(frozen=True)
class Candidate:
    """A pair that may be drawn; no text is held."""

    iteration: int
    id: str
    asked: str
    """Checksum of instruction and input: the same for those that differ in nothing but case and white space."""
    scores: Mapping[str, int | None]
    """Score by criterion."""


@dataclass(frozen=True)
class Case:
    """A pair that was drawn, and the heading that it stands under."""

    heading: str
    iteration: int
    id: str


def asked(pair: Mapping[str, str]) -> str:
    """Return the checksum of what was asked, as `Candidate` has it."""
    text = "\x1f".join(" ".join(pair[key].casefold().split()) for key in ("instruction", "input"))
    return hashlib.sha256(text.encode()).hexdigest()


def draw_cases(candidates: Iterable[Candidate], settings: CaseSettings, seed: int) -> list[Case]:
    """Return the drawn pairs in the order of the table. They are the same in whatever order the candidates come."""
    draw = _by_scores if settings.arrange == "scores" else _by_instruction
    return draw(list(candidates), settings, seed)


def groups(settings: CaseSettings) -> list[dict[str, bool]]:
    """Return the combinations of high (true) and low scores, from all low to all high."""
    values = product((False, True), repeat=len(settings.criteria))
    return [dict(zip(settings.criteria, combination, strict=True)) for combination in values]


def group_name(group: Mapping[str, bool]) -> str:
    """Return what a combination is called, such as `high quality, low following`."""
    return ", ".join(f"{'high' if high else 'low'} {criterion}" for criterion, high in group.items())


def _by_scores(candidates: Sequence[Candidate], settings: CaseSettings, seed: int) -> list[Case]:
    """Of each group the pairs of the lowest rank; a pair with a missing score is in no group."""
    cases = []
    for group in groups(settings):
        members = [one for one in candidates if _highs(one, settings) == group]
        drawn = sorted(members, key=lambda one: _rank(one, seed))[: settings.count]
        cases += [
            Case(group_name(group), one.iteration, one.id) for one in sorted(drawn, key=lambda one: one.iteration)
        ]
    return cases


def _highs(candidate: Candidate, settings: CaseSettings) -> dict[str, bool] | None:
    scores = {criterion: candidate.scores.get(criterion) for criterion in settings.criteria}
    if None in scores.values():
        return None
    return {criterion: score > settings.threshold for criterion, score in scores.items()}


def _by_instruction(candidates: Sequence[Candidate], settings: CaseSettings, seed: int) -> list[Case]:
    """The instructions that were asked in most iterations, at least in two; of those alike, the ones of lowest rank."""
    answers: dict[str, dict[int, Candidate]] = defaultdict(dict)
    for one in sorted(candidates, key=lambda one: _rank(one, seed), reverse=True):
        answers[one.asked][one.iteration] = one
    often = [key for key, by_iteration in answers.items() if len(by_iteration) > 1]
    drawn = sorted(often, key=lambda key: (-len(answers[key]), derive_seed(seed, key), key))[: settings.count]
    return [
        Case(f"instruction {number}", iteration, answers[key][iteration].id)
        for number, key in enumerate(drawn, start=1)
        for iteration in sorted(answers[key])
    ]


def _rank(candidate: Candidate, seed: int) -> tuple[int, str, int]:
    return derive_seed(seed, candidate.id), candidate.id, candidate.iteration
