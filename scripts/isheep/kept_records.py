"""What Snakemake keeps of its jobs outlives a power cut as their outputs do (isheep.records.publish).

Snakemake marks the outputs of a job before it starts, and records what they were made of before it takes the marks
away; the record is what a changed parameter is compared with. It does not wait until either is on the disk. So a power
cut could leave an output that is neither marked nor recorded, which counts as finished for ever, whatever changes.
"""

from pathlib import Path

from snakemake.persistence.file import FilePersistence

from isheep.durable import sync_entry


def keep_records_on_disk() -> None:
    """Let Snakemake go on only when what it notes of a job, mark or record, is on the disk."""
    write = FilePersistence._io_write

    def write_and_sync(self, subject, json_value, id, *rest, **named) -> None:
        write(self, subject, json_value, id, *rest, **named)
        path = Path(self._record_path(subject, id))
        for place in (path, *path.parents):  # a long name is cut into folders
            sync_entry(place)
            if place == Path(subject):
                break

    FilePersistence._io_write = write_and_sync
