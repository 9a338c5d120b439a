"""What several files share: a Python that has torch imported, and the reduced demo's finished results."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from preloaded import preloaded
from workspace import Workspace, environment

SMALL = Path(__file__).parent / "small.yaml"


@pytest.fixture(scope="session")
def preloaded_path() -> Iterator[str]:
    """A PATH whose programs start sooner, for runs of many jobs. Others start theirs as users do."""
    with preloaded(environment()) as path:
        yield path


@pytest.fixture(scope="session")
def finished(preloaded_path, tmp_path_factory) -> Workspace:
    """A workspace in which the reduced demo has run to its end."""
    workspace = Workspace(tmp_path_factory.mktemp("small"), "config/config.yaml", "small.yaml")
    (workspace.folder / "small.yaml").write_text(SMALL.read_text())
    workspace.variables["PATH"] = preloaded_path
    workspace.snakemake()
    del workspace.variables["PATH"]
    return workspace
