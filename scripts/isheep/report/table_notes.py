"""What stands below a table: how its numbers came about, and what a reader must know of them."""

import pandas

from isheep.report.published import PublishedTable
from isheep.report.significance import DRAWS, METHODS, POWER, SEEDS_TESTED
from isheep.report.table_numbers import NOT_COMPARABLE, SIGNIFICANT, UNTESTED, shown_tests
from isheep.report.tables import Row, TableSettings, metric_of
from isheep.spelling import listed

SPREADS = {
    "error": "± is the standard error over items, where the benchmark gives one.",
    "interval": "± is half of the 95 % interval over items, 1.96 standard errors, where the benchmark gives one.",
}
"""What stands behind ±, where it is not the deviation over seeds."""

CORRECTIONS = {
    "holm": "after Holm's correction for {tests} of this table",
    "benjamini_hochberg": "after Benjamini and Hochberg's correction for {tests} of this table",
    "none": "not corrected for {tests} of this table",
}
"""How a star's p-value is adjusted."""

DIFFERENCES = {
    "interval": "change: the difference to the checkpoint before, and its 95 % confidence interval {error} (Bonett and "
    "Price's for paired differences), not corrected for the number of tests.",
    "detectable": "detectable: the smallest true difference to the checkpoint before that an uncorrected test shows "
    f"with a chance of {100 * POWER:.0f} %, by the standard error {{error}} of these paired differences.",
}
"""What stands below our scores, where a table asks for it."""


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

    In this order: seeds and items, tests, overlap with training data, what cannot be compared with the paper's numbers,
    remarks on them, notes of the result records, the table's own.
    """
    notes = [
        *replicate_notes(numbers, table),
        *([] if significance is None else test_notes(shown_tests(significance, table, rows), numbers, table)),
        *([] if contamination is None else contamination_notes(contamination, table, rows)),
        *comparison_notes(numbers, table),
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
    deviation = " ± standard deviation" if table.spread == "seeds" else ""
    replicates = "One seed." if seeds == 1 else f"Mean{deviation} over {seeds} seeds."
    if table.spread in SPREADS:
        replicates += f" {SPREADS[table.spread]}"
        replicates += " Of several seeds it is the mean of theirs." if seeds > 1 else ""
    if any((numbers[f"{column.label} seeds"].between(1, numbers["seeds"] - 1)).any() for column in table.columns):
        replicates += " Where not every seed has a score, the cell says how many have."
    items = {column.label: (numbers[f"{column.label} n"] / numbers["seeds"]).max() for column in table.columns}
    return [replicates, f"Items per seed: {', '.join(f'{label} {n:.0f}' for label, n in items.items() if n > 0)}."]


def test_notes(tests: pandas.DataFrame, numbers: pandas.DataFrame, table: TableSettings) -> list[str]:
    """Return what a star stands for where anything was tested, what was not, and what stands below our scores."""
    if tests.empty:
        return []
    used = [text for method, text in METHODS.items() if method in set(tests.method)]
    how = used[0] if len(used) == 1 else f"{used[0]}, drawn ({DRAWS:,} draws) where there are too many sums to count"
    seeds = int(numbers["seeds"].max())
    if seeds >= SEEDS_TESTED:
        how += "; or a t test whose variance has items and seeds, whichever p is larger"
    else:
        given = "The training of the one seed is" if seeds == 1 else f"The trainings of the {seeds} seeds are"
        how += f". {given} taken as given: a star does not say that another seed would come out alike"
    counted = f"the {len(tests)} tests" if len(tests) > 1 else "the one test"
    notes = [
        f"A star (*) marks p < {SIGNIFICANT} against the checkpoint of the iteration before (the base model for the "
        f"first), two-sided, {CORRECTIONS[table.correction].format(tests=counted)}: {how}."
    ]
    if any((numbers[f"{column.label} tested"] == "no").any() for column in table.columns):
        notes.append(
            f"A dagger ({UNTESTED}) marks a score that was not tested: it is no mean over items, or the checkpoint "
            "before it lacks the score, or a seed of either does."
        )
    error = "over items and seeds" if seeds >= SEEDS_TESTED else "over items"
    return notes + [DIFFERENCES[kind].format(error=error) for kind in table.differences]


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


def comparison_notes(numbers: pandas.DataFrame, table: TableSettings) -> list[str]:
    """Return what the mark of a printed number stands for where one is marked, and the columns' reasons for it."""
    marked = [column for column in table.columns if (numbers[f"{column.label} comparable"] == "no").any()]
    if not marked:
        return []
    reasons: dict[str, list[str]] = {}
    for column in marked:
        if column.not_comparable is not None:
            reasons.setdefault(column.not_comparable, []).append(column.label)
    mark = f"A double dagger ({NOT_COMPARABLE}) marks a printed number that ours cannot be compared with."
    return [mark, *(f"{listed(labels)}: {reason}" for reason, labels in reasons.items())]


def remark_notes(published: PublishedTable, table: TableSettings, rows: list[Row]) -> list[str]:
    """Return the remarks on the paper's numbers that are shown, each with the cells that it is about."""
    cells, about = [], {}
    for row in rows:
        for column in table.columns:
            key = row.published, column.published
            if None in key or published.value(*key) is None:
                continue
            cell = row_title(row), column.label
            cells.append(cell)
            for remark in published.remarks(*key):
                text = remark.text if remark.comparable else f"{remark.text} No difference is shown."
                about.setdefault(text, []).append(cell)
    return [f"{_place(remarked, cells)}{text}" for text, remarked in about.items()]


def row_title(row: Row) -> str:
    """Return what a row is called where it stands alone: with the group that it belongs to."""
    return f"{row.group} {row.name}".strip()


def benchmark_notes(scores: pandas.DataFrame, table: TableSettings, rows: list[Row]) -> list[str]:
    """Return what the result records of the scores that are shown say of them, each line of a note behind what it is
    said of: the names of benchmarks, rows and seeds, unless it is said of all of them."""
    said: dict[str, dict[tuple[str, str], set[int]]] = {}
    recorded: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        mine = scores[(scores.model == row.model) & (scores.checkpoint == row.checkpoint)]
        for column in table.columns:
            records = mine[(mine.benchmark == column.benchmark) & (mine.metric == metric_of(column, row))]
            cell = row_title(row), column.benchmark
            for seed, note in zip(records.seed, records.note, strict=True):
                recorded.setdefault(cell, set()).add(seed)
                for line in [] if pandas.isna(note) else filter(None, note.splitlines()):
                    said.setdefault(line, {}).setdefault(cell, set()).add(seed)
    every = {column.benchmark for column in table.columns}
    return [
        f"{_whose(cells, seeds, every, recorded)}{line}"
        for line, found in said.items()
        for seeds, cells in _by_seeds(found, recorded).items()
    ]


def _by_seeds(
    found: dict[tuple[str, str], set[int]], recorded: dict[tuple[str, str], set[int]]
) -> dict[tuple[int, ...], list[tuple[str, str]]]:
    """The cells (row, benchmark) by the seeds of which a line is said; none named where it is all of a cell's."""
    cells: dict[tuple[int, ...], list[tuple[str, str]]] = {}
    for cell, seeds in found.items():
        cells.setdefault(() if seeds == recorded[cell] else tuple(sorted(seeds)), []).append(cell)
    return cells


def _whose(cells: list[tuple[str, str]], seeds: tuple[int, ...], every: set[str], recorded: dict) -> str:
    """Name what a line is said of, as the beginning of a sentence."""
    rows, benchmarks = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    all_rows = list(dict.fromkeys(row for row, benchmark in recorded if benchmark in benchmarks))
    parts = [listed(benchmarks)] if set(benchmarks) != every else []
    if set(rows) != set(all_rows):
        others = [row for row in all_rows if row not in rows]
        parts.append(listed(rows) if len(rows) <= len(others) else f"all but {listed(others)}")
    parts = [" of ".join(parts)] if parts else []
    parts += [f"seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}"] if seeds else []
    place = ", ".join(parts)
    return f"{place[0].upper() if seeds and len(parts) == 1 else place[0]}{place[1:]}: " if place else ""


def _place(remarked: list[tuple[str, str]], cells: list[tuple[str, str]]) -> str:
    """Name remarked cells (row, column) by their columns and rows, unless these are all that have such cells."""
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*remarked, strict=True))
    all_rows = {row for row, column in cells if column in columns}
    all_columns = {column for row, column in cells if row in rows}
    named = [names for names, everything in ((columns, all_columns), (rows, all_rows)) if set(names) != everything]
    return " of ".join(map(listed, named)) + ": " if named else ""
