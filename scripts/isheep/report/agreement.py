"""How far two judges agree on the same answers: the share of equal verdicts, and Krippendorff's alpha."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import Field

from isheep.benchmarks.results import AGAIN, ResultRecord
from isheep.files.records import InputError, iterate_jsonl
from isheep.report.tables import RowSettings
from isheep.settings import Settings, Unique

ANSWER_FILES = ("answers.jsonl", "outputs.json")
"""What holds the answers that a judge rates, in MT-Bench and in AlpacaEval."""
WINNERS = {"model": 1.0, "draw": 0.5, "reference": 0.0, None: None}
"""Whom a comparison is for, in AlpacaEval's items, as a verdict."""
Level = Literal["interval", "nominal"]
"""Whether two verdicts differ by how far they are from each other, or just differ."""
Verdicts = dict[Hashable, float | None]
"""What was judged → the verdict; None is missing."""


class AgreementSettings(Settings):
    """One table: how far the judges of two benchmarks agree on the same answers, a row for each checkpoint."""

    caption: str
    """One sentence above the table."""
    benchmarks: Unique[str] = Field(min_length=2, max_length=2)
    """Two benchmarks that judge the same answers: the second has the first one's name under `answers_of`."""
    rows: Unique[RowSettings] | None = Field(None, min_length=1)
    """Whose answers, from top to bottom; null: those of every checkpoint and baseline of the experiment. Both judges
    are asked for what the rows need."""
    notes: tuple[str, ...] = ()
    """Sentences that the table shows below it."""


def krippendorff_alpha(units: Sequence[Sequence[float | None]], level: Level) -> float | None:
    """Return Krippendorff's alpha: 1 is perfect agreement, 0 that of chance (Krippendorff 2011, "Computing
    Krippendorff's alpha-reliability"). None where chance could not disagree, since all verdicts are the same.

    units: the verdicts of all judges on each unit; a unit with fewer than two verdicts says nothing.
    """
    rated = [[verdict for verdict in unit if verdict is not None] for unit in units]
    paired = [unit for unit in rated if len(unit) > 1]
    every = [verdict for unit in paired for verdict in unit]
    expected = _disagreement(every, level)
    if not expected:
        return None
    observed = math.fsum(_disagreement(unit, level) / (len(unit) - 1) for unit in paired)
    return 1 - (len(every) - 1) * observed / expected


def _disagreement(verdicts: Sequence[float], level: Level) -> float:
    """The sum over all ordered pairs of these verdicts: of their squared difference, or of 1 where they differ."""
    if not verdicts:
        return 0.0
    if level == "nominal":
        return float(len(verdicts) ** 2 - sum(count**2 for count in Counter(verdicts).values()))
    mean = fmean(verdicts)
    return 2 * len(verdicts) * math.fsum((verdict - mean) ** 2 for verdict in verdicts)


def read_verdicts(path: Path) -> tuple[Verdicts, Level]:
    """Return the verdicts of a benchmark's items, and how they differ: ratings of MT-Bench's turns by their distance;
    of AlpacaEval's comparisons 1 for the model, 0 for the reference, 0.5 for neither.

    path: an items.jsonl. Raises InputError for items that nobody judged.
    """
    verdicts: Verdicts = {}
    level: Level = "interval"
    for row in iterate_jsonl(path):
        if "turn" in row:
            verdicts[row["id"], row["turn"]] = row["metrics"]["score"]
        elif "winner" in row:
            level = "nominal"
            verdicts[row["id"], row["prompt"], row["response"]] = WINNERS[row["winner"]]
        else:
            raise InputError(f"{path}: its items have no verdict of a judge; name a benchmark that has one.")
    return verdicts, level


def require_same_answers(paths: Sequence[Path], records: Sequence[ResultRecord]) -> None:
    """Raise InputError, naming both records, unless both are of the same answers."""
    found = [
        {sha256 for file, sha256 in record.made_from.files.items() if Path(file).name in ANSWER_FILES}
        for record in records
    ]
    if found[0] != found[1] or not found[0]:
        raise InputError(
            f"{paths[1]}: it is not known to be of the answers of {paths[0]}; let the benchmark's answers_of name the "
            f"other one, or {AGAIN}."
        )


def agreement(judged: Sequence[tuple[Verdicts, Verdicts]], level: Level) -> dict[str, float | None]:
    """Return what is known of two judges' agreement on some answers, each pair of verdicts by what was judged.

    `n` answers, `n valid` of them with a verdict of both; of these `equal`, the share on which the verdicts are the
    same, `alpha`, and `first` and `second`, the mean verdicts. None where it cannot be computed.
    """
    units = [(first[key], second[key]) for first, second in judged for key in first]
    valid = [(one, other) for one, other in units if one is not None and other is not None]
    return {
        "n": len(units),
        "n valid": len(valid),
        "equal": fmean(one == other for one, other in valid) if valid else None,
        "alpha": krippendorff_alpha(valid, level),
        "first": fmean(one for one, _ in valid) if valid else None,
        "second": fmean(other for _, other in valid) if valid else None,
    }
