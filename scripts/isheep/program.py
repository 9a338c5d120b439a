"""How every stage program starts, and how it reports an error of the user's."""

import argparse
import sys
from collections.abc import Callable

from isheep import ownership
from isheep.records import InputError


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line, claim the outputs that it names, and call `main`.

    Bad input ends it with its one sentence and exit status 1.
    """
    arguments = parser.parse_args()
    try:
        for value in vars(arguments).values():
            if isinstance(value, ownership.Output):
                ownership.claim(value)
        main(arguments)
    except InputError as error:
        sys.exit(f"Error: {error}")
    finally:
        ownership.release()


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
