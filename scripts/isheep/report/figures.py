"""What a figure shows, as the configuration declares it; and what the workflow tells the programs that draw it."""

from collections.abc import Hashable, Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from isheep.files.records import InputError
from isheep.settings import Settings, Unique, each_once_by
from isheep.spelling import listed

MOST_SERIES = 6
"""Lines of one figure that stay apart in colour-blind vision and in grey: as many as the house style has."""


Iteration = Annotated[int, Field(ge=1)]
Iterations = Annotated[Unique[Iteration], Field(min_length=1)]


class PanelSettings(Settings):
    """One panel: a metric of a benchmark."""

    benchmark: str
    """Name of the benchmark in the configuration."""
    metric: str
    """Name of the metric in the benchmark's result record."""
    label: str
    """Title of the panel."""
    percent: bool = True
    """Show a share as a percentage."""


class PointSettings(Settings):
    """One place on the horizontal axis: the recipe whose checkpoints are shown there."""

    x: Annotated[str, Field(pattern=r"\S", coerce_numbers_to_str=True)]
    """What is written there; the points stand side by side in the order given, also where they are numbers."""
    recipe: str
    """Name of the recipe."""


class SweepFigure(Settings):
    """How scores depend on a setting that recipes differ in: one line per iteration (paper, Figure 2)."""

    kind: Literal["sweep"]
    """A score of each recipe of a list, as in the paper's Figure 2."""
    caption: str
    """One sentence below the panels."""
    x_label: str
    """Title of the horizontal axes: what the recipes differ in."""
    model: str
    """Name of the model."""
    iterations: Annotated[Iterations, Field(max_length=MOST_SERIES)] | None = None
    """Which iterations are shown, a line each (paper: 1 to 3); null: those that all its recipes have, 6 at most."""
    points: Annotated[tuple[PointSettings, ...], Field(min_length=1), AfterValidator(each_once_by("x"))]
    """The recipes, from left to right."""
    panels: Annotated[tuple[PanelSettings, ...], Field(min_length=1), AfterValidator(each_once_by("label"))]
    """The metrics, a panel each, row by row."""
    notes: tuple[str, ...] = ()
    """Sentences that stand behind the caption."""


class ShareFigure(Settings):
    """The share of pairs that the assessment scores high, by iteration (paper, Figure 3).

    One curve for each criterion alone and one for all of them together. Iteration t counts the pairs that it chose
    from, which the checkpoint before it wrote; where a recipe's `data` is `all`, those are the pairs of all so far.
    """

    kind: Literal["share"]
    """The share of pairs that are scored high, as in Figure 3."""
    caption: str
    """One sentence below the panel."""
    model: str
    """Name of the model."""
    recipe: str
    """Name of the recipe."""
    iterations: Iterations | None = None
    """Which iterations are shown; null: all of the recipe's (paper: 1 to 6)."""
    criteria: Annotated[Unique[str], Field(min_length=1, max_length=MOST_SERIES - 1)] = ("quality", "following")
    """Criteria of the assessment, each a curve of its own."""
    threshold: Annotated[int, Field(ge=0, le=9)] = 8
    """A score is high if it is > threshold (paper: 8). Scores run from 1 to 10."""
    notes: tuple[str, ...] = ()
    """Sentences that stand behind the caption."""


class ProjectionFigure(Settings):
    """The generated pairs of each iteration on the first two principal components of a reference set (paper, Figure 4).

    Reference and pairs must have been turned into vectors by one and the same model.
    """

    kind: Literal["projection"]
    """Pairs on the components of a reference set, as in Figure 4."""
    caption: str
    """One sentence below the panels."""
    model: str
    """Name of the model."""
    recipe: str
    """Name of the recipe."""
    iterations: Iterations | None = None
    """Which iterations are shown, a panel each; null: all of the recipe's."""
    reference: str
    """The reference set (paper: OpenHermes 2.5): a file of instruction data, or the name of a hub data set that is
    declared in the file of sources."""
    sample: int = Field(2000, ge=1)
    """Rows drawn of the reference, from which the components are computed, and pairs drawn of each iteration; where
    there are fewer pairs, all are drawn. The paper does not say how many it takes."""
    notes: tuple[str, ...] = ()
    """Sentences that stand behind the caption."""


class CurveFigure(Settings):
    """How scores change from the base model to the last iteration: one line per recipe."""

    kind: Literal["curve"]
    """Scores by iteration, from the base model on."""
    caption: str
    """One sentence below the panels."""
    models: Unique[str] = ()
    """Names of the models; without any, all of the experiment."""
    recipes: Unique[str] = ()
    """Names of the recipes; without any, all that these models go through. Each recipe on each model is a line, and a
    figure has at most 6."""
    panels: Annotated[tuple[PanelSettings, ...], Field(min_length=1), AfterValidator(each_once_by("label"))]
    """The metrics, a panel each, row by row."""
    notes: tuple[str, ...] = ()
    """Sentences that stand behind the caption."""


FigureSettings = Annotated[SweepFigure | CurveFigure | ShareFigure | ProjectionFigure, Field(discriminator="kind")]
"""One figure of any kind."""


KINDS_WITH_SCORES = ("sweep", "curve")
"""Kinds of figure that are drawn from scores, in panels."""


class SweepPoint(Settings):
    """One point of a sweep (resolved): whose scores stand at `x` on the line of an iteration."""

    x: str
    """What is written on the horizontal axis."""
    iteration: int
    """Number of the iteration."""
    checkpoint: str
    """Folder of the checkpoint; recipes may share one."""
    model: str
    """Name of the model."""


class CurvePoint(Settings):
    """One point of a curve (resolved): whose scores stand at an iteration on a line."""

    line: str
    """What the line is called."""
    iteration: int
    """Number of the iteration; 0 for the base model."""
    checkpoint: str
    """Folder of the checkpoint; recipes may share one."""
    model: str
    """Name of the model."""


class LedgerFile(Settings):
    """Where the ledger of one iteration and seed lies (resolved)."""

    iteration: int
    """Number of the iteration."""
    seed: int
    """The replicate."""
    path: str
    """The ledger: JSON Lines with the scores of every pair that the iteration chose from."""


class VectorFiles(Settings):
    """Where the vectors of one iteration's generated pairs lie (resolved)."""

    iteration: int
    """Number of the iteration."""
    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """The shards: npz files with `ids` and `vectors`."""


def check_resolved(flag: str, declared: Iterable[Hashable], given: Iterable[Hashable]) -> None:
    """Raise InputError, naming `flag`, unless it was given what the figure declares, and nothing else."""
    declared, given = set(declared), set(given)
    for wrong, what in ((declared - given, "is missing"), (given - declared, "is not part of the figure")):
        if wrong:
            raise InputError(f"{flag}: {listed(sorted(wrong, key=str))} {what}; give what --figure declares.")
