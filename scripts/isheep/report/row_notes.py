"""What a reader of scores must know of the pairs that the checkpoints were trained on: how many, which, and the same.

Tables and figures show it below their numbers.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence

from isheep.files.reading import read_object
from isheep.files.records import InputError
from isheep.settings import Settings
from isheep.spelling import listed

KEYS = ("rows", "kept", "trained_on", "held_out", "trained_on_sha256")
HOW = {
    "first": "the first {most}, evenly of the checkpoints that wrote them,",
    "sample": "{most}, drawn at random and evenly of the checkpoints that wrote them,",
}
"""Which pairs are used where more are kept, by the setting `rows`."""


class SelectionPlace(Settings):
    """Where the record of one training set's selection lies."""

    model: str
    """Name of the model."""
    seed: int
    """The replicate."""
    recipe: str
    """The recipe that owns the checkpoint."""
    iteration: int
    """Number of the iteration."""
    path: str
    """The record (`selection.json`)."""

    @property
    def checkpoint(self) -> tuple[str, str]:
        """The model, and the checkpoint's folder below the seed's."""
        return self.model, f"{self.recipe}/iter{self.iteration}"


class Shown(Settings):
    """A checkpoint in a table or figure."""

    title: str
    """What it is called there."""
    model: str
    """Name of the model."""
    recipe: str
    """The recipe that it is shown for; recipes may share a checkpoint."""
    iteration: int
    """Number of the iteration."""
    checkpoint: str
    """Its folder below the seed's."""


def add_selections_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--selections`: where the records of the shown checkpoints' training sets lie."""
    parser.add_argument(
        "--selections",
        type=SelectionPlace.model_validate_json,
        nargs="*",
        default=[],
        help="for each checkpoint model, seed, recipe, iteration, path of the record; JSON",
    )


def training_notes(places: Sequence[SelectionPlace], shown: Iterable[Shown]) -> list[str]:
    """Return sentences: how many of the kept pairs were used and which, then which checkpoints have the same pairs.

    Raises InputError for a record that is missing, torn or of an earlier version.
    """
    records = {(place.checkpoint, place.seed): read_record(place.path) for place in places}
    of_trained = [one for one in shown if any(key == (one.model, one.checkpoint) for key, _ in records)]
    return [*cap_notes(records, of_trained), *same_notes(records, of_trained)]


def read_record(path: str) -> dict:
    """Return the record of a selection."""
    record = read_object(path)
    if missing := [key for key in KEYS if key not in record]:
        raise InputError(f"{path}: it has no {missing[0]!r}; remove it and run the workflow again, which makes it.")
    return record


def cap_notes(records: Mapping, shown: Sequence[Shown]) -> list[str]:
    """Return which pairs were used where more were kept, by name, and the share that was held out."""
    if not shown:
        return []
    capped: dict[str, list[str]] = {}
    for one in shown:
        for (checkpoint, _), record in records.items():
            if checkpoint == (one.model, one.checkpoint) and record["kept"] > record["trained_on"] + record["held_out"]:
                how = HOW[record["rows"]["rows"]].format(most=record["rows"]["max_samples"])
                capped.setdefault(how, []).append(one.title)
    sentences = [f"Of the kept pairs {how} are used in {listed_once(titles)}." for how, titles in capped.items()]
    if {one.title for one in shown} != {title for titles in capped.values() for title in titles}:
        sentences.append("Elsewhere all kept pairs are used." if capped else "All kept pairs are used.")
    shares = sorted({record["rows"]["validation_share"] for record in records.values() if record["held_out"]})
    if shares:
        held_out = listed_once(f"{100 * share:g} %" for share in shares)
        sentences.append(f"Of the pairs used, {held_out} are held out for validation.")
    return [" ".join(sentences)]


def same_notes(records: Mapping, shown: Sequence[Shown]) -> list[str]:
    """Return which of the checkpoints are trained on the same pairs, or are one and the same."""
    one_for_each = {(one.model, one.recipe, one.iteration): one for one in reversed(shown)}
    distinct = list(reversed(one_for_each.values()))
    return [*shared_notes(distinct), *equal_notes(records, distinct)]


def shared_notes(shown: Sequence[Shown]) -> list[str]:
    """Return which recipes that are shown share a checkpoint."""
    sharing: dict[tuple[str, str], list[str]] = {}
    for one in shown:
        sharing.setdefault((one.model, one.checkpoint), []).append(one.title)
    return [
        f"{listed_once(titles)} are one checkpoint: their recipes do not differ until then."
        for titles in sharing.values()
        if len(titles) > 1
    ]


def equal_notes(records: Mapping, shown: Sequence[Shown]) -> list[str]:
    """Return which checkpoints have other settings and yet the same pairs, with the seeds in which they have."""
    alike: dict[tuple[str, ...], list[int]] = {}
    first_title = {(one.model, one.checkpoint): one.title for one in reversed(shown)}
    for seed in sorted({seed for _, seed in records}):
        of_pairs: dict[str, list[str]] = {}
        for checkpoint, title in reversed(first_title.items()):
            if (record := records.get((checkpoint, seed))) is not None:
                of_pairs.setdefault(record["trained_on_sha256"], []).append(title)
        for titles in of_pairs.values():
            if len(titles) > 1:
                alike.setdefault(tuple(titles), []).append(seed)
    return [
        f"Trained on the very same pairs: {listed_once(titles)} (seed {', '.join(map(str, seeds))})."
        for titles, seeds in alike.items()
    ]


def listed_once(names: Iterable[str]) -> str:
    """Return the names, each once, in their order."""
    return listed(list(dict.fromkeys(names)))
