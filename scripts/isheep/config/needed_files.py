"""Which published files an experiment reads, and so which `snakemake prefetch` fetches.

Only the Snakefile uses it.
"""

from collections.abc import Iterable

from isheep.benchmarks.settings import files_of
from isheep.config.matrix import Matrix
from isheep.fetch.hub_cache import FETCHED

NLTK = "nltk_data/"
"""How the names of the files begin that benchmarks with `nltk` need."""


def needed_files(matrix: Matrix, fetchable: Iterable[str]) -> list[str]:
    """Return which of the files that can be fetched, by their names below results/fetched/, some job reads."""
    config, benchmarks = matrix.config, matrix.benchmarks()
    named = {*_files_of_loop(matrix), *_files_of_benchmarks(matrix)}
    named |= {config.figures[name].reference for name in config.figures if config.figures[name].kind == "projection"}
    nltk = any(config.benchmarks[name].kind == "lm_eval" and config.benchmarks[name].nltk for name in benchmarks)
    return [name for name in fetchable if f"{FETCHED}/{name}" in named or (nltk and name.startswith(NLTK))]


def _files_of_loop(matrix: Matrix) -> list[str | None]:
    """What the models that take part or judge are made with, and what trained checkpoints write from and score by."""
    config = matrix.config
    models = [config.models[name] for name in {*config.experiment.models, *matrix.judging_models()}]
    files = [model.chat_template for model in models]
    if matrix.trained():
        files += [config.instructions.seed_tasks, config.instructions.meta_prompt]
    recipes = {recipe for model in config.experiment.models for recipe in matrix.recipes(model)}
    scoring = [recipe for name in recipes if (recipe := config.recipes[name]).selection.method == "scores"]
    prompts = [config.assessment.prompts[recipe.assessment] for recipe in scoring]
    return files + [file for by_criterion in prompts for file in by_criterion.values()]


def _files_of_benchmarks(matrix: Matrix) -> list[str | None]:
    """What the benchmarks that measure anything read, and the answers and judgments of baselines."""
    config, benchmarks = matrix.config, matrix.benchmarks()
    files = [file for name in benchmarks for file in files_of(config.benchmarks[name]).values()]
    for name in config.experiment.baselines:
        published = config.baselines[name].benchmarks
        measured = [published[benchmark] for benchmark in benchmarks if benchmark in published]
        files += [file for entry in measured for file in (entry.answers, entry.judgments)]
    return files
