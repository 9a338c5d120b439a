"""The library behind the workflow's stage programs (the command lines in scripts/)."""

import sys
from types import TracebackType

INTERRUPTED = "Interrupted: what was finished is kept; the same command goes on from there."


def _end_quietly(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Python's last word on an error; of Ctrl-C, which is none of the program's, one line and not where it was."""
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


# Here, and not where a program begins, since most of its first seconds are imports.
sys.excepthook = _end_quietly
