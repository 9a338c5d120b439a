"""What counts on a file comes after the file is on the disk. (What a power cut really leaves: tests/power_cut.)"""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.executors.local import Executor
from snakemake.persistence.file import FilePersistence

from isheep.files.records import publish, write_json
from isheep.workflow.kept_records import keep_records_on_disk


@pytest.fixture
def events(monkeypatch):
    """What is synced, renamed and removed, in order; of a path, what is below the test's folder."""
    seen = []
    fsync, replace, remove = os.fsync, os.replace, os.remove

    def synced(opened: int) -> None:
        path = os.readlink(f"/proc/self/fd/{opened}")
        seen.append(("sync", Path(path), Path(path).read_bytes() if os.path.isfile(path) else None))
        fsync(opened)

    def replaced(source, target) -> None:
        seen.append(("rename", Path(target), None))
        replace(source, target)

    def removed(path) -> None:
        seen.append(("remove", Path(path), None))
        remove(path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "remove", removed)
    return seen


def test_a_file_is_synced_before_it_is_renamed_and_its_folder_after(events, tmp_path):
    write_json(tmp_path / "record.json", {"version": 1})
    (synced, partial, content), renamed, (again, folder, _) = events
    assert (synced, partial.suffix, content) == ("sync", ".partial", b'{\n  "version": 1\n}\n')
    assert renamed[:2] == ("rename", tmp_path / "record.json")
    assert (again, folder) == ("sync", tmp_path)


def test_all_of_a_folder_is_synced_and_what_it_links_to_is_left_alone(events, tmp_path):
    (tmp_path / "elsewhere").write_text("weights of somebody else's")
    with publish(tmp_path / "weights") as partial:
        (partial / "tokenizer").mkdir(parents=True)
        (partial / "tokenizer/vocab.json").write_text("{}")
        (partial / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    before = events[: [event for event, *_ in events].index("rename")]
    synced = {path.relative_to(partial).as_posix() for _, path, _ in before}
    assert synced == {"tokenizer/vocab.json", "tokenizer", "."}


@pytest.fixture
def snakemake(tmp_path, monkeypatch) -> FilePersistence:
    """What Snakemake keeps, in a folder of its own and with our changes, which are undone at the end."""
    monkeypatch.setattr(FilePersistence, "_io_write", FilePersistence._io_write)
    monkeypatch.setattr(Executor, "run_job", lambda self, job: job.events.append("run"))
    keep_records_on_disk()
    return FilePersistence(path=tmp_path / ".snakemake")


@pytest.mark.parametrize("name", ["result.json", "a_long_name_" * 30])
def test_snakemake_s_record_is_on_the_disk_before_its_mark_is_removed(events, snakemake, name):
    snakemake._mark_incomplete(name, None)
    mark = Path(snakemake._record_path(snakemake._incomplete_path, name))
    assert next(path for event, path, _ in events if event == "sync") == mark
    assert mark.parent in [path for event, path, _ in events if event == "sync"]

    events.clear()
    snakemake._io_write(snakemake._metadata_path, {"rule": "measure"}, name)
    snakemake._unmark_incomplete(name)
    record = Path(snakemake._record_path(snakemake._metadata_path, name))
    order = [(event, path) for event, path, content in events if content != b""]
    assert order.index(("sync", record)) < order.index(("sync", record.parent)) < order.index(("remove", mark))
    assert b'"measure"' in next(content for event, path, content in events if path == record)


def test_a_job_is_marked_before_it_runs(snakemake):
    events = []
    job = SimpleNamespace(events=events, register=lambda: events.append("mark"))
    Executor.run_job(None, job)
    assert events == ["mark", "run"]
