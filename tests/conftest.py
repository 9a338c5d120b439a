"""Fixtures that unit and end-to-end tests share."""

import os
from pathlib import Path

import pytest

from isheep.benchmarks.sandbox import Sandbox, find_sandbox
from isheep.files.records import InputError


@pytest.fixture(scope="session")
def published_data() -> Path:
    """The folder with published benchmark files (`make test` takes it from the environment variable ISHEEP_DATA)."""
    folder = os.environ.get("ISHEEP_DATA")
    if not folder:
        pytest.skip("ISHEEP_DATA is not set: it names the folder with the published benchmark files")
    return Path(folder)


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """The sandbox of this machine. Programs are never run without one, so their tests neither."""
    try:
        return find_sandbox()
    except InputError as error:
        pytest.skip(f"no sandbox: {error}")
