"""Self-assessment: the prompts that ask a judge for a score, and the reading of the score (arXiv
2408.08072, app. A)."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from isheep.records import InputError
from isheep.spelling import listed, nearest
from isheep.yaml_text import read_yaml

PLACEHOLDERS = ("{instruction}", "{response}")
REQUIRED_KEYS = ("criterion", "template")
KEYS = (*REQUIRED_KEYS, "score_after", "fraction")
FRACTIONS = ("nearest", "down", "missing")
LOWEST_SCORE, HIGHEST_SCORE = 1, 10

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
