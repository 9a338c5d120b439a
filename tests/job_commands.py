"""Snakemake, with a dry run that writes down what it would run: one line of JSON a job.

python tests/job_commands.py FILE --dry-run ...
"""

import json
import sys

from snakemake import cli
from snakemake.executors.dryrun import Executor


def write_command(executor: Executor, job) -> None:
    if job.is_shell:
        row = {"rule": job.rule.name, "outputs": list(job.output), "command": job.shellcmd}
        with open(FILE, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    dry_run(executor, job)


FILE = sys.argv[1]
dry_run, Executor.run_job = Executor.run_job, write_command
sys.exit(cli.main(sys.argv[2:]))
