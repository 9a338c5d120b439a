"""What Snakemake does not make again by itself: an output that is gone, though what was made from it is still there;
what was made from a file that was replaced by an older one."""

import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import snakemake.api  # noqa: F401  before its parts, which need one another
from snakemake.dag import DAG
from snakemake.io import is_flagged
from snakemake.jobs import Job
from snakemake.workflow import Workflow

from isheep.project import is_of_project

UNRECORDED = (
    "What {count} jobs have made, such as {file}, came here without Snakemake's record of how it was made, so that "
    "nothing tells whether it fits this configuration: copy the folder .snakemake from where it was made, or remove "
    "these results; only where they were made with this very configuration, add --touch --forceall once, which takes "
    "them as they are."
)


def make_missing_outputs_again(workflow: Workflow) -> None:
    """Let this run make every output that its targets are made from, also one below which all results exist, and those
    whose inputs were replaced by older files.

    Snakemake removes the outputs of a job that fails, and then takes an output that is missing in the middle for one
    that nobody needs any more. So the next run would leave the results below it as they are: those of earlier settings.
    Of outputs that came without Snakemake's record it compares nothing but times, so that those of other settings would
    count as finished. Such a run ends before its first job. Temporary outputs are no part of this: they are removed on
    purpose. Nor are the jobs of a workflow that has this one as its module.
    """
    if not workflow.is_main_process:
        return
    check = DAG.check_incomplete  # the last step before Snakemake decides which jobs to run

    async def check_incomplete_and_missing(self: DAG) -> None:
        await check(self)
        checksums: dict[str, str | None] = {}
        for job in filter(is_of_project, self.jobs):
            missing = [f async for f in job.missing_output(job.output) if not is_flagged(f, "temp")]
            if missing and await _is_used(self, job):
                self.reason(job).missing_output.update(missing)
            self.reason(job).updated_input.update([f async for f in _replaced_inputs(self, job, checksums)])
        if not workflow.touch:
            await _refuse_unrecorded(self)

    DAG.check_incomplete = check_incomplete_and_missing


def name_outdated(workflow: Workflow, *folders: str) -> None:
    """Say, after a run that failed, which files in these folders were to be made again and are those of before."""
    left = {Path(file) for job in workflow.dag.needrun_jobs() for file in job.output}
    for folder in map(Path, folders):
        names = sorted({file.stem for file in left if file.parent == folder and file.exists()})
        if names:
            print(f"Not made again, and so out of date in {folder}: {', '.join(names)}.", file=sys.stderr)


def name_undeclared(folder: str, names: Iterable[str]) -> None:
    """Say which tables or figures lie in their folder though the configuration has them no more."""
    left = sorted({path.stem for path in Path(folder).glob("*.csv")} - set(names))
    if left:
        print(
            f"In {folder}, but in the configuration no more, and so never made again: {', '.join(left)}.",
            file=sys.stderr,
        )


async def _replaced_inputs(dag: DAG, job: Job, checksums: dict[str, str | None]) -> AsyncIterator[str]:
    """Yield the inputs that no job makes and that are others than those that a job's outputs were made from.

    Snakemake looks at the checksum only of a file that is newer than the outputs: one that was copied or unpacked with
    its old date would never be noticed. Like Snakemake's, this is for files up to its limit (1 MB).
    """
    made = {file for files in dag.dependencies[job].values() for file in files}
    for file in job.input:
        if file in made:
            continue
        recorded = dag.workflow.persistence.input_checksums(job, file) - {None}
        if not recorded:
            continue
        if file not in checksums:
            checksums[file] = await file.checksum(dag.max_checksum_file_size)
        if checksums[file] is not None and recorded != {checksums[file]}:
            yield file


async def _refuse_unrecorded(dag: DAG) -> None:
    """End a run that would take results without Snakemake's record for finished ones."""
    unrecorded = [job for job in dag.jobs if is_of_project(job) and await _is_unrecorded(dag, job)]
    if unrecorded:
        file = min(str(file) for job in unrecorded for file in job.output)
        sys.exit(f"Error: {UNRECORDED.format(file=file, count=len(unrecorded))}")


async def _is_unrecorded(dag: DAG, job: Job) -> bool:
    """Whether a job's outputs are there, of a job that has ended, and Snakemake knows nothing of them."""
    if not job.output or any(dag.workflow.persistence.metadata(file) for file in job.output):
        return False
    return all([await file.exists() for file in job.output]) and not await dag.workflow.persistence.incomplete(job)


async def _is_used(dag: DAG, job: Job) -> bool:
    """Whether anything exists that was made from a job's outputs, directly or through temporary ones."""
    for user in dag.depending[job]:
        kept = [f for f in user.output if not is_flagged(f, "temp")]
        if any([await f.exists() for f in kept]) or (user.output and not kept and await _is_used(dag, user)):
            return True
    return False
