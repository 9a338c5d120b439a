"""A copy of the project in which a test runs Snakemake and changes whatever it likes."""

import csv
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")


def environment() -> dict[str, str]:
    """The tests' own interpreter first in the path, and no network for hub libraries."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


class Workspace:
    """A copy of the project below `folder`, run with the given configuration files on two cores.

    variables: what is added to the environment of its runs.
    """

    def __init__(self, folder: Path, *configfiles: Path | str):
        self.folder, self.variables = folder, {}
        self.configfiles = [str(file) for file in configfiles]
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part)
            else:
                shutil.copy2(source, folder / part)

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run snakemake; with `check`, fail with its output where it fails."""
        configfiles = ["--configfile", *self.configfiles] if self.configfiles else []
        run = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, *configfiles],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or run.returncode == 0, run.stdout + run.stderr
        return run

    def environment(self) -> dict[str, str]:
        """Of every command that runs here."""
        return environment() | self.variables

    def jobs(self, *targets: str) -> dict[str, set[str]]:
        """Return what would run now: for each rule its jobs, named by their first output below results/<name>/."""
        summary = self.snakemake("--summary", *targets).stdout
        rows = list(csv.DictReader(io.StringIO(summary), delimiter="\t"))
        jobs = {}
        for row in rows:
            if row["plan"] != "no update":
                jobs.setdefault(row["rule"], set()).add(row["output_file"].split("/", 2)[-1])
        return jobs

    @contextmanager
    def changed(self, file: str, old: str, new: str) -> Iterator[None]:
        """Replace the first occurrence of `old` in a file of the copy, for the length of a block."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} does not hold {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(text, encoding="utf-8")
