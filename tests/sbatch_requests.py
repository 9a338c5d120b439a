"""Snakemake, with a dry run that prints what it would ask a Slurm for: one line of JSON a job.

    python tests/sbatch_requests.py --dry-run --quiet all ... ATTEMPT

The command is made by the Slurm plugin itself, for the given attempt of every job.
"""

import json
import sys

from snakemake import cli
from snakemake.executors.dryrun import Executor
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string


def print_request(executor: Executor, job) -> None:
    job.attempt = ATTEMPT
    named = {"run_uuid": "run", "slurm_logfile": "log", "comment_str": "", "account": "", "partition": "", "workdir": ""}
    sbatch = None if job.is_local else get_submit_command(job, named) + set_gres_string(job)
    print(json.dumps({"rule": job.rule.name, "outputs": list(job.output), "sbatch": sbatch}))
    submit(executor, job)


ATTEMPT = int(sys.argv.pop())
submit, Executor.run_job = Executor.run_job, print_request
sys.exit(cli.main(sys.argv[1:]))
