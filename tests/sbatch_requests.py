"""Snakemake, with a dry run that writes down what it would ask a Slurm for: one line of JSON a job.

    python tests/sbatch_requests.py FILE ATTEMPT --dry-run ...

The command is made by the Slurm plugin itself, for the given attempt of every job; null for a job that runs where
Snakemake does.
"""

import json
import sys

from snakemake import cli
from snakemake.executors.dryrun import Executor
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

NAMES = {"run_uuid": "run", "slurm_logfile": "log", "comment_str": "", "account": "", "partition": "", "workdir": ""}


def write_request(executor: Executor, job) -> None:
    job.attempt = ATTEMPT
    local = job.rule.name in job.rule.workflow._localrules
    sbatch = None if local else get_submit_command(job, NAMES) + set_gres_string(job)
    with open(FILE, "a") as file:
        file.write(json.dumps({"rule": job.rule.name, "outputs": list(job.output), "sbatch": sbatch}) + "\n")
    dry_run(executor, job)


FILE, ATTEMPT = sys.argv[1], int(sys.argv[2])
dry_run, Executor.run_job = Executor.run_job, write_request
sys.exit(cli.main(sys.argv[3:]))
