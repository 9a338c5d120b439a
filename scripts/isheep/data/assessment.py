"""Self-assessment: the prompts that ask a judge for a score, and the reading of the score (arXiv
2408.08072, app. A)."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from isheep.files.records import InputError
from isheep.files.yaml_text import read_yaml
from isheep.spelling import listed, nearest

PLACEHOLDERS = ("{instruction}", "{response}")
REQUIRED_KEYS = ("criterion", "template")
KEYS = (*REQUIRED_KEYS, "score_after", "fraction")
FRACTIONS = ("nearest", "down", "missing")
LOWEST_SCORE, HIGHEST_SCORE = 1, 10
ASSESSED_BEFORE_A_STOP = 50
"""Of fewer assessments the share that can be read says little, so that a job is not stopped early."""
ASSESSED_AT_LEAST = 20
"""Of fewer assessments in all, too few of which can be read, a job is not refused at its end either."""
SHOWN_CHARACTERS = 300
"""Of a text without a score, in a message."""

NUMBER = r"\d+(?:\.\d+)?"
LEADING_NUMBER = re.compile(NUMBER)
NUMBER_BEFORE_BARS = re.compile(rf"({NUMBER})\s*\|\|")


@dataclass(frozen=True)
class AssessmentPrompt:
    """How a judge is asked about one criterion."""

    criterion: str
    template: str
    """Text with the placeholders {instruction} and {response}."""
    score_after: str | None = None
    """Text behind which the judge writes its score, for judges that reason first; None: the score comes
    first."""
    fraction: str = "nearest"
    """What a score such as 8.5 counts as. nearest: the whole number next to it, a half the one above (9; as the
    released scripts, which do not say what becomes of a half). down: the one below (8). missing: no score."""

    def render(self, instruction: str, input: str, response: str) -> str:
        """Fill the template; an input stands behind its instruction, one space between (as in the released
        scripts).

        Placeholders are filled in one pass: braces in the texts stay as they are.
        """
        texts = {
            "{instruction}": f"{instruction} {input}" if input else instruction,
            "{response}": response,
        }
        return re.sub("|".join(map(re.escape, PLACEHOLDERS)), lambda found: texts[found[0]], self.template)


def load_assessment_prompt(path: str | Path) -> AssessmentPrompt:
    """Read a prompt file (YAML). Raises InputError, naming the file, for a wrong key, value or
    placeholder."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: an assessment prompt must have the keys {listed(REQUIRED_KEYS)}; add them.")
    for key in content:
        if key not in KEYS:
            raise InputError(f"{path}: unknown key {key!r}; allowed: {listed(KEYS)}{nearest(key, KEYS)}.")
    for key in REQUIRED_KEYS:
        if key not in content:
            raise InputError(f"{path}: the key {key!r} is missing; add it.")
    for key, value in content.items():
        if not isinstance(value, str) or not value:
            raise InputError(f"{path}: {key}: found {value!r}, but it must be a non-empty text.")
    fraction = content.get("fraction", FRACTIONS[0])
    if fraction not in FRACTIONS:
        raise InputError(
            f"{path}: fraction: found {fraction!r}, allowed: {listed(FRACTIONS)}{nearest(fraction, FRACTIONS)}."
        )
    for placeholder in PLACEHOLDERS:
        if placeholder not in content["template"]:
            raise InputError(f"{path}: template: the placeholder {placeholder} is missing; add it.")
    return AssessmentPrompt(**content)


def parse_score(text: str, score_after: str | None = None, fraction: str = "nearest") -> int | None:
    """Read a judge's score (1 to 10) from its completion; None if there is none, never a number in its place.

    score_after, fraction: as in AssessmentPrompt; without the text there is no score. As in the released scripts,
    leading non-word characters are skipped (so a minus sign is), then the number at the start counts, or else the
    first one before `||`.
    """
    if score_after is not None:
        _, marker, text = text.partition(score_after)
        if not marker:
            return None
    text = re.sub(r"^\W+", "", text)
    if found := LEADING_NUMBER.match(text):
        number = found[0]
    elif found := NUMBER_BEFORE_BARS.search(text):
        number = found[1]
    else:
        return None
    score = float(number)
    if fraction == "missing" and not score.is_integer():
        return None
    rounded = score + 0.5 if fraction == "nearest" else score
    return math.floor(rounded) if LOWEST_SCORE <= rounded < HIGHEST_SCORE + 1 else None


class ReadableScores:
    """Counts how many of a judge's texts hold a score, and refuses to go on where almost none does."""

    def __init__(self, prompt: AssessmentPrompt, file: str | Path, least: float):
        """file: the prompt file, for messages. least: the share of the texts that must hold a score, from 0 to 1."""
        self._prompt, self._file, self._least = prompt, file, least
        self._readable = self._assessed = 0
        self._unreadable: str | None = None

    def add(self, text: str) -> None:
        """Count a text. Raises InputError as soon as too few of them, and not just of the first ones, hold a score."""
        self._assessed += 1
        if parse_score(text, self._prompt.score_after, self._prompt.fraction) is not None:
            self._readable += 1
        elif self._unreadable is None:
            self._unreadable = text
        self._require(ASSESSED_BEFORE_A_STOP)

    def end(self) -> str:
        """Return what to say of all texts. Raises InputError if too few of them hold a score."""
        self._require(ASSESSED_AT_LEAST)
        said = f"{self._readable} of {self._assessed} scores could be read"
        return said if self._unreadable is None else f"{said}; the first that could not: {self._shown()}"

    def _require(self, enough: int) -> None:
        if self._assessed < enough or self._readable >= self._least * self._assessed:
            return
        raise InputError(
            f"{self._file}: only {self._readable} of {self._assessed} scores could be read, fewer than the share of "
            f"{self._least:g} that assessment.min_readable_share asks for; the first text that could not: "
            f"{self._shown()}. A score is a number from 1 to 10 {self._place()}; change template or score_after in "
            "this file, as config/prompts/README.md describes it, or raise assessment.sampling.max_tokens where the "
            "text is cut off before its score."
        )

    def _place(self) -> str:
        marker = self._prompt.score_after
        behind = f"of what follows {marker!r} (score_after)" if marker else "of the text (no score_after is given)"
        return f"at the beginning {behind}, or before ||"

    def _shown(self) -> str:
        """The beginning of the text, as JSON: what a model wrote must not reach the terminal as it is."""
        text = self._unreadable or ""
        return json.dumps(text[:SHOWN_CHARACTERS]) + (" …" if len(text) > SHOWN_CHARACTERS else "")
