"""Which pairs become training data: the method's filter, and the ledger of what happened to every pair."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from isheep.files.records import InputError
from isheep.seeding import derive_seed
from isheep.settings import Settings, Unique

Threshold = Annotated[int, Field(ge=0, le=9)]
Scores = Mapping[str, int | None]
Perplexities = Mapping[str, float | None]

KEYS_OF_METHOD = {
    "scores": ("criteria", "threshold"),
    "perplexity": ("max_perplexity",),
    "density": ("clusters",),
    "density_perplexity": ("clusters",),
}
"""The keys besides `method` that a method uses; those without an entry use none."""

RULE = "rule: "
"""How the reason of a pair begins that broke a response rule."""
METHODS_WITH_PERPLEXITIES = ("perplexity", "density_perplexity")
METHODS_WITH_CLUSTERS = ("density", "density_perplexity")


class SelectionSettings(Settings):
    """How a recipe filters the pairs that a checkpoint wrote (paper sections 3.4, 4.3 and 5.3).

    Every method but `none` first drops the pairs that broke a response rule. The paper does not say whether its
    filters by perplexity and density do so; here they all choose from the same pairs as the scores.
    """

    method: Literal["none", "rules", "scores", "perplexity", "density", "density_perplexity"] = "scores"
    """none: every pair (the paper's threshold -1). rules: pairs that break no response rule (its threshold 0). Of
    those, scores: the ones scored high; perplexity: the ones that do not surprise the model; density: one pair of
    each cluster, drawn at random; density_perplexity: the least surprising pair of each cluster."""
    criteria: Unique[str] = ("quality", "following")
    """For `scores`: the criteria that must all exceed the threshold; each is a prompt of the assessment. A recipe that
    leaves the key out has all of its `assessment` (of the paper's combined prompts: both)."""
    threshold: Threshold = 8
    """For `scores`: keep a pair if every chosen score is > threshold (paper: 8). Scores run from 1 to 10."""
    max_perplexity: float = Field(50.0, ge=1)
    """For `perplexity`: drop a pair if the perplexity of its response, or of instruction, input and response
    together, is > max_perplexity (paper section 4.3: above 50 is dropped; the authors' released scripts look at
    both, and keep what is below 50)."""
    clusters: int = Field(3000, ge=1)
    """For `density` and `density_perplexity`: number of clusters, and so the most pairs that are kept (paper
    section 4.3: K = 3000). It must not exceed the pairs that break no rule."""

    @model_serializer(mode="wrap")
    def _without_what_the_method_ignores(self, serialize: SerializerFunctionWrapHandler) -> dict:
        """Write a key only where the method uses it, so that changing it elsewhere reruns nothing."""
        used = ("method", *KEYS_OF_METHOD.get(self.method, ()))
        return {key: value for key, value in serialize(self).items() if key in used}


@dataclass(frozen=True)
class Measurements:
    """What is known of the pairs, each by the pair's id."""

    scores: Mapping[str, Scores] = field(default_factory=dict)
    """Score per criterion, None where the assessment could not be parsed."""
    perplexities: Mapping[str, Perplexities] = field(default_factory=dict)
    """`response` and `pair`, None where the text has fewer than two tokens."""
    clusters: Mapping[str, int] = field(default_factory=dict)
    """Number of the pair's cluster."""


def select_pairs(
    pairs: list[dict], measured: Measurements, settings: SelectionSettings, seed: int | None = None
) -> tuple[list[dict], list[dict]]:
    """Split the written pairs into the training set and the ledger of all of them.

    pairs: rows with id and rejected_by, whatever else they have. seed: for method density, which
    draws; the others need none.
    Returns (kept pairs, one ledger row per pair: id, kept, reason, scores, and perplexity and cluster where the
    method uses them), both in the given order. Raises InputError if a pair lacks the perplexity or the cluster that
    the method needs, and, with what was counted, if nothing is kept.
    """
    unbroken = [pair for pair in pairs if pair["rejected_by"] is None]
    _check_measured(unbroken, measured, settings)
    reasons: dict[str, str | None] = {}
    if settings.method != "none":
        reasons = {pair["id"]: f"{RULE}{pair['rejected_by']}" for pair in pairs if pair["rejected_by"] is not None}
    reasons |= _judge_unbroken([pair["id"] for pair in unbroken], measured, settings, seed)
    ledger = [_ledger_row(pair["id"], reasons.get(pair["id"]), measured, settings) for pair in pairs]
    kept = [pair for pair, entry in zip(pairs, ledger, strict=True) if entry["kept"]]
    if not kept:
        raise InputError(_nothing_kept(ledger, settings))
    return kept, ledger


def _check_measured(unbroken: list[dict], measured: Measurements, settings: SelectionSettings) -> None:
    needed = [
        ("perplexity", measured.perplexities, METHODS_WITH_PERPLEXITIES),
        ("cluster", measured.clusters, METHODS_WITH_CLUSTERS),
    ]
    for name, known, methods in needed:
        lacking = [pair["id"] for pair in unbroken if pair["id"] not in known]
        if settings.method in methods and lacking:
            raise InputError(
                f"selection.method is {settings.method!r}, but {len(lacking)} of {len(unbroken)} pairs have no {name}, "
                f"the first is {lacking[0]!r}; give the {name} files of all shards of these pairs."
            )


def _judge_unbroken(
    ids: list[str], measured: Measurements, settings: SelectionSettings, seed: int | None
) -> dict[str, str | None]:
    """Why each pair that broke no rule is rejected, by id; None for those kept."""
    match settings.method:
        case "scores":
            return {id: judge_scores(measured.scores.get(id, {}), settings) for id in ids}
        case "perplexity":
            return {id: judge_perplexities(measured.perplexities[id], settings.max_perplexity) for id in ids}
        case "density":
            chosen = _of_each_cluster(ids, measured.clusters, lambda id: derive_seed(seed, id))
            return {id: None if id in chosen else "cluster has another" for id in ids}
        case "density_perplexity":
            return _least_surprising(ids, measured)
    return dict.fromkeys(ids)


def judge_scores(scores: Scores, settings: SelectionSettings) -> str | None:
    """Return why a pair with these scores is rejected, or None if it is kept."""
    for criterion in settings.criteria:
        score = scores.get(criterion)
        if score is None:
            return f"score missing: {criterion}"
        if score <= settings.threshold:
            return f"score too low: {criterion}"
    return None


def judge_perplexities(perplexities: Perplexities, most: float) -> str | None:
    """Return why a pair with these perplexities is rejected, or None if neither exceeds `most`."""
    for text in ("response", "pair"):
        if perplexities[text] is None:
            return f"perplexity missing: {text}"
        if perplexities[text] > most:
            return f"perplexity too high: {text}"
    return None


def _least_surprising(ids: list[str], measured: Measurements) -> dict[str, str | None]:
    """The method density_perplexity; a pair without perplexity is never chosen, so a cluster of such keeps none."""
    known = {id: measured.perplexities[id]["pair"] for id in ids if measured.perplexities[id]["pair"] is not None}
    chosen = _of_each_cluster(list(known), measured.clusters, known.__getitem__)
    rejected = {id: "cluster has another" if id in known else "perplexity missing: pair" for id in ids}
    return rejected | dict.fromkeys(chosen)


def _of_each_cluster(ids: list[str], clusters: Mapping[str, int], rank: Callable[[str], float]) -> set[str]:
    """Of each cluster the id whose `rank` is lowest, and the first of those alike."""
    members = defaultdict(list)
    for id in ids:
        members[clusters[id]].append(id)
    return {min(alike, key=rank) for alike in members.values()}


def _ledger_row(id: str, reason: str | None, measured: Measurements, settings: SelectionSettings) -> dict:
    row = {"id": id, "kept": reason is None, "reason": reason, "scores": measured.scores.get(id, {})}
    if settings.method in METHODS_WITH_PERPLEXITIES:
        row["perplexity"] = dict(measured.perplexities.get(id, {"response": None, "pair": None}))
    if settings.method in METHODS_WITH_CLUSTERS:
        row["cluster"] = measured.clusters.get(id)
    return row


def score_histogram(ledger: list[dict], criterion: str) -> dict[str, int]:
    """Count the pairs that were asked for a score by their score on one criterion, from 1 to 10, then the missing
    ones."""
    counts = Counter(entry["scores"].get(criterion) for entry in ledger if not _broke_a_rule(entry))
    return {str(score): counts[score] for score in range(1, 11) if counts[score]} | {"missing": counts[None]}


def account(ledger: list[dict]) -> str:
    """Say what became of the pairs: those dropped by a rule apart from those that were asked for more."""
    rules = Counter(entry["reason"] for entry in ledger if _broke_a_rule(entry))
    reasons = Counter(entry["reason"] for entry in ledger if not entry["kept"]) - rules
    asked = len(ledger) - rules.total()
    broken = f"{rules.total()} of {len(ledger)} pairs broke a response rule{_in_brackets(rules)}"
    left = f"{reasons.total()} of the other {asked} were rejected{_in_brackets(reasons)}"
    return "; ".join([broken, left] if asked else [broken])


def _broke_a_rule(entry: dict) -> bool:
    return (entry["reason"] or "").startswith(RULE)


def _in_brackets(reasons: Counter[str]) -> str:
    listed = ", ".join(f"{reason.removeprefix(RULE)} {count}" for reason, count in reasons.most_common())
    return f" ({listed})" if listed else ""


def _nothing_kept(ledger: list[dict], settings: SelectionSettings) -> str:
    method = repr(settings.method)
    counted = [account(ledger)]
    if settings.method == "scores":
        method += f" and threshold {settings.threshold}"
        counted.append(f"scores: {_histograms(ledger, settings)}")
    elif settings.method == "perplexity":
        method += f" and max_perplexity {settings.max_perplexity:g}"
        counted.append(f"lowest perplexities: {_lowest_perplexities(ledger)}")
    advice = _advice(ledger, settings)
    return f"the selection kept none of {len(ledger)} pairs with method {method} ({'; '.join(counted)}); {advice}."


def _advice(ledger: list[dict], settings: SelectionSettings) -> str:
    """What to do about the kind of reason that rejected the most pairs."""
    kinds = Counter(entry["reason"].partition(":")[0] for entry in ledger)
    largest = kinds.most_common(1)[0][0] if kinds else ""
    rule = Counter(entry["reason"] for entry in ledger if _broke_a_rule(entry)).most_common(1)
    return {
        RULE.partition(":")[0]: "look at the responses, or set "
        + "".join(f"responses.rules.{name.removeprefix(RULE)}" for name, _ in rule)
        + " to false, which drops the most",
        "score missing": "look at the texts in the judge's assessment files, and correct the assessment's prompt files "
        "(config/prompts/README.md)",
        "score too low": f"lower selection.threshold (now {settings.threshold}), or look at the responses",
        "perplexity too high": f"raise selection.max_perplexity (now {settings.max_perplexity:g}), or look at the "
        "responses",
    }.get(largest, "look at the responses")


def _histograms(ledger: list[dict], settings: SelectionSettings) -> str:
    return "; ".join(
        f"{criterion}: " + ", ".join(f"{score}×{count}" for score, count in score_histogram(ledger, criterion).items())
        for criterion in settings.criteria
    )


def _lowest_perplexities(ledger: list[dict]) -> str:
    lowest = []
    for text in ("response", "pair"):
        known = [row["perplexity"][text] for row in ledger if row["perplexity"][text] is not None]
        lowest.append(f"{text} {min(known):.1f}" if known else f"{text} none")
    return ", ".join(lowest)
