"""The reduced demo, run once for all tests that look at finished results."""

from pathlib import Path

import pytest

from workspace import Workspace

SMALL = Path(__file__).parent / "small.yaml"


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workspace:
    """A workspace in which the reduced demo has run to its end."""
    workspace = Workspace(tmp_path_factory.mktemp("small"), "config/config.yaml", "small.yaml")
    (workspace.folder / "small.yaml").write_text(SMALL.read_text())
    workspace.snakemake()
    return workspace
