"""What a workflow needs besides a profile so that it can be run on a cluster (slurm/README.md)."""

import getpass
import io
import json
import os
import re
import subprocess
import sys
import time
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake.persistence import PersistenceBase

from isheep.files.records import InputError
from isheep.project import PROJECT

if TYPE_CHECKING:  # it cannot be imported by itself: snakemake.api imports it, and it snakemake.api
    from snakemake.workflow import Workflow

STARTED = time.time()
SUBMITTED = Path(".snakemake") / "slurm_jobs"
"""What slurm/commands.py notes of each job, in a file for each run."""
CAUSES = {
    "TIMEOUT": (
        "was stopped at its time limit of {minutes} min",
        "what it had finished is kept; give it more time by --set-resources {rule}:runtime=MINUTES, or by "
        "hardware.longest_job_minutes where that held it down",
    ),
    "OUT_OF_MEMORY": (
        "was killed for taking more than its {memory} MB of memory",
        "give it more by --set-resources {rule}:mem_mb=MB, or all jobs by hardware.program_memory_gib",
    ),
    "NODE_FAIL": ("lost its node", "what it had finished is kept; type the command again"),
    "CANCELLED": (
        "was cancelled, or had to make way for another job",
        "what it had finished is kept; type the command again",
    ),
}
"""How Slurm ended a job: what happened, and what to do about it."""
KILLED_FOR_MEMORY = re.compile(r"exceeded memory limit|oom[-_ ]kill", re.IGNORECASE)
"""In the log of a job that Slurm, where it has no cgroups, calls FAILED."""


def prepare_for_cluster(workflow: "Workflow") -> None:
    """Let Snakemake's Slurm executor find sbatch, squeue and sacct in slurm/bin, and let jobs record what they made."""
    os.environ["PATH"] = os.pathsep.join([f"{PROJECT}/slurm/bin", os.environ.get("PATH", "")])
    if workflow.remote_exec:
        _record_in_job()


def runs_elsewhere(workflow: "Workflow") -> bool:
    """Whether jobs run on other machines than this one, which is asked before Snakemake has an executor. True in such a
    job itself."""
    if workflow.remote_exec:
        return True
    if workflow.global_resources["_nodes"].value is None:  # every executor beyond this machine needs --jobs
        return False
    from snakemake.cli import parse_args  # slow, and not needed on one machine

    try:
        with redirect_stderr(io.StringIO()):  # it tells once more which profiles are used
            _, arguments = parse_args(sys.argv[1:])
    except SystemExit:  # not started by its command line
        return True
    return arguments.executor not in (None, "local")


def refuse_wrong_account(workflow: "Workflow") -> None:
    """End a run before its first job where Slurm would take none, for its account. Otherwise each job is refused by
    itself, and tried again as often as one that was cancelled. Nothing where no job goes to Slurm.

    Raises InputError.
    """
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    asked = {(str(job.resources.get("slurm_account") or ""), job.resources.get("slurm_partition")) for job in jobs}
    for accounts, partition in sorted(asked, key=str):
        for account in re.findall(r"[^,\s]+", accounts):
            if not _may_use(account, partition):
                known = ", ".join(sorted(_accounts())) or "none"
                raise InputError(
                    f"slurm_account {account}: Slurm takes no job of user {getpass.getuser()} with it in partition "
                    f"{partition}; known are {known} (`sacctmgr show assoc user=$USER format=account,partition`); "
                    "correct the line in slurm/config.yaml, or remove it where there are none."
                )


def _may_use(account: str, partition: str | None) -> bool:
    """Whether the executor and Slurm take a job with this account. True where they do not say."""
    known = _accounts()
    if known and account.lower() not in known:
        return False
    flags = [f"--account={account}", *([f"--partition={partition}"] if partition else []), "--wrap=true"]
    done = subprocess.run(["sbatch", "--test-only", *flags], capture_output=True, text=True, check=False)
    return "Invalid account" not in done.stderr


@cache
def _accounts() -> set[str]:
    """The accounts that Slurm has for this user, as the executor asks for them; none where it keeps no accounts."""
    command = ["sacctmgr", "--noheader", "--associations", "list", "user", getpass.getuser(), "format=account%256"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return set()
    return {line.strip().lower() for line in lines if line.strip()}


def explain_ended_jobs() -> list[str]:
    """Say of every job of this run whose last attempt was ended by Slurm: which, why, its log and what to do; return
    these logs. Nothing where no job was submitted to Slurm."""
    explained = []
    for run in SUBMITTED.glob("*"):
        if run.stat().st_mtime < STARTED:
            continue
        last = {row["name"]: row for row in map(json.loads, run.read_text().splitlines())}
        answer = subprocess.run(["sacct", f"--name={run.name}"], capture_output=True, text=True, check=False).stdout
        states = dict(line.split("|") for line in answer.splitlines())
        for row in last.values():
            cause = CAUSES.get(_state(row, states))
            if cause:
                rule, _, wildcards = row["name"].removeprefix("rule_").partition("_wildcards_")
                happened, advice = (text.format(rule=rule, **row) for text in cause)
                named = f"{rule} ({wildcards})" if wildcards else rule
                print(f"Job {row['job']} of rule {named} {happened}; {advice}. Log: {row['log']}", file=sys.stderr)
                explained.append(row["log"])
    return explained


def _state(row: dict, states: dict[str, str]) -> str | None:
    """How a job ended. One that failed by itself was killed for its memory if its log says so."""
    state, log = states.get(row["job"]), Path(row["log"])
    if state == "FAILED" and log.is_file() and KILLED_FOR_MEMORY.search(log.read_text(errors="replace")):
        return "OUT_OF_MEMORY"
    return state


def _record_in_job() -> None:
    """Let this job write Snakemake's record of its parameters, code and inputs as soon as its output is there.

    Otherwise the process that submitted the job does it, and where that was killed meanwhile, nobody: no later change
    of a parameter would ever make the output again. Snakemake does the same where it submits all jobs and ends.
    """
    finished = PersistenceBase.finished

    async def finished_and_recorded(self, job) -> None:
        settings = self.dag.workflow.remote_execution_settings
        settings.immediate_submit = True
        try:
            await finished(self, job)
        finally:
            settings.immediate_submit = False

    PersistenceBase.finished = finished_and_recorded
