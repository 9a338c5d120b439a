"""Which pairs become training data: the method's filter, and the ledger of what happened to every pair."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from isheep.records import InputError
from isheep.settings import Settings

Threshold = Annotated[int, Field(ge=0, le=9)]
Scores = Mapping[str, int | None]


class SelectionSettings(Settings):
    """How a recipe filters the pairs that a checkpoint wrote (paper sections 3.4 and 5.3)."""

    method: Literal["none", "rules", "scores"] = "scores"
    """none: every pair. rules: pairs that break no response rule. scores: of those, the ones scored high."""
    criteria: tuple[str, ...] = ("quality", "following")
    """For `scores`: the criteria that must all exceed the threshold; each is a prompt of the assessment."""
    threshold: Threshold = 8
    """For `scores`: keep a pair if every chosen score is > threshold (paper: 8). Scores run from 1 to 10."""

    @model_serializer(mode="wrap")
    def _without_what_the_method_ignores(self, serialize: SerializerFunctionWrapHandler) -> dict:
        """Write criteria and threshold only where they matter, so that changing them elsewhere reruns nothing."""
        return serialize(self) if self.method == "scores" else {"method": self.method}


def judge_pair(pair: Mapping, scores: Scores, settings: SelectionSettings) -> str | None:
    """Return why `pair` is rejected, or None if it is kept.

    pair: a row of a pairs file (`rejected_by` names the response rule that it broke, or is null).
    scores: its score per criterion, None where the assessment could not be parsed.
    """
    if settings.method == "none":
        return None
    if pair["rejected_by"] is not None:
        return f"rule: {pair['rejected_by']}"
    if settings.method == "rules":
        return None
    for criterion in settings.criteria:
        score = scores.get(criterion)
        if score is None:
            return f"score missing: {criterion}"
        if score <= settings.threshold:
            return f"score too low: {criterion}"
    return None


def select_pairs(
    pairs: list[dict], scores: Mapping[str, Scores], settings: SelectionSettings
) -> tuple[list[dict], list[dict]]:
    """Split the written pairs into the training set and the ledger of all of them.

    pairs: rows with id, instruction, input, response and rejected_by. scores: by pair id, then by criterion.
    Returns (kept pairs, one ledger row per pair: id, source, kept, reason, scores), both in the given order.
    Raises InputError with the histogram of scores if nothing is kept.
    """
    ledger = []
    for pair in pairs:
        reason = judge_pair(pair, scores.get(pair["id"], {}), settings)
        ledger.append(
            {
                "id": pair["id"],
                "kept": reason is None,
                "reason": reason,
                "scores": dict(scores.get(pair["id"], {})),
            }
        )
    kept = [pair for pair, entry in zip(pairs, ledger, strict=True) if entry["kept"]]
    if not kept:
        raise InputError(_nothing_kept(ledger, settings))
    return kept, ledger


def score_histogram(ledger: list[dict], criterion: str) -> dict[str, int]:
    """Count the pairs per score of one criterion, from 1 to 10, then the missing ones."""
    counts = Counter(entry["scores"].get(criterion) for entry in ledger)
    return {str(score): counts[score] for score in range(1, 11) if counts[score]} | {"missing": counts[None]}


def _nothing_kept(ledger: list[dict], settings: SelectionSettings) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(e["reason"] for e in ledger).most_common())
    histograms = "; ".join(
        f"{criterion}: " + ", ".join(f"{score}×{count}" for score, count in score_histogram(ledger, criterion).items())
        for criterion in settings.criteria
    )
    advice = "lower selection.threshold or look at the responses"
    return (
        f"the selection kept none of {len(ledger)} pairs with method {settings.method!r} and threshold "
        f"{settings.threshold} (rejected: {reasons or 'there were no pairs'}; scores: {histograms}); {advice}."
    )
