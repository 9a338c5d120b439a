"""All that can be said of an experiment before its first job, beside what its configuration alone tells.

Only the Snakefile and `make check` use it.
"""

from isheep.config.loading import check_files, together
from isheep.config.matrix import Matrix
from isheep.config.metric_names import check_metrics
from isheep.config.model_checks import check_base_models
from isheep.config.task_checks import check_task_files
from isheep.files.records import InputError


def check_experiment(matrix: Matrix, file: str) -> None:
    """Raise InputError with one sentence for each kind of mistake. file: the configuration file to write in."""
    matrix.check()
    checks = (
        lambda: check_files(matrix.config, matrix.benchmarks()),
        lambda: check_task_files(matrix),
        lambda: check_metrics(matrix),
        lambda: check_base_models(matrix, file),
    )
    mistakes = []
    for check in checks:
        try:
            check()
        except InputError as error:
            mistakes.append(str(error))
    if mistakes:
        raise together(mistakes)
