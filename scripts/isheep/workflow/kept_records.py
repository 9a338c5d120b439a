"""What Snakemake keeps of its jobs outlives a power cut as their outputs do (isheep.files.records.publish).

Snakemake marks the outputs of a job before it starts, and records what they were made of before it takes the marks
away; the record is what a changed parameter is compared with. It does not wait until either is on the disk. So a power
cut could leave an output that is neither marked nor recorded, which counts as finished for ever, whatever changes. And
it starts a job on this machine a moment before it marks the outputs, so that a kill in between could do the same.
"""

from pathlib import Path

from snakemake.executors.local import Executor
from snakemake.persistence.file import FilePersistence

from isheep.files.durable import sync_entry


def keep_records_on_disk() -> None:
    """Let Snakemake go on only when what it notes of a job, mark or record, is on the disk, and start no job before."""
    write, run = FilePersistence._io_write, Executor.run_job

    def write_and_sync(self, subject, json_value, id, *rest, **named) -> None:
        path = Path(self._record_path(subject, id))
        is_marked = subject == self._incomplete_path and path.exists()
        write(self, subject, json_value, id, *rest, **named)
        if is_marked:  # its name is what counts
            return
        for place in (path, *path.parents):  # a long name is cut into folders
            sync_entry(place)
            if place == Path(subject):
                break

    def mark_and_run(self, job) -> None:
        job.register()
        run(self, job)

    FilePersistence._io_write, Executor.run_job = write_and_sync, mark_and_run
