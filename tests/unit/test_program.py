"""What all programs share: a file that changes while it is read spoils what is made from it."""

import argparse
import sys
from pathlib import Path

import pytest

from isheep import cli
from isheep.files.ownership import Output
from isheep.files.records import write_json


def run(monkeypatch, folder: Path, main) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=Path, nargs="+")
    parser.add_argument("--output", type=Output)
    monkeypatch.setattr(sys, "argv", ["program", "--files", str(folder / "read"), "--output", str(folder / "made")])
    cli.run(main, parser)


@pytest.fixture(params=["a file", "a folder"])
def read(request, tmp_path) -> Path:
    """A file that the program is told of, by itself or in its folder."""
    path = tmp_path / "read" if request.param == "a file" else tmp_path / "read/part"
    path.parent.mkdir(exist_ok=True)
    path.write_text("before")
    return path


@pytest.mark.parametrize("change", [lambda path: path.write_text("after!"), Path.unlink], ids=["edited", "removed"])
def test_a_file_that_is_changed_while_it_is_read_ends_the_program(read, tmp_path, monkeypatch, change):
    def main(arguments):
        write_json(arguments.output, {})
        change(read)

    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, tmp_path, main)
    assert str(ended.value) == f"Error: {read}: it was changed while it was read; type the same command again."


def test_what_a_program_writes_is_not_what_it_reads(read, tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, lambda arguments: write_json(arguments.output, {}))
    assert (tmp_path / "made").exists()
