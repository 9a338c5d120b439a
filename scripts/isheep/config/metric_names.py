"""Which metrics a benchmark reports, as far as its kind, its settings or its task's file tell before it has measured.

Only the Snakefile uses it. Nothing of lm-eval is imported, which would take longer than the rest of the start.
"""

import importlib.util
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import yaml

from isheep.benchmarks.lm_eval_tasks import defines
from isheep.benchmarks.mt_bench import TURNS, MtBenchSettings, load_questions, metric_groups
from isheep.benchmarks.settings import LmEvalSettings, metrics_of
from isheep.config.matrix import Matrix
from isheep.files.records import InputError
from isheep.files.yaml_text import read_yaml
from isheep.report.figures import KINDS_WITH_SCORES
from isheep.report.tables import metric_of
from isheep.spelling import listed, nearest

DEFAULT_METRICS = {
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "multiple_choice": ("acc", "acc_norm"),
    "generate_until": ("exact_match",),
}
"""What a task without metric_list reports, by its output_type (lm-eval 0.4.13, DEFAULT_METRIC_REGISTRY)."""


class PythonFunction(str):
    """A value that a task's file takes from a Python function, by the function's name."""


class TaskLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """lm-eval's task files: plain YAML, and `!function`, which is not followed."""


TaskLoader.add_constructor("!function", lambda loader, node: PythonFunction(loader.construct_scalar(node)))


def check_metrics(matrix: Matrix) -> None:
    """Raise InputError, by table or figure, for a metric that its benchmark does not report as far as that is known."""
    known_of = cache(partial(known_metrics, matrix))
    for where, benchmark, metric in _asked(matrix):
        known = known_of(benchmark)
        if known and metric not in known:
            is_task = matrix.config.benchmarks[benchmark].kind == "lm_eval"
            advice = f"; if it does report this too, say so in benchmarks.{benchmark}.metrics" if is_task else ""
            raise InputError(
                f"{where}: found the metric {metric!r}, but {benchmark} reports {listed(known)}"
                f"{nearest(metric, known)}{advice}."
            )


def known_metrics(matrix: Matrix, benchmark: str) -> tuple[str, ...]:
    """Return the metrics that a benchmark reports; none where that is not known before it has measured."""
    settings = matrix.config.benchmarks[benchmark]
    if settings.kind == "mt_bench":
        return _metrics_of_questions(settings)
    return metrics_of(settings) or (_metrics_of_task(settings) if settings.kind == "lm_eval" else ())


def _asked(matrix: Matrix) -> Iterator[tuple[str, str, str]]:
    """Where in the configuration, of which benchmark and by which name a metric is shown."""
    for name, table in matrix.config.tables.items():
        for column in filter(lambda column: matrix.is_measured(column.benchmark), table.columns):
            for metric in dict.fromkeys(metric_of(column, row) for row in matrix.rows(table)):
                yield f"tables.{name}.columns", column.benchmark, metric
    for name, figure in matrix.config.figures.items():
        for panel in figure.panels if figure.kind in KINDS_WITH_SCORES else ():
            yield f"figures.{name}.panels", panel.benchmark, panel.metric


def _metrics_of_questions(settings: MtBenchSettings) -> tuple[str, ...]:
    if not Path(settings.questions).exists():
        return ()
    questions = load_questions(settings.questions)
    turns = [(question.category, turn) for question in questions for turn in range(1, TURNS + 1)]
    return tuple(metric_groups([{"category": c, "turn": turn, "expected_score": None} for c, turn in turns]))


def _metrics_of_task(settings: LmEvalSettings) -> tuple[str, ...]:
    """The metrics that the file of a task of lm-eval's or of our own lists, named as result records name them."""
    own = [Path(file) for file in settings.files if file.endswith(".yaml") and Path(file).exists()]
    # A file that is called as its task is read before the thousands of others.
    files = own if settings.files else sorted(lm_eval_files(), key=lambda file: file.stem != settings.task)
    defining = next((file for file in files if defines(file, settings.task)), None)
    return _metrics_of_file(read_task(defining)) if defining else ()


@cache
def lm_eval_files() -> tuple[Path, ...]:
    """The task files of the installed lm-eval; none where it is not installed, as where jobs are only submitted."""
    package = importlib.util.find_spec("lm_eval")
    folders = (package and package.submodule_search_locations) or []
    return tuple(sorted(file for folder in folders for file in Path(folder, "tasks").rglob("*.yaml")))


def read_task(file: Path, above: tuple[Path, ...] = ()) -> dict:
    """A task's settings on top of those that its file includes. Empty where this is not such a file.

    above: the files that include it. Raises InputError where it includes one of them.
    """
    if file.resolve() in above:
        raise InputError(f"{file}: it is included by what it includes itself; drop one of the two `include:`.")
    content = read_yaml(file, TaskLoader)
    if not isinstance(content, dict):
        return {}
    included = content.get("include")
    below = file.parent / included if isinstance(included, str) else None
    return (read_task(below, (*above, file.resolve())) if below and below.is_file() else {}) | content


def _metrics_of_file(task: dict) -> tuple[str, ...]:
    """Metric, or `metric,filter` where the task names its filters; none where a function or a class decides."""
    if "class" in task or isinstance(task.get("include"), list):
        return ()
    entries = task.get("metric_list") or [{"metric": m} for m in DEFAULT_METRICS.get(task.get("output_type"), ())]
    metrics = [entry.get("metric") for entry in entries]
    if not all(type(metric) is str for metric in metrics):
        return ()
    filters = [entry.get("name") for entry in task.get("filter_list") or [{"name": "none"}]]
    return tuple(metric if name == "none" else f"{metric},{name}" for metric in metrics for name in filters)
