"""What a workflow needs besides a profile so that it can be run on a cluster (slurm/README.md)."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from snakemake.persistence import PersistenceBase
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


def prepare_for_cluster(workflow: Workflow) -> None:
    """Let Snakemake's Slurm executor find sbatch, squeue and sacct in slurm/bin, and let jobs record what they made."""
    os.environ["PATH"] = os.pathsep.join([f"{workflow.basedir}/slurm/bin", os.environ.get("PATH", "")])
    if workflow.remote_exec:
        _record_in_job()


def explain_ended_jobs() -> None:
    """Say of every job of this run whose last attempt was ended by Slurm: which, why, its log and what to do. Nothing
    where no job was submitted to Slurm."""
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
