"""Where the project's own files are for a run in another folder, whose paths are relative to that folder.

A run works in the folder in which it was started, or that `--directory` names: its results, `.snakemake` and paths of
the configuration are there. What is shipped with the project is taken from the project.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake.jobs import Job

PROJECT = Path(__file__).absolute().parents[2]
"""The folder with the Snakefile."""
SHIPPED = "config/"
"""Where the files lie that a configuration may name."""


def shipped(path: str) -> str:
    """Return a path in the project as it is reached from the working folder.

    Relative where the project lies there, so that it is the same wherever that folder is moved.
    """
    full, here = PROJECT / path, Path.cwd()
    return str(full.relative_to(here) if full.is_relative_to(here) else full)


def located(path: str) -> str:
    """Return a path as it is reached from the working folder: the project's, for what is only there."""
    return shipped(path) if not Path(path).exists() and (PROJECT / path).exists() else path


def located_all(content: object) -> object:
    """Return a part of a configuration in which each text that names a file of the project is `located`."""
    if isinstance(content, dict):
        return {key: located_all(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(located_all(value) for value in content)
    return located(content) if isinstance(content, str) and content.startswith(SHIPPED) else content


def is_of_project(job: "Job") -> bool:
    """Whether a job is one of ours, and not one of a workflow that has this one as its module."""
    return Path(str(job.rule.snakefile)).is_relative_to(PROJECT)
