"""Instructions: how they are read from what a checkpoint wrote, and the filters that they must pass.

The filters are those of the method's released scripts, which follow Self-Instruct and Alpaca (arXiv
2408.08072, section 3.3). Rows are plain dicts: a candidate has `instruction` and `input`; a rejection has
those or the `text` of a malformed item, and a `reason`.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from isheep.data.prompts import NO_INPUT, SEPARATOR, SeedTask
from isheep.settings import Settings

if TYPE_CHECKING:
    from isheep.data.near_duplicates import NearDuplicates

NO_INPUT_MARKER = re.compile(r"\bno ?input\b", re.IGNORECASE)

BLACKLIST = (
    *("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps"),
    *("draw", "plot", "go to", "video", "audio", "music", "flowchart", "diagram"),
)
"""What a text model cannot read or make: the words of Self-Instruct and Alpaca."""


class InstructionFilters(Settings):
    """Filters of a checkpoint's instructions, in the order in which they are tried. Each can be switched
    off."""

    min_words: Annotated[int, Field(ge=1)] | None = 4
    """Drop instructions of fewer words (authors' scripts and Self-Instruct: 3 or fewer); null switches it off."""
    max_words: Annotated[int, Field(ge=1)] | None = 150
    """Drop instructions of more words (authors' scripts and Self-Instruct: more than 150); null switches it off."""
    blacklist: tuple[Annotated[str, Field(pattern=r"\S")], ...] = BLACKLIST
    """Drop if one of these words or phrases is in the instruction or its input, as whole words in any
    case; a list takes the place of the default one, whose words it has to repeat to keep them; an empty
    list switches it off."""
    punctuation_start: bool = True
    """Drop instructions that begin with (ASCII) punctuation; false switches it off."""
    non_ascii_start: bool = True
    """Drop instructions that begin with a character outside ASCII; false switches it off."""
    noinput_marker: bool = True
    """Drop if `noinput` or `no input` is left in the instruction or its input; false switches it off."""
    field_marker: bool = True
    """Drop if `Instruction:`, `Input:` or `Output:` is left in the instruction or its input; false
    switches it off."""
    link: bool = True
    """Drop if the instruction or its input has an http or https link; false switches it off."""
    near_duplicate_threshold: Annotated[float, Field(ge=0, le=1)] | None = 0.7
    """Drop an instruction whose ROUGE-L F with a seed task or a kept instruction is above this (authors'
    scripts and Self-Instruct: 0.7); null switches it off."""


def parse_continuation(text: str, first_number: int) -> list[dict]:
    """Split the continuation of an instruction prompt into its items, in order.

    first_number: the number of the item that the prompt opened. Each item becomes a candidate, or a rejection
    with reason `format` (its number is out of order, or it has not exactly one Instruction and one Input).
    The last piece, which may have been cut off, is always dropped: reason `unfinished`, unless it is blank.
    """
    *pieces, last = text.split(SEPARATOR)
    rows = []
    for number, piece in enumerate(pieces, start=first_number):
        item = f"{number}. Instruction:{piece}" if number == first_number else piece
        rows.append(_parse_item(item, number) or {"text": piece, "reason": "format"})
    return rows + ([{"text": last, "reason": "unfinished"}] if last.strip() else [])


def _parse_item(item: str, number: int) -> dict | None:
    before, *fields = re.split(rf"(?<!\d){number}\.\s+(Instruction|Input|Output):", item)
    if before.strip() or fields[::2] != ["Instruction", "Input"]:
        return None
    instruction, given = fields[1].strip(), fields[3].strip()
    if not instruction:
        return None
    return {"instruction": instruction, "input": "" if given.lower() == NO_INPUT else given}


@lru_cache
def _blacklist_pattern(phrases: tuple[str, ...]) -> re.Pattern:
    alternatives = (r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b", re.IGNORECASE)


def _in_either(pattern: re.Pattern, candidate: dict) -> bool:
    return any(pattern.search(candidate[field]) for field in ("instruction", "input"))


FIELD_MARKER = re.compile(r"\b(?:Instruction|Input|Output):")
LINK = re.compile(r"https?://", re.IGNORECASE)

FAILS: dict[str, Callable[[dict, InstructionFilters], bool]] = {
    "min_words": lambda row, filters: len(row["instruction"].split()) < filters.min_words,
    "max_words": lambda row, filters: len(row["instruction"].split()) > filters.max_words,
    "blacklist": lambda row, filters: _in_either(_blacklist_pattern(filters.blacklist), row),
    "punctuation_start": lambda row, _: row["instruction"].startswith(tuple(string.punctuation)),
    "non_ascii_start": lambda row, _: not row["instruction"][:1].isascii(),
    "noinput_marker": lambda row, _: _in_either(NO_INPUT_MARKER, row),
    "field_marker": lambda row, _: _in_either(FIELD_MARKER, row),
    "link": lambda row, _: _in_either(LINK, row),
}
"""For each filter of one candidate alone, whether the candidate fails it. Keys are those of
InstructionFilters."""


def first_failing_filter(candidate: dict, filters: InstructionFilters) -> str | None:
    """Return the name of the first filter, of those switched on, that the candidate fails; None if there is
    none.

    candidate: `instruction` and `input`. Near-duplicates are not looked for here: they depend on what was
    kept.
    """
    switched_on = (name for name in FAILS if getattr(filters, name) not in (None, False, ()))
    return next((name for name in switched_on if FAILS[name](candidate, filters)), None)


def select_instructions(
    candidates: Iterable[dict],
    kept_before: Iterable[str],
    seeds: list[SeedTask],
    filters: InstructionFilters,
    count: int,
) -> tuple[list[dict], list[dict]]:
    """Keep the first `count` candidates that pass all filters and resemble no seed task and no kept
    instruction; fewer, where there are no more.

    candidates: rows of parse_continuation, in order; those after the last one kept are not looked at, so that more of
    them change nothing. kept_before: instructions of earlier shards. Returns (kept, rejected), a rejected
    near-duplicate with the text that it is `near` and their `similarity`.
    """
    near_duplicates = _near_duplicates(filters, [*(seed.instruction for seed in seeds), *kept_before])
    kept, rejected = [], []
    for row in candidates:
        if len(kept) == count:
            break
        rejection = row if "reason" in row else _rejection(row, filters, near_duplicates)
        if rejection:
            rejected.append(rejection)
            continue
        kept.append(row)
        if near_duplicates:
            near_duplicates.add(row["instruction"])
    return kept, rejected


def _near_duplicates(filters: InstructionFilters, known: list[str]) -> "NearDuplicates | None":
    if filters.near_duplicate_threshold is None:
        return None
    # Imported here, so that only the stage that selects needs numpy and rapidfuzz.
    from isheep.data.near_duplicates import NearDuplicates

    near_duplicates = NearDuplicates(filters.near_duplicate_threshold)
    for text in known:
        near_duplicates.add(text)
    return near_duplicates


def _rejection(row: dict, filters: InstructionFilters, near_duplicates: "NearDuplicates | None") -> dict | None:
    if failed := first_failing_filter(row, filters):
        return row | {"reason": failed}
    match = near_duplicates.nearest_above(row["instruction"]) if near_duplicates else None
    if match:
        return row | {
            "reason": "near_duplicate_threshold",
            "near": match.text,
            "similarity": match.similarity,
        }
    return None


def more_prompts(prompts: int, kept: int, count: int, most: int) -> int:
    """Return how many prompts a shard should have in all, where `prompts` have given `kept` of `count` instructions.

    As many as it takes if the next ones yield what the first did, and a tenth more, since near-duplicates become
    more frequent; at most twice as many, and never more than `most`.
    """
    expected = math.ceil(1.1 * prompts * count / kept) if kept else 2 * prompts
    return min(most, max(prompts + 1, min(expected, 2 * prompts)))


def shortage(found: int, count: int, prompts: int, rejected: list[dict], filters: InstructionFilters) -> str:
    """Return what to say where `prompts` continuations gave only `found` of `count` instructions: what removed the
    candidates, and what can be done about the reason that removed the most."""
    reasons = Counter(row["reason"] for row in rejected).most_common()
    removed = ", ".join(f"{reason} removed {number}" for reason, number in reasons) or "nothing was removed"
    advice = _advice(reasons[0][0], filters) if reasons else ADVICE["format"]
    return (
        f"only {found} of {count} instructions found among {found + len(rejected)} candidates in {prompts} "
        f"continuations ({removed}); {advice}"
    )


ADVICE = {
    "unfinished": "raise instructions.sampling.max_tokens, or change instructions.sampling.stop or the meta-prompt, so "
    "that more items end before their text does",
    "format": "change the meta-prompt or the seed tasks, which the checkpoint does not go on writing in their form",
    "near_duplicate_threshold": "raise instructions.filters.near_duplicate_threshold (now {value}), or give more and "
    "other seed tasks",
    "min_words": "lower instructions.filters.min_words (now {value})",
    "max_words": "raise instructions.filters.max_words (now {value})",
    "blacklist": "take words out of instructions.filters.blacklist",
}
"""What to change where a reason removed the most candidates; the filters that are not named can be switched off."""


def _advice(reason: str, filters: InstructionFilters) -> str:
    advice = ADVICE.get(reason, f"set instructions.filters.{reason} to false")
    return advice.format(value=getattr(filters, reason, None))
