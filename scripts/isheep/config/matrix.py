"""What an experiment consists of: its checkpoints, which recipes share them, and what its tables and figures need.

Only the Snakefile uses it. Everything here follows from the configuration; nothing is read or written.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from isheep.benchmarks.grid import PUBLISHED, Grid
from isheep.benchmarks.judges import JudgeSettings
from isheep.config.schema import JUDGED, RESERVED_RECIPE, Config
from isheep.data.selection import METHODS_WITH_CLUSTERS, METHODS_WITH_PERPLEXITIES
from isheep.files.records import InputError
from isheep.report.agreement import AgreementSettings
from isheep.report.cases import CaseSettings
from isheep.report.figures import KINDS_WITH_SCORES, MOST_SERIES, FigureSettings
from isheep.report.published import load_published
from isheep.report.tables import Row, RowSettings, TableSettings, check_names
from isheep.spelling import listed, nearest, nearest_file
from isheep.training.fine_tuning import never_warm

ASKS_A_MODEL = {"scores", *METHODS_WITH_PERPLEXITIES, *METHODS_WITH_CLUSTERS}
"""Methods of selection for which it matters which model judges."""
NEVER_MATTERS = {"iterations"}
MATTERS_FROM_THE_SECOND_ITERATION = {"start_from", "data", "judge"}
"""In the first one there is but one checkpoint to start from, to take data from, and to judge: the base model."""


def recipe_and_iteration(checkpoint: str) -> tuple[str, int]:
    """Return recipe and iteration of a checkpoint by its folder below the seed's; `base` is iteration 0 of `base`."""
    recipe, _, iteration = checkpoint.partition("/iter")
    return recipe, int(iteration or 0)


def _numbered(name: str, iteration: int) -> str:
    """A row's name with the number of its iteration; other braces are a part of it."""
    return name.replace("{iteration}", str(iteration))


class Matrix:
    """The models, recipes and iterations of one configuration."""

    def __init__(self, config: Config):
        self.config = config
        self.checkpoint = cache(self._checkpoint)

    def recipes(self, model: str) -> tuple[str, ...]:
        """Return the recipes that a model goes through."""
        own = self.config.models[model].recipes
        return self.config.experiment.recipes if own is None else own

    def iterations(self, model: str, recipe: str) -> int:
        """Return how many iterations `recipe` runs on `model`."""
        own = self.config.recipes[recipe].iterations or self.config.models[model].iterations
        return own or self.config.experiment.iterations

    def shards(self, recipe: str) -> range:
        """Return the numbers of the shards that hold a recipe's instructions."""
        return range(-(-self.config.recipes[recipe].instructions // self.config.instructions.shard_size))

    def instructions(self, model: str, checkpoint: str) -> int:
        """Return how many instructions a checkpoint writes: as many as any recipe asks for that goes on from it.

        A recipe that asks for fewer takes the first ones: so its data does not depend on the others.
        """
        recipe, iteration = recipe_and_iteration(checkpoint)
        recipes = [recipe] if iteration else self.recipes(model)
        return max(self.config.recipes[name].instructions for name in recipes)

    def shard_size(self, model: str, checkpoint: str, shard: int) -> int:
        """Return how many instructions a shard of a checkpoint holds: the last one what is left of those asked for.

        Raises InputError for a shard that nothing asks for.
        """
        size, asked = self.config.instructions.shard_size, self.instructions(model, checkpoint)
        left = asked - shard * size
        if left < 1:
            raise InputError(
                f"{model} {checkpoint}: nothing asks for shard {shard}, since {asked} instructions in shards of {size} "
                "are asked for; ask for an earlier one."
            )
        return min(size, left)

    def _checkpoint(self, model: str, recipe: str, iteration: int) -> str:
        """Return the folder, below the seed's, of a recipe's checkpoint: `base` for iteration 0.

        Recipes that do not differ in what can matter until this iteration share that checkpoint: the first of them owns
        it. So every recipe that differs from another only in who judges, which weights it starts from or which
        iterations' data it uses has the other's first checkpoint.
        """
        if iteration == 0:
            return RESERVED_RECIPE
        own = self._what_matters(recipe, iteration)
        sharing = (
            other
            for other in self.recipes(model)
            if self.iterations(model, other) >= iteration and self._what_matters(other, iteration) == own
        )
        return f"{next(sharing)}/iter{iteration}"

    def _what_matters(self, recipe: str, iteration: int) -> dict:
        settings = self.config.recipes[recipe]
        ignored = NEVER_MATTERS | (MATTERS_FROM_THE_SECOND_ITERATION if iteration == 1 else set())
        if settings.selection.method != "scores":
            ignored = ignored | {"assessment"}
        if settings.selection.method not in ASKS_A_MODEL:
            ignored = ignored | {"judge"}
        return settings.model_dump(exclude=ignored)

    def warm_up_warnings(self) -> list[str]:
        """Say of each recipe whose training is sure to end during its warm-up, even if every pair is kept."""
        iterations: dict[str, int] = {}
        for model in self.config.experiment.models:
            for name in self.recipes(model):
                iterations[name] = max(iterations.get(name, 0), self.iterations(model, name))
        warnings = []
        for name, last in iterations.items():
            recipe = self.config.recipes[name]
            most = recipe.instructions * (last if recipe.data == "all" else 1)
            warning = never_warm(recipe.training, most, recipe.training.most_steps(most))
            if warning:
                warnings.append(f"recipes.{name}: even if every pair is kept, {warning}.")
        return warnings

    def unmeasured_warnings(self) -> list[str]:
        """Say of each table which columns will have no score, since the experiment does not measure them."""
        measured = self.config.experiment.benchmarks or ()
        warnings = []
        for name in self.config.tables:
            for benchmark, labels in self._unmeasured(name).items():
                all_of_them = listed([*measured, benchmark])
                warnings.append(
                    f"tables.{name}: {listed(labels)} will show dashes, since {benchmark} is not in "
                    f"experiment.benchmarks; to measure it, write `experiment: {{benchmarks: [{all_of_them}]}}`."
                )
        return warnings

    def trained(self) -> list[tuple[str, str]]:
        """Return every trained checkpoint once: its model and its folder below the seed's."""
        found = [
            (model, self.checkpoint(model, recipe, iteration))
            for model in self.config.experiment.models
            for recipe in self.recipes(model)
            for iteration in range(1, self.iterations(model, recipe) + 1)
        ]
        return list(dict.fromkeys(found))

    def row(self, model: str, recipe: str, iteration: int, declared: RowSettings | None = None) -> Row:
        """Return the row of a checkpoint, named as it was declared, else after model, recipe and iteration."""
        before = None if iteration == 0 else self.checkpoint(model, recipe, iteration - 1)
        published = declared and declared.published
        name = f"{recipe} iter{iteration}" if iteration else RESERVED_RECIPE
        return Row(
            model=model,
            recipe=recipe,
            iteration=iteration,
            checkpoint=self.checkpoint(model, recipe, iteration),
            previous=before,
            label=_numbered(declared.label, iteration) if declared else name,
            group=declared.group if declared else model,
            published=_numbered(published, iteration) if published else None,
            empty=declared.empty if declared else (),
            values=declared.values if declared else {},
        )

    def rows(self, table: TableSettings | AgreementSettings) -> list[Row]:
        """Return a table's rows: as declared, or else the baselines, and per model the base and each recipe's
        iterations."""
        return [row for row, _ in self._rows_and_columns(table)]

    def _rows_and_columns(self, table: TableSettings | AgreementSettings) -> list[tuple[Row, tuple[str, ...] | None]]:
        """Return the rows, each with the labels of the columns that it is measured for; None means all."""
        if table.rows is not None:
            return [
                (self.row(declared.model, declared.recipe, iteration, declared), declared.columns)
                for declared in table.rows
                for iteration in declared.iterations
            ]
        rows = [
            Row(model=name, recipe="", iteration=0, checkpoint=PUBLISHED, label=PUBLISHED, group=name)
            for name in self.config.experiment.baselines
        ]
        for model in self.config.experiment.models:
            rows.append(self.row(model, "", 0))
            for name in self.recipes(model):
                rows += [self.row(model, name, t) for t in range(1, self.iterations(model, name) + 1)]
        return [(row, None) for row in rows]

    def figure(self, name: str) -> FigureSettings:
        """Return a figure with the iterations that it shows; a curve shows all."""
        figure = self.config.figures[name]
        if figure.kind == "curve" or figure.iterations is not None:
            return figure
        recipes = [point.recipe for point in figure.points] if figure.kind == "sweep" else [figure.recipe]
        last = min(self.iterations(figure.model, recipe) for recipe in recipes)
        if figure.kind == "sweep":
            last = min(last, MOST_SERIES)
        return figure.model_copy(update={"iterations": tuple(range(1, last + 1))})

    def grid(self, results: str, needed: Iterable[tuple[str, str, str]]) -> Grid:
        """Return which result records there are among (model or baseline, checkpoint, benchmark)."""
        baselines: dict[str, dict[str, None]] = {}
        measured: dict[str, dict[str, dict[str, None]]] = {}
        for name, checkpoint, benchmark in needed:
            if checkpoint != PUBLISHED:
                measured.setdefault(name, {}).setdefault(checkpoint, {})[benchmark] = None
            elif benchmark in self.config.baselines[name].benchmarks:
                baselines.setdefault(name, {})[benchmark] = None
        return Grid(
            results=results,
            seeds=self.config.experiment.seeds,
            measured={model: {c: tuple(b) for c, b in benchmarks.items()} for model, benchmarks in measured.items()},
            baselines={name: tuple(benchmarks) for name, benchmarks in baselines.items()},
        )

    def is_measured(self, benchmark: str) -> bool:
        """Return whether the experiment lets a benchmark measure anything."""
        return self.config.experiment.benchmarks is None or benchmark in self.config.experiment.benchmarks

    def needed_by_table(self, name: str) -> list[tuple[str, str, str]]:
        """Return what a table needs and the experiment measures: (model or baseline, checkpoint, benchmark)."""
        table = self.config.tables[name]
        cells = [
            (row.model, row.checkpoint, column.benchmark)
            for row, labels in self._rows_and_columns(table)
            for column in table.columns
            if (labels is None or column.label in labels) and self.is_measured(column.benchmark)
        ]
        return list(dict.fromkeys(cells))

    def table(self, name: str) -> TableSettings:
        """Return a table with a note for each benchmark of its columns that the experiment does not measure, and its
        columns with what their benchmarks say of why their scores cannot be compared with the paper's."""
        table = self.config.tables[name]
        notes = [
            f"{listed(labels)}: not measured, since {benchmark} is not in experiment.benchmarks."
            for benchmark, labels in self._unmeasured(name).items()
        ]
        columns = tuple(
            column.model_copy(
                update={"not_comparable": column.not_comparable or self._not_comparable(column.benchmark)}
            )
            for column in table.columns
        )
        return table.model_copy(update={"notes": (*notes, *table.notes), "columns": columns})

    def _not_comparable(self, benchmark: str) -> str | None:
        """Why a benchmark's scores cannot be compared with the paper's; None where they can."""
        return getattr(self.config.benchmarks[benchmark], "not_comparable", None)

    def _unmeasured(self, table: str) -> dict[str, list[str]]:
        """Benchmarks that a table shows and the experiment does not measure → the labels of their columns."""
        left_out: dict[str, list[str]] = {}
        for column in self.config.tables[table].columns:
            if not self.is_measured(column.benchmark):
                left_out.setdefault(column.benchmark, []).append(column.label)
        return left_out

    def lines(self, name: str) -> list[tuple[str, str]]:
        """Return the lines of a figure of kind curve: (model, recipe); a model that goes through none of the recipes
        has one of its base alone, whose recipe is empty.
        """
        figure = self.config.figures[name]
        lines = []
        for model in figure.models or self.config.experiment.models:
            chosen = [recipe for recipe in self.recipes(model) if not figure.recipes or recipe in figure.recipes]
            lines += [(model, recipe) for recipe in chosen or [""]]
        return lines

    def curve_points(self, name: str) -> list[dict]:
        """Return whose scores stand where in a figure of kind curve; with several models the lines name theirs."""
        lines = self.lines(name)
        several = len({model for model, _ in lines}) > 1
        return [
            {
                "line": " ".join([*([model] if several else []), recipe or RESERVED_RECIPE]),
                "iteration": iteration,
                "model": model,
                "checkpoint": self.checkpoint(model, recipe, iteration),
            }
            for model, recipe in lines
            for iteration in range((self.iterations(model, recipe) if recipe else 0) + 1)
        ]

    def needed_by_figure(self, name: str) -> list[tuple[str, str, str]]:
        """Return what a figure that is drawn from scores needs: (model, checkpoint, benchmark)."""
        figure = self.figure(name)
        benchmarks = dict.fromkeys(panel.benchmark for panel in figure.panels)
        if figure.kind == "curve":
            shown = dict.fromkeys((point["model"], point["checkpoint"]) for point in self.curve_points(name))
            return [(*checkpoint, benchmark) for checkpoint in shown for benchmark in benchmarks]
        return [
            (figure.model, self.checkpoint(figure.model, point.recipe, iteration), benchmark)
            for point in figure.points
            for iteration in figure.iterations
            for benchmark in benchmarks
        ]

    def needed_by_all(self) -> list[tuple[str, str, str]]:
        """Return everything that is measured: by the experiment's benchmarks, and by what tables and figures need."""
        subjects = [(name, PUBLISHED) for name in self.config.experiment.baselines]
        for model in self.config.experiment.models:
            subjects += [(model, RESERVED_RECIPE), *(entry for entry in self.trained() if entry[0] == model)]
        benchmarks = self.config.experiment.benchmarks or ()
        everywhere = [(*subject, benchmark) for subject in subjects for benchmark in benchmarks]
        tables = [cell for name in self.config.tables for cell in self.needed_by_table(name)]
        tables += [cell for name in self.config.agreements for cell in self.needed_by_agreement(name)]
        figures = [name for name, figure in self.config.figures.items() if figure.kind in KINDS_WITH_SCORES]
        return everywhere + tables + [cell for name in figures for cell in self.needed_by_figure(name)]

    def needed_by_agreement(self, name: str) -> list[tuple[str, str, str]]:
        """Return what a table of two judges' agreement needs: (model or baseline, checkpoint, benchmark)."""
        table = self.config.agreements[name]
        published = self.config.baselines
        return [
            (row.model, row.checkpoint, benchmark)
            for row in self.rows(table)
            if row.checkpoint != PUBLISHED or set(table.benchmarks) <= published[row.model].benchmarks.keys()
            for benchmark in table.benchmarks
        ]

    def benchmarks(self) -> list[str]:
        """Return the benchmarks that measure anything, and those whose answers they share."""
        measuring = [benchmark for *_, benchmark in self.needed_by_all()]
        judged = [self.config.benchmarks[name] for name in measuring]
        shared = [benchmark.answers_of for benchmark in judged if benchmark.kind in JUDGED and benchmark.answers_of]
        return list(dict.fromkeys([*measuring, *shared]))

    def judging_models(self) -> list[str]:
        """Return the models that judge in the benchmarks."""
        return [judge.model for judge in self._judges()]

    def chatting_models(self) -> set[str]:
        """Return the models that are spoken to by a chat template: those that are trained, and judges in a chat."""
        trained = {model for model, _ in self.trained()}
        return trained | {judge.model for judge in self._judges() if judge.chat}

    def _judges(self) -> list[JudgeSettings]:
        """Return the judges in the benchmarks that are models."""
        judged = [self.config.benchmarks[name] for name in self.benchmarks()]
        judges = [self.config.judges[benchmark.judge] for benchmark in judged if benchmark.kind in JUDGED]
        return [judge for judge in judges if judge.model is not None]

    def check(self) -> None:
        """Raise InputError for what names a checkpoint that the experiment does not have, or a number that is not
        published."""
        for name, table in self.config.tables.items():
            labels = [column.label for column in table.columns]
            for number, row in enumerate(table.rows or ()):
                named = [("columns", label) for label in row.columns or ()] + [("empty", label) for label in row.empty]
                for key, label in named:
                    if label not in labels:
                        raise InputError(
                            f"tables.{name}.rows.{number}.{key}: found {label!r}, allowed: {listed(labels)}"
                            f"{nearest(label, labels)}."
                        )
                drop = f"; or leave out the row, or the table (tables: {{{name}: null}})"
                self._check_checkpoints(f"tables.{name}.rows.{number}", row.model, row.recipe, row.iterations, drop)
            check_names(name, table, self.rows(table), table.published is not None)
            self._check_published(name, table)
        for name, table in self.config.agreements.items():
            for number, row in enumerate(table.rows or ()):
                self._check_checkpoints(f"agreements.{name}.rows.{number}", row.model, row.recipe, row.iterations)
        for name, cases in self.config.cases.items():
            self._check_cases(f"cases.{name}", cases)
        for number, entry in enumerate(self.config.yields.rows):
            self._check_checkpoints(f"yields.rows.{number}", entry.model, entry.recipe, [entry.iteration])
        for name, claim in self.config.claims.items():
            rows = [row.published for row in self.rows(self.config.tables[claim.table]) if row.published]
            for row in (claim.earlier, claim.later):
                if row not in rows:
                    raise InputError(
                        f"claims.{name}: found the row {row!r}, but the table {claim.table} has {listed(rows)}"
                        f"{nearest(row, rows)}."
                    )
        for name, figure in self.config.figures.items():
            if figure.kind == "curve":
                self._check_curve(name)
                continue
            recipes = [point.recipe for point in figure.points] if figure.kind == "sweep" else [figure.recipe]
            drop = (
                f"; or leave out the {'point, or the ' if len(recipes) > 1 else ''}figure (figures: {{{name}: null}})"
            )
            for recipe in recipes:
                self._check_checkpoints(f"figures.{name}", figure.model, recipe, figure.iterations or (), drop)

    def _check_cases(self, where: str, cases: CaseSettings) -> None:
        self._check_checkpoints(where, cases.model, cases.recipe, cases.iterations)
        selection = self.config.recipes[cases.recipe].selection
        scored = selection.criteria if selection.method == "scores" else ()
        for criterion in cases.criteria:
            if criterion not in scored:
                raise InputError(
                    f"{where}.criteria: found {criterion!r}, but the recipe {cases.recipe} scores {listed(scored)}"
                    f"{nearest(criterion, scored)}."
                )

    def _check_curve(self, name: str) -> None:
        """Raise InputError for a model or recipe that takes no part, and for more lines than can be told apart."""
        figure = self.config.figures[name]
        models = self.config.experiment.models
        recipes = list(dict.fromkeys(recipe for model in models for recipe in self.recipes(model)))
        for key, named, allowed in (("models", figure.models, models), ("recipes", figure.recipes, recipes)):
            for entry in named:
                if entry not in allowed:
                    raise InputError(
                        f"figures.{name}.{key}: found {entry!r}, allowed: {listed(allowed)}{nearest(entry, allowed)}."
                    )
        lines = self.lines(name)
        if not lines or len(lines) > MOST_SERIES:
            raise InputError(
                f"figures.{name}: it has {len(lines)} lines, one for each recipe on each model, but a figure has 1 to "
                f"{MOST_SERIES}; name models and recipes in figures.{name}, or leave it out: figures: {{{name}: null}}."
            )

    def _check_published(self, name: str, table: TableSettings) -> None:
        if table.published is None:
            return
        if not Path(table.published).exists():
            raise InputError(
                f"tables.{name}.published: the file {table.published} does not exist{nearest_file(table.published)}; "
                "correct the path."
            )
        published = load_published(table.published)
        for row in self.rows(table):
            for column in table.columns:
                if row.published and column.published:
                    published.value(row.published, column.published)

    def _check_checkpoints(
        self, where: str, model: str, recipe: str, iterations: Iterable[int], drop: str = "; or leave out the entry"
    ) -> None:
        """Raise InputError unless the experiment has these checkpoints. drop: how to do without them."""
        models = self.config.experiment.models
        if model not in models:
            raise InputError(
                f"{where}.model: found {model!r}, allowed: {listed(models)}{nearest(model, models)}{drop}."
            )
        recipes = self.recipes(model)
        if recipe and recipe not in recipes:
            raise InputError(
                f"{where}: found the recipe {recipe!r}, but {model} goes through {listed(recipes)}"
                f"{nearest(recipe, recipes)}; add it to models.{model}.recipes or experiment.recipes{drop}."
            )
        last = self.iterations(model, recipe) if recipe else 0
        for iteration in iterations:
            if iteration > last or (recipe and iteration < 1):
                raise InputError(
                    f"{where}.iterations: found {iteration}, but {recipe or 'the base model'} on {model} has "
                    f"{f'iterations 1 to {last}' if recipe else 'only 0'}; correct it, or raise the iterations{drop}."
                )
