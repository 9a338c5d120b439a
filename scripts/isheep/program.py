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
