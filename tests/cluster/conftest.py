"""The cluster, and what a checkpoint needs. Without a Slurm that may be started here, one line says what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sites import HERE, SNAKEMAKE

import cluster as machines
from workspace import ROOT


def pytest_collection_modifyitems(items: list) -> None:
    """Skip the tests here, with the one line that says what is missing."""
    lacking = machines.missing()
    reason = ""
    if os.environ.get("ISHEEP_CLUSTER") != "yes":
        reason = "needs a Slurm on this machine: make test-cluster"
    elif os.getuid():
        reason = "only root can start a Slurm on this machine"
    elif lacking:
        reason = f"Slurm is not installed, {', '.join(lacking)} missing: python tests/cluster/cluster.py install"
    elif not SNAKEMAKE.exists():
        reason = f"{SNAKEMAKE} is missing: make test-cluster"
    for item in items:
        if HERE in item.path.parents and reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def cluster():
    """Three nodes with two GPUs each, and accounting."""
    started = machines.Cluster()
    started.start()
    yield started
    started.stop()


@pytest.fixture
def without_accounting(cluster):
    """The same nodes in a Slurm that keeps no accounts."""
    cluster.stop()
    other = machines.Cluster(accounting=False)
    other.start()
    yield other
    other.stop()
    cluster.start()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's base model."""
    folder = tmp_path_factory.mktemp("base") / "weights"
    command = [sys.executable, ROOT / "scripts/provide_base.py", "--checksums", ROOT / "config/demo/base/SHA256SUMS"]
    subprocess.run([*map(str, command), "--output", str(folder)], check=True, capture_output=True)
    return folder
