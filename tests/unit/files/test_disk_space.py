"""A full disk is one sentence, whatever was writing, and wherever it can still be said."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

import pytest

from isheep import cli
from isheep.files.disk_space import explain_full_disk, is_of_full_disk, refuse_read_only
from isheep.files.ownership import Output
from isheep.files.records import InputError, write_jsonl

SENTENCE = "is full, or your quota of it is used up"


@pytest.fixture
def end(tmp_path, monkeypatch):
    """Run a program that ends as `main` does; return its exit status."""

    def run(main) -> int:
        parser = ArgumentParser()
        parser.add_argument("--output", type=Output)
        monkeypatch.setattr(sys, "argv", ["program", f"--output={tmp_path / 'output.jsonl'}"])
        with pytest.raises(SystemExit) as ended:
            cli.run(main, parser)
        return ended.value.code

    return run


def wrapped() -> None:
    try:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise RuntimeError("the file could not be saved") from error


def raising(error: Exception):
    def main(arguments) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
    ],
    ids=["disk", "quota", "safetensors", "torch"],
)
def test_a_full_disk_ends_a_program_with_the_sentence(end, tmp_path, capsys, error):
    assert end(raising(error)) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: the disk at /")
    assert SENTENCE in said
    assert "Nothing that was finished is lost" in said
    assert list(tmp_path.iterdir()) == [], "neither a claim nor a part of the output"


def test_an_error_that_comes_of_a_full_disk_is_one_too(end, capsys):
    assert end(lambda arguments: wrapped()) == 1
    assert SENTENCE in capsys.readouterr().err


def test_another_error_is_shown_as_it_is(end, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(PermissionError):
        cli.run(raising(PermissionError(errno.EACCES, "no")), ArgumentParser())
    assert not is_of_full_disk(RuntimeError("PytorchStreamReader failed reading zip archive"))


def test_where_the_log_lies_on_the_full_disk_it_is_said_on_standard_output(tmp_path):
    """/dev/full takes nothing, as a log on that disk."""
    rows = [{"id": "a", "instruction": "Name a fruit.", "input": "", "response": "An apple."}]
    write_jsonl(tmp_path / "instructions.jsonl", rows)
    write_jsonl(tmp_path / "responses.jsonl", rows)
    command = [
        *(sys.executable, "scripts/filter_responses.py", "--instructions", tmp_path / "instructions.jsonl"),
        *("--responses", tmp_path / "responses.jsonl", "--rules", "{}", "--pairs", tmp_path / "pairs.jsonl"),
    ]
    spoiled = f"import os, runpy, sys\ndef full(fd): raise OSError({errno.ENOSPC}, 'full')\nos.fsync = full\n"
    spoiled += f"sys.argv = {json.dumps(list(map(str, command[1:])))}\nsys.path.insert(0, 'scripts')\n"
    spoiled += "runpy.run_path(sys.argv[0], run_name='__main__')"
    with open("/dev/full", "w") as log:
        run = subprocess.run([sys.executable, "-c", spoiled], stdout=subprocess.PIPE, stderr=log, text=True)
    assert run.returncode != 0
    assert SENTENCE in run.stdout
    assert not (tmp_path / "pairs.jsonl").exists()


def test_a_failed_run_says_it_only_where_there_is_no_space(tmp_path, monkeypatch, capsys):
    explain_full_disk(str(tmp_path), "/not/there")
    assert capsys.readouterr().err == ""
    usage = os.statvfs_result((4096, 4096, 1000, 10, 10, 1000, 10, 10, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: usage)
    explain_full_disk(str(tmp_path))
    assert "0.0 MiB of 3.9 are free" in capsys.readouterr().err


@pytest.fixture
def nobody():
    """Makes this process one of a user with no rights but everybody's, where it is one that may write anywhere."""
    if os.geteuid():
        yield
    else:
        os.seteuid(65534)
        yield
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that everybody can reach and write in."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)
        Path(name).chmod(0o777)


def test_a_folder_that_is_read_only_is_named_before_the_first_job(open_folder, nobody):
    (open_folder / "results").mkdir()
    refuse_read_only(str(open_folder / "results/mine/later"))
    (open_folder / "results").chmod(0o555)
    with pytest.raises(InputError, match=f"^{open_folder}/results cannot be written in, .*results/mine/later"):
        refuse_read_only(str(open_folder / "results/mine/later"))


def test_a_folder_is_refused_by_its_own_name_where_it_is_there(open_folder, nobody):
    (open_folder / ".snakemake").mkdir(mode=0o555)
    with pytest.raises(InputError, match=f"^{open_folder}/.snakemake cannot be written in"):
        refuse_read_only(str(open_folder / ".snakemake"))
