"""Locks: those of a run that was killed are taken over, all others keep a second run away."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest
from snakemake.exceptions import LockException
from snakemake.persistence.file import FilePersistence

from isheep.files.records import write_json
from isheep.workflow import locks


class Run(FilePersistence):
    """A run of the workflow that makes the given files of one input."""

    def __init__(self, folder: Path, *made: str, **settings):
        super().__init__(path=folder / ".snakemake", **settings)
        self.made = made

    def all_outputfiles(self):
        return self.made

    def all_inputfiles(self):
        return ["seeds"]


@pytest.fixture(autouse=True)
def named(monkeypatch):
    """Snakemake's class as the Snakefile changes it, for one test."""
    for name in ("lock", "lock_warn_only", "_delete_locks", "cleanup_locks"):
        monkeypatch.setattr(FilePersistence, name, getattr(FilePersistence, name))
    locks.name_lock_owners()


@pytest.fixture
def sleeper():
    """A process of this machine that lives for the length of the test."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def owner_of(process: subprocess.Popen) -> locks.Owner:
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    return replace(locks.this_run(), process=process.pid, started=started)


def leave_locks(folder: Path, *made: str, owner: locks.Owner | None) -> list[Path]:
    """The locks that a run by another process has taken and not given back; their files."""
    run = Run(folder, *made)
    run._write_locks("input", run.all_inputfiles())
    run._write_locks("output", run.all_outputfiles())
    taken = [Path(path) for path in run._lockfile.values()]
    for path in taken if owner else []:
        write_json(f"{path}.owner", asdict(owner))
    return taken


def is_refused(run: Run) -> bool:
    try:
        with run.lock():
            return False
    except LockException:
        return True


def test_locks_of_a_killed_run_are_taken_over_with_a_line_that_says_so(tmp_path, sleeper, capsys):
    owner = owner_of(sleeper)
    leave_locks(tmp_path, "table", owner=owner)
    sleeper.kill()  # not waited for: it is a zombie, as a run is whose shell has not looked yet
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not is_refused(Run(tmp_path, "table"))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"a run that was killed are removed (process {sleeper.pid} on {owner.host}, since {owner.since})" in said
    assert list((tmp_path / ".snakemake/locks").iterdir()) == []


def test_so_are_those_from_before_the_machine_was_started_or_the_number_was_used_again(tmp_path, sleeper):
    alive = owner_of(sleeper)
    for gone in (replace(alive, boot="another"), replace(alive, started="1")):
        leave_locks(tmp_path, "table", owner=gone)
        assert not is_refused(Run(tmp_path, "table"))


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({}, "is at work: wait for it, or end it by kill -INT {pid},"),
        ({"host": "login2"}, "process {pid} on login2, since {since}, where it may be at work: look there"),
        ({"machine": "another", "boot": "another"}, "may be at work: look there"),
        ({"namespace": "pid:[1]"}, "may be at work: look there"),
    ],
    ids=["alive", "another host", "another machine of this name", "a container"],
)
def test_locks_of_a_run_that_may_be_alive_are_kept_and_their_owner_is_named(tmp_path, sleeper, capsys, change, advice):
    owner = replace(owner_of(sleeper), **change)
    taken = leave_locks(tmp_path, "table", owner=owner)
    assert is_refused(Run(tmp_path, "table"))
    assert advice.format(pid=sleeper.pid, since=owner.since) in capsys.readouterr().err
    assert all(path.exists() for path in taken)


@pytest.mark.parametrize("owner", [None, "{"], ids=["none", "torn"])
def test_locks_without_a_readable_owner_are_kept(tmp_path, capsys, owner):
    for path in leave_locks(tmp_path, "table", owner=None):
        if owner:
            Path(f"{path}.owner").write_text(owner)
    assert is_refused(Run(tmp_path, "table"))
    assert "do not say whose they are: if no run is at work in this folder, remove them" in capsys.readouterr().err


def test_a_dry_run_names_the_owner_and_removes_nothing(tmp_path, sleeper, capsys):
    taken = leave_locks(tmp_path, "table", owner=owner_of(sleeper))
    sleeper.kill()
    sleeper.wait()
    with Run(tmp_path, "table", warn_only=True).lock():
        pass
    assert "which has ended: the next run removes them by itself" in capsys.readouterr().err
    assert all(path.exists() and Path(f"{path}.owner").exists() for path in taken)


def test_a_job_that_takes_no_locks_changes_none(tmp_path, sleeper, capsys):
    taken = leave_locks(tmp_path, "table", owner=owner_of(sleeper))
    sleeper.kill()
    sleeper.wait()
    job = Run(tmp_path, "table", nolock=True)
    with job.lock():
        job.unlock()
    assert all(path.exists() for path in taken)
    assert capsys.readouterr().err == ""


def test_live_runs_exclude_each_other_also_after_a_third_has_ended(tmp_path):
    with ExitStack() as held:
        held.enter_context(Run(tmp_path, "table").lock())
        assert is_refused(Run(tmp_path, "table"))
        assert not is_refused(Run(tmp_path, "figure")), "other files may be made meanwhile"
        assert is_refused(Run(tmp_path, "table")), "the run that has ended took its own locks with it alone"
    assert not is_refused(Run(tmp_path, "table"))


def test_of_two_starts_at_the_same_moment_one_is_refused(tmp_path, monkeypatch):
    """Each looks at the locks before the other has taken any, unless it has to wait for the other."""
    both_have_looked = Barrier(2)
    locked = FilePersistence.locked.fget

    def look_and_wait_for_the_other(run):
        found = locked(run)
        with suppress(BrokenBarrierError):
            both_have_looked.wait(timeout=0.5)
        return found

    def start(held):
        with suppress(LockException):
            held.enter_context(Run(tmp_path, "table").lock())
            started.append(1)

    monkeypatch.setattr(FilePersistence, "locked", property(look_and_wait_for_the_other))
    started = []
    with ExitStack() as held, ThreadPoolExecutor() as threads:
        list(threads.map(start, [held, held]))
        assert len(started) == 1


def test_unlock_removes_all(tmp_path, sleeper):
    leave_locks(tmp_path, "table", owner=owner_of(sleeper))
    Run(tmp_path, "table").cleanup_locks()
    assert not is_refused(Run(tmp_path, "table"))
