"""What a workflow needs besides a profile so that it can be run on a cluster (slurm/README.md)."""

import os

from snakemake.persistence import PersistenceBase
from snakemake.workflow import Workflow


def prepare_for_cluster(workflow: Workflow) -> None:
    """Let Snakemake's Slurm executor find sbatch, squeue and sacct in slurm/bin, and let jobs record what they made."""
    os.environ["PATH"] = os.pathsep.join([f"{workflow.basedir}/slurm/bin", os.environ.get("PATH", "")])
    if workflow.remote_exec:
        _record_in_job()


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
