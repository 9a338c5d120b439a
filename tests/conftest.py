"""Fixtures that unit and end-to-end tests share."""

import os
from pathlib import Path

import pytest

from isheep.records import InputError
from isheep.sandbox import Sandbox, find_sandbox

SHARES_THE_REDUCED_DEMO = ("test_loop", "test_reruns")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, keep together what shares fixtures: a file, and what looks at the reduced demo."""
    for item in items:
        file = item.path.stem
        item.add_marker(pytest.mark.xdist_group("reduced_demo" if file in SHARES_THE_REDUCED_DEMO else file))


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
