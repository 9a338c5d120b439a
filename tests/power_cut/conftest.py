"""Where these tests cannot run, one line says what they need."""

import os
import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list) -> None:
    """Skip the tests here, with the one line that says what is missing."""
    reason = ""
    if os.environ.get("ISHEEP_POWER_CUT") != "yes":
        reason = "takes twenty minutes: make test-power-cut"
    elif os.getuid():
        reason = "only root can mount a file system"
    elif not (shutil.which("mkfs.ext4") and Path("/dev/loop-control").exists()):
        reason = "needs mkfs.ext4 and loop devices"
    for item in items:
        if HERE in item.path.parents and reason:
            item.add_marker(pytest.mark.skip(reason=reason))
