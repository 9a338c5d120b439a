"""Tables, declared in the configuration and built from the collected scores alone."""

from collections.abc import Callable

import pandas
from pydantic import Field

from isheep.settings import Settings


class ColumnSettings(Settings):
    """One column: a metric of a benchmark."""

    benchmark: str
    """Name of the benchmark in the configuration."""
    metric: str
    """Name of the metric in the benchmark's result record."""
    label: str
    """Heading of the column."""
    percent: bool = True
    """Show a share as a percentage."""


class TableSettings(Settings):
    """One table: a row for the base model and for each iteration of each recipe, and these columns."""

    caption: str
    """One sentence above the table."""
    columns: tuple[ColumnSettings, ...]
    """The columns, from left to right."""


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


PUBLISHED = "published"
"""What stands for a checkpoint in the rows of a baseline."""


class Grid(Settings):
    """Which result records an experiment has."""

    results: str
    """Folder of the experiment's results."""
    checkpoints: dict[str, tuple[str, ...]]
    """The checkpoints of each model."""
    seeds: tuple[int, ...]
    """The replicates."""
    benchmarks: tuple[str, ...]
    """The benchmarks of every checkpoint."""
    baselines: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The benchmarks of each baseline."""

    def records(self) -> list[tuple[str, dict]]:
        """Return where each result record lies, with what it is of: model, seed, checkpoint and benchmark."""
        found = [
            (f"baselines/{baseline}", {"model": baseline, "seed": 0, "checkpoint": PUBLISHED, "benchmark": benchmark})
            for baseline, benchmarks in self.baselines.items()
            for benchmark in benchmarks
        ] + [
            (
                f"{model}/seed{seed}/{checkpoint}",
                {"model": model, "seed": seed, "checkpoint": checkpoint, "benchmark": benchmark},
            )
            for model, checkpoints in self.checkpoints.items()
            for seed in self.seeds
            for checkpoint in checkpoints
            for benchmark in self.benchmarks
        ]
        return [(f"{self.results}/{folder}/benchmarks/{what['benchmark']}/result.json", what) for folder, what in found]


def build_table(scores: pandas.DataFrame, table: TableSettings, rows: list[Row]) -> pandas.DataFrame:
    """Return the numbers of a table: per column the mean over seeds, its standard deviation, and item counts.

    scores: one row per model, seed, checkpoint, benchmark and metric, with value, n and n_valid. The result has the
    columns model, recipe, iteration, seeds, then for each declared column `<label>`, `<label> sd` (missing for a
    single seed), `<label> n` and `<label> n valid` (sums over seeds). A score that nobody computed stays missing.
    """
    lines = []
    for row in rows:
        mine = scores[(scores.model == row.model) & (scores.checkpoint == row.checkpoint)]
        line = {"model": row.model, "recipe": row.recipe or row.checkpoint, "iteration": row.iteration}
        line["seeds"] = mine.seed.nunique()
        for column in table.columns:
            cell = mine[(mine.benchmark == column.benchmark) & (mine.metric == column.metric)]
            scale = 100 if column.percent else 1
            line[column.label] = cell.value.mean() * scale
            line[f"{column.label} sd"] = cell.value.std(ddof=1) * scale
            line[f"{column.label} n"] = cell.n.sum()
            line[f"{column.label} n valid"] = cell.n_valid.sum()
        lines.append(line)
    return pandas.DataFrame(lines)


def benchmark_notes(scores: pandas.DataFrame, table: TableSettings) -> list[str]:
    """Return what a reader must know of the table's scores, as their result records say it; each note once."""
    shown = {(column.benchmark, column.metric) for column in table.columns}
    is_shown = [cell in shown for cell in zip(scores.benchmark, scores.metric, strict=True)]
    notes = scores[is_shown].note.dropna()
    return [note for note in dict.fromkeys(notes) if note]


def as_markdown(numbers: pandas.DataFrame, table: TableSettings, notes: list[str]) -> str:
    """Return the table as Markdown: caption, cells, notes."""
    headings = ["model", "checkpoint", *(column.label for column in table.columns)]
    lines = [headings, ["---", "---", *("--:" for _ in table.columns)], *_cells(numbers, table, "±", str)]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table.caption}\n\n{body}\n\n{_notes(numbers, table, notes)}\n"


def as_latex(numbers: pandas.DataFrame, table: TableSettings, notes: list[str]) -> str:
    """Return the table as a LaTeX table environment; it needs the package booktabs."""
    headings = ["model", "checkpoint", *(_escaped(column.label) for column in table.columns)]
    lines = [" & ".join(line) + r" \\" for line in _cells(numbers, table, r"$\pm$", _escaped)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(table.caption)} {_escaped(_notes(numbers, table, notes))}}}",
            rf"\begin{{tabular}}{{ll{'r' * len(table.columns)}}}",
            r"\toprule",
            " & ".join(headings) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _cells(
    numbers: pandas.DataFrame, table: TableSettings, plus_minus: str, escape: Callable[[str], str]
) -> list[list[str]]:
    lines = []
    for _, row in numbers.iterrows():
        name = row["recipe"] if row["iteration"] == 0 else f"{row['recipe']} iter{row['iteration']}"
        cells = [_number(row, column.label, plus_minus) for column in table.columns]
        lines.append([escape(row["model"]), escape(name), *cells])
    return lines


def _number(row: pandas.Series, label: str, plus_minus: str) -> str:
    if pandas.isna(row[label]):
        return "–"
    deviation = row[f"{label} sd"]
    missing = row[f"{label} n"] - row[f"{label} n valid"]
    text = f"{row[label]:.2f}" if pandas.isna(deviation) else f"{row[label]:.2f} {plus_minus} {deviation:.2f}"
    return f"{text} ({missing:.0f} missing)" if missing else text


def _notes(numbers: pandas.DataFrame, table: TableSettings, notes: list[str]) -> str:
    seeds = int(numbers["seeds"].max())
    replicates = "One seed." if seeds == 1 else f"Mean ± standard deviation over {seeds} seeds."
    items = [(numbers[f"{column.label} n"] / numbers["seeds"]).max() for column in table.columns]
    counts = [f"{column.label} {n:.0f}" for column, n in zip(table.columns, items, strict=True) if n == n]
    return " ".join([replicates, f"Items per seed: {', '.join(counts)}.", *notes])


def _escaped(text: str) -> str:
    special = {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "±": r"$\pm$",
    }
    return "".join(special.get(character, character) for character in text)
