"""How every stage program starts, and how it reports an error of the user's."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from isheep.files import ownership
from isheep.files.disk_space import full_disk, is_of_full_disk
from isheep.files.records import InputError, claim


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line, claim the outputs that it names, and call `main`.

    Bad input, or a full disk, ends it with its one sentence and exit status 1.
    """
    arguments = parser.parse_args()
    try:
        for path in _paths(arguments):
            if isinstance(path, ownership.Output):
                claim(path)
        read = _state_of_files(arguments)
        main(arguments)
        _require_unchanged(read)
    except InputError as error:
        sys.exit(f"Error: {error}")
    except Exception as error:
        if not is_of_full_disk(error):
            raise
        _end_on_full_disk(full_disk([*_paths(arguments), Path(tempfile.gettempdir())]))
    finally:
        ownership.release()


def _paths(arguments: argparse.Namespace) -> list[Path]:
    """The files and folders that the command line names."""
    values = [value if isinstance(value, list) else [value] for value in vars(arguments).values()]
    return [path for paths in values for path in paths if isinstance(path, Path)]


def _state_of_files(arguments: argparse.Namespace) -> dict[Path, tuple[int, int, int]]:
    """What tells the files that a program reads, and those in the folders that it reads, from later ones."""
    read = [path for path in _paths(arguments) if not isinstance(path, ownership.Output)]
    files = {file for path in read for file in (path.glob("[!.]*") if path.is_dir() else [path]) if file.is_file()}
    return {file: _state(file) for file in files}


def _state(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _require_unchanged(read: dict[Path, tuple[int, int, int]]) -> None:
    """Raise InputError for a file that was changed while the program ran.

    The outputs, which Snakemake then removes, would count as made from the new one.
    """
    for file, state in read.items():
        if not file.exists() or _state(file) != state:
            raise InputError(f"{file}: it was changed while it was read; type the same command again.")


def _end_on_full_disk(sentence: str) -> NoReturn:
    """Say why the program ends; on standard output where the log lies on that disk, and cannot take it."""
    try:
        print(f"Error: {sentence}", file=sys.stderr, flush=True)
    except OSError:
        print(f"Error: {sentence}", flush=True)
    sys.exit(1)


def run_or_take(
    main: Callable[[argparse.Namespace], None],
    parser: argparse.ArgumentParser,
    take: Callable[[argparse.Namespace], None],
    take_parser: argparse.ArgumentParser,
) -> None:
    """Run `take`, with its own command line, where the flag `--take` names a published file; else run `main`."""
    if any(argument == "--take" or argument.startswith("--take=") for argument in sys.argv):
        run(take, take_parser)
    else:
        run(main, parser)
