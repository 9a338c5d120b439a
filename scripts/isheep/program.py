"""How every stage program starts, and how it reports an error of the user's."""

import argparse
import sys
from collections.abc import Callable

from isheep.records import InputError


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line and call `main`; bad input ends it with its one sentence and exit status 1."""
    try:
        main(parser.parse_args())
    except InputError as error:
        sys.exit(f"Error: {error}")


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
