"""How every stage program starts, and how it reports an error of the user's."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from isheep import ownership
from isheep.disk_space import full_disk, is_of_full_disk
from isheep.records import InputError, claim


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line, claim the outputs that it names, and call `main`.

    Bad input, or a full disk, ends it with its one sentence and exit status 1.
    """
    arguments = parser.parse_args()
    try:
        for path in _paths(arguments):
            if isinstance(path, ownership.Output):
                claim(path)
        main(arguments)
    except InputError as error:
        sys.exit(f"Error: {error}")
    except Exception as error:
        if not is_of_full_disk(error):
            raise
        _end_on_full_disk(full_disk([*_paths(arguments), Path(tempfile.gettempdir())]))
    finally:
        ownership.release()


def _paths(arguments: argparse.Namespace) -> list[Path]:
    values = vars(arguments).values()
    return [value for value in values if isinstance(value, Path)]


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
