"""Folders in which a user's `snakemake --profile slurm` is typed."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import yaml

import cluster as machines
import workspace
from workspace import ROOT

HERE = Path(__file__).parent
SNAKEMAKE = Path(os.environ.get("ISHEEP_SLURM_ENVIRONMENT", ROOT / ".venv-slurm")) / "bin/snakemake"
SECONDS = 900
"""For a run of the workflow; a run that waits for ever is a failure."""


class Site:
    """A folder with a workflow and the profile, edited as a group edits it for this cluster. An account of None: the
    line is removed. variables: of the environment in which it is typed, beside a user's usual ones."""

    def __init__(self, folder: Path, account: str | None = "tests"):
        self.folder = folder
        self.variables: dict[str, str] = {}
        shutil.copytree(ROOT / "slurm", folder / "slurm", dirs_exist_ok=True, symlinks=True)
        shutil.copytree(HERE / "overlay", folder / "overlay")
        profile = folder / "slurm/config.yaml"
        text = profile.read_text()
        for key, value in (("slurm_account", account), ("slurm_partition", "gpu"), ("gpu_model", "fake")):
            line = rf"^  {key}: .*\n"
            assert re.search(line, text, re.MULTILINE), f"the profile has no line {key}"
            text = re.sub(line, f"  {key}: {value}\n" if value else "", text, flags=re.MULTILINE)
        profile.write_text(text)

    def start(self, *arguments: str, path: str | None = None) -> subprocess.Popen:
        """Type `snakemake --profile slurm`; its output goes to the file `output`. path: where programs are found."""
        command = [SNAKEMAKE, "--profile", "slurm", "--workflow-profile", "overlay", "--nocolor", *arguments]
        output = open(self.folder / "output", "w")  # noqa: SIM115  the process writes to it
        return subprocess.Popen(
            [*map(str, command)],
            cwd=self.folder,
            env=environment() | self.variables | ({"PATH": path} if path else {}),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def run(self, *arguments: str, status: int = 0, path: str | None = None) -> str:
        """Type it, and return its output; fail where it does not end, or with another exit status."""
        return self.finish(self.start(*arguments, path=path), status)

    def finish(self, process: subprocess.Popen, status: int = 0) -> str:
        """Wait for a run to end."""
        try:
            ended = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            ended = f"nothing: it was still running after {SECONDS} s"
        output = (self.folder / "output").read_text()
        assert ended == status, f"exit status {ended}\n{output}"
        return output


class Responses(Site):
    """The workflow of one rule, responses.smk."""

    def __init__(self, folder: Path, checkpoint: Path, account: str | None = "tests", **jobs: dict):
        super().__init__(folder, account)
        shutil.copy(HERE / "responses.smk", folder / "Snakefile")
        settings = {"scripts": str(ROOT / "scripts"), "checkpoint": str(checkpoint), "jobs": jobs}
        (folder / "test.yaml").write_text(yaml.safe_dump(settings))
        self.jobs = jobs

    def change(self, old: str, new: str) -> None:
        """Change a setting of the workflow."""
        workflow = self.folder / "Snakefile"
        text = workflow.read_text()
        assert old in text
        workflow.write_text(text.replace(old, new))

    def journal(self, job: str) -> int:
        """How many completions of a job are finished so far."""
        path = self.folder / f".{job}.jsonl.unfinished/completions.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def wait_for_journal(self, job: str, lines: int = 6) -> int:
        """Wait until a job has finished some of its completions; return how many."""
        wait_for(lambda: self.journal(job) >= lines, f"{lines} completions of {job}")
        return self.journal(job)

    def slurm_jobs(self, job: str) -> list[str]:
        """The Slurm jobs that were submitted for a job, the first one first."""
        comment = f"rule_write_responses_wildcards_{job}"
        lines = machines.ask("squeue", "--noheader", "--states=all", "--format=%i|%k|%Z").splitlines()
        rows = [line.split("|") for line in lines]
        return sorted((row[0] for row in rows if row[1] == comment and Path(row[2]) == self.folder), key=int)

    def asked(self, job: str) -> list[tuple[int, int]]:
        """For each time that a job's program came to ask: completions to write, and those reused."""
        found = re.findall(r"journal: (\d+) to write, (\d+) reused", (self.folder / f"{job}.log").read_text())
        return [(int(asked), int(reused)) for asked, reused in found]


def environment() -> dict[str, str]:
    """A user's: packages of the active environment, no network, one thread a process."""
    return workspace.environment() | {"OMP_NUM_THREADS": "1"}


def wait_for(happened: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Look until it happened."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.2)


def accounted(job: str) -> dict[str, str]:
    """What Slurm's accounting has on a Slurm job."""
    fields = ["State", "NodeList", "Start", "End", "AllocTRES", "TimelimitRaw", "ReqMem"]
    flags = ["--allocations", "--parsable2", "--noheader", f"--format={','.join(fields)}", f"--jobs={job}"]
    return dict(zip(fields, machines.ask("sacct", *flags).strip().split("|"), strict=True))
