"""Tables as the configuration declares them, and which result records they are made from."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from isheep.files.records import InputError
from isheep.report.multiple_tests import Correction
from isheep.settings import Settings, Unique, each_once_by
from isheep.spelling import listed

ROW_COLUMNS = ("group", "label", "model", "recipe", "iteration", "published", "seeds")
"""The columns of a table's csv that say what a row is of."""
CELL_COLUMNS = (
    *("", "sd", "se", "n", "n valid", "seeds", "paper", "comparable", "difference"),
    *("change", "change low", "change high", "detectable", "p", "p adjusted", "tested"),
)
"""What stands behind a column's label in its columns of the csv."""


class ColumnSettings(Settings):
    """One column: a metric of a benchmark."""

    benchmark: str
    """Name of the benchmark in the configuration."""
    metric: str
    """Name of the metric in the benchmark's result record. `{name}` stands for the row's value of that name, such as
    `turn_{turn}`."""
    label: str
    """Heading of the column."""
    percent: bool = True
    """Show a share as a percentage."""
    published: str | None = None
    """The column of the table's published file that holds the same score; null where the paper has none."""
    not_comparable: str | None = None
    """Why its scores cannot be compared with the printed ones, as a sentence; null takes what the benchmark says."""


class RowSettings(Settings):
    """Rows for the iterations of one recipe on one model."""

    model: str
    """Name of the model."""
    recipe: str = ""
    """Name of the recipe; empty for the base model."""
    iterations: Unique[int] = (0,)
    """Numbers of the iterations, one row each; 0 for the base model."""
    label: str
    """What the row is called; `{iteration}` stands for its number, other braces for themselves."""
    group: str = ""
    """Heading above rows that belong together, such as the model's size; rows of one group follow each other."""
    published: str | None = None
    """The row of the table's published file that is the same checkpoint; may hold `{iteration}`; null where the paper
    has none."""
    columns: Unique[str] | None = None
    """Labels of the columns that its checkpoints are measured for, such as those that the paper prints; the others stay
    missing unless they are measured anyway. null: all."""
    empty: Unique[str] = ()
    """Labels of the columns that show nothing in these rows, such as those that the paper leaves empty."""
    values: dict[str, str] = Field(default_factory=dict)
    """What the placeholders of the columns' metrics stand for in these rows."""


class TableSettings(Settings):
    """One table: a row for each checkpoint and these columns, with the paper's numbers where it has them."""

    caption: str
    """One sentence above the table."""
    columns: Annotated[tuple[ColumnSettings, ...], AfterValidator(each_once_by("label"))]
    """The columns, from left to right."""
    rows: Unique[RowSettings] | None = Field(None, min_length=1)
    """The rows, from top to bottom; null shows every checkpoint of the experiment."""
    published: str | None = None
    """File of the paper's numbers, csv; then each checkpoint shows ours, the paper's and the difference."""
    transpose: bool = False
    """Show the checkpoints side by side and the columns below one another: for many columns and few checkpoints."""
    spread: Literal["seeds", "error", "interval", "none"] = "seeds"
    """What stands behind ± beside our scores. seeds: the standard deviation over seeds, where there are several. error:
    the standard error over items, as the result records have it; of several seeds the mean of theirs, since all are
    measured on the same items. interval: half of the 95 % interval, 1.96 of these standard errors. none: nothing."""
    correction: Correction = "holm"
    """How p-values are adjusted for the number of tests in the table, before a star marks those below 0.05. holm: the
    chance of any false star in the table is at most 5 %. benjamini_hochberg: the expected share of false ones among
    the stars is; more stars in a large table. none: each test for itself. The csv has p-values as they are, too."""
    differences: Unique[Literal["interval", "detectable"]] = ()
    """What stands below each of our scores of the difference to the checkpoint before; the csv has it anyway. interval:
    the difference, and its 95 % confidence interval. detectable: the smallest true difference that the test shows with
    a chance of 80 %, as much as the items of these two checkpoints differ."""
    notes: tuple[str, ...] = ()
    """Sentences that the table shows below it."""

    @model_validator(mode="after")
    def _columns_of_the_csv_differ(self) -> "TableSettings":
        seen = set(ROW_COLUMNS)
        for column in self.columns:
            names = {f"{column.label} {kind}".strip() for kind in CELL_COLUMNS}
            if taken := sorted(names & seen):
                raise ValueError(f"columns: {column.label!r} would have a second {taken[0]!r} in the csv; rename it")
            seen |= names
        return self


class Row(Settings):
    """One row of a table: a checkpoint, and what it is called there."""

    model: str
    """Name of the model."""
    recipe: str
    """Name of the recipe; empty for the base model."""
    iteration: int
    """Number of the iteration; 0 for the base model."""
    checkpoint: str
    """Folder of the checkpoint; recipes may share one."""
    previous: str | None = None
    """The checkpoint that its scores are tested against: that of the iteration before; None for the base model."""
    label: str = ""
    """What the row is called; empty: by recipe and iteration."""
    group: str = ""
    """Heading above the rows that belong together."""
    published: str | None = None
    """The row of the published file that is the same checkpoint."""
    empty: tuple[str, ...] = ()
    """Labels of the columns that show nothing in it."""
    values: dict[str, str] = Field(default_factory=dict)
    """What the placeholders of the columns' metrics stand for."""

    @property
    def name(self) -> str:
        """What the row is called."""
        name = self.recipe or self.checkpoint
        return self.label or (f"{name} iter{self.iteration}" if self.iteration else name)


def metric_of(column: ColumnSettings, row: Row) -> str:
    """Return the metric that a column shows in a row: its placeholders stand for the row's values.

    Raises InputError, naming column and row, for a placeholder without a value.
    """
    try:
        return column.metric.format_map(row.values)
    except (KeyError, ValueError, IndexError, AttributeError):
        raise InputError(
            f"column {column.label!r}: the metric {column.metric!r} cannot be filled from the values of the row "
            f"{row.name!r}, which are {listed(row.values)}; name each placeholder there, and close each brace."
        ) from None


def check_names(name: str, table: TableSettings, rows: Sequence[Row], is_published: bool) -> None:
    """Raise InputError for names in a table that cannot be filled or are not there, by table and column or row.

    That is: a placeholder without a value, names of a published table where there is none, one published row for two
    rows.
    """
    for column in table.columns:
        for row in rows:
            try:
                metric_of(column, row)
            except InputError as error:
                raise InputError(f"tables.{name}: {error}") from None
    keys = [row.published for row in rows if row.published is not None]
    if not is_published and (keys or any(column.published for column in table.columns)):
        raise InputError(
            f"tables.{name}: its rows or columns name those of a published table, but the table names no file of it; "
            "set its `published`."
        )
    for key, count in Counter(keys).items():
        if count > 1:
            names = [row.name for row in rows if row.published == key]
            raise InputError(
                f"tables.{name}: {count} rows ({listed(names)}) name the published row {key!r}; leave it to one."
            )
