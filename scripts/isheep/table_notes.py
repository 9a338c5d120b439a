"""What stands below a table: how its numbers came about, and what a reader must know of them."""

import pandas

from isheep.published import PublishedTable
from isheep.significance import METHODS
from isheep.spelling import listed
from isheep.table_numbers import SIGNIFICANT, shown_tests
from isheep.tables import Row, TableSettings, metric_of


def table_notes(
    numbers: pandas.DataFrame,
    table: TableSettings,
    rows: list[Row],
    scores: pandas.DataFrame,
    published: PublishedTable | None = None,
    significance: pandas.DataFrame | None = None,
    contamination: pandas.DataFrame | None = None,
) -> list[str]:
    """Return the notes of a table, each once.

    In this order: seeds and items, tests, overlap with training data, remarks on the paper's numbers, notes of the
    result records, the table's own.
    """
    notes = [
        *replicate_notes(numbers, table),
        *([] if significance is None else test_notes(shown_tests(significance, table, rows))),
        *([] if contamination is None else contamination_notes(contamination, table, rows)),
        *([] if published is None else remark_notes(published, table, rows)),
        *benchmark_notes(scores, table, rows),
        *table.notes,
    ]
    return list(dict.fromkeys(notes))


def replicate_notes(numbers: pandas.DataFrame, table: TableSettings) -> list[str]:
    """Return over how many seeds the means are, and of how many items a seed's score is made."""
    seeds = int(numbers["seeds"].max())
    if not seeds:
        return ["None of these checkpoints has a score."]
    replicates = "One seed." if seeds == 1 else f"Mean ± standard deviation over {seeds} seeds."
    items = {column.label: (numbers[f"{column.label} n"] / numbers["seeds"]).max() for column in table.columns}
    return [replicates, f"Items per seed: {', '.join(f'{label} {n:.0f}' for label, n in items.items() if n > 0)}."]


def test_notes(tests: pandas.DataFrame) -> list[str]:
    """Return what a star stands for, where anything was tested."""
    if tests.empty:
        return []
    used = [text for method, text in METHODS.items() if method in set(tests.method)]
    how = used[0] if len(used) == 1 else f"{used[0]} where each item is right or wrong, else {used[1]}"
    return [
        f"A star (*) marks p < {SIGNIFICANT} against the checkpoint of the iteration before (the base model for the "
        f"first), two-sided, not corrected for the number of comparisons: {how}."
    ]


def contamination_notes(contamination: pandas.DataFrame, table: TableSettings, rows: list[Row]) -> list[str]:
    """Return how many test items of each benchmark overlap with the training data of the checkpoints that are shown."""
    shown = {(row.model, row.checkpoint) for row in rows}
    owners = contamination.recipe + "/iter" + contamination.iteration.astype(str)
    is_shown = [where in shown for where in zip(contamination.model, owners, strict=True)]
    checked = contamination[is_shown]
    if checked.empty:
        return []
    sentences: list[str] = []
    free, unknown = [], []
    for benchmark in dict.fromkeys(column.benchmark for column in table.columns):
        found = checked[checked.benchmark == benchmark]
        if found.empty:
            unknown.append(benchmark)
        elif not found.either.max():
            free.append(benchmark)
        else:
            worst = found.loc[found.either.idxmax()]
            model = f"{worst.model} " if len({row.model for row in rows}) > 1 else ""
            overlap = f"{worst.either} of {worst['items']} ({100 * worst.either / worst['items']:.1f} %)"
            sentences.append(
                f"Test items of {benchmark} that overlap with training data: at most {overlap}, in "
                f"{model}{worst.recipe} iter{worst.iteration} (seed {worst.seed})."
            )
    sentences += [f"No test item of {listed(free)} overlaps with training data."] if free else []
    sentences += [f"Overlap with training data was not counted for {listed(unknown)}."] if unknown else []
    return [" ".join(sentences)]


def remark_notes(published: PublishedTable, table: TableSettings, rows: list[Row]) -> list[str]:
    """Return the remarks on the paper's numbers that are shown, each with the cells that it is about."""
    cells, about = [], {}
    for row in rows:
        for column in table.columns:
            key = row.published, column.published
            if None in key or published.value(*key) is None:
                continue
            cell = f"{row.group} {row.name}".strip(), column.label
            cells.append(cell)
            for remark in published.remarks(*key):
                text = remark.text if remark.comparable else f"{remark.text} No difference is shown."
                about.setdefault(text, []).append(cell)
    return [f"{_place(remarked, cells)}{text}" for text, remarked in about.items()]


def benchmark_notes(scores: pandas.DataFrame, table: TableSettings, rows: list[Row]) -> list[str]:
    """Return what the result records of the scores that are shown say of them: each line of a note once, behind the
    names of its benchmarks unless it is said of all."""
    shown = {
        (row.model, row.checkpoint, column.benchmark, metric_of(column, row))
        for row in rows
        for column in table.columns
    }
    where = zip(scores.model, scores.checkpoint, scores.benchmark, scores.metric, strict=True)
    noted = scores[[cell in shown for cell in where]].dropna(subset="note")
    of: dict[str, dict[str, None]] = {}
    for benchmark, note in zip(noted.benchmark, noted.note, strict=True):
        for line in note.splitlines():
            of.setdefault(line, {})[benchmark] = None
    every = {column.benchmark for column in table.columns}
    return [line if set(names) == every else f"{listed(names)}: {line}" for line, names in of.items() if line]


def _place(remarked: list[tuple[str, str]], cells: list[tuple[str, str]]) -> str:
    """Name remarked cells (row, column) by their columns and rows, unless these are all that have such cells."""
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*remarked, strict=True))
    all_rows = {row for row, column in cells if column in columns}
    all_columns = {column for row, column in cells if row in rows}
    named = [names for names, everything in ((columns, all_columns), (rows, all_rows)) if set(names) != everything]
    return " of ".join(map(listed, named)) + ": " if named else ""
