"""What Snakemake keeps in `.snakemake` about each output: its record, and the mark of one that is unfinished.

Each is a file whose name is the output's path in base64. Nothing here needs a package, so that results can be removed
where none is installed.
"""

import base64
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

RECORDS, MARKS = "metadata", "incomplete"


def outputs_in(folder: str | Path) -> Iterator[tuple[Path, str]]:
    """Each file below RECORDS or MARKS, and the output that it is about. A name is cut into folders `@…` where it is
    long; a file with another kind of name is left out."""
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            parts = path.relative_to(folder).parts
            with suppress(ValueError):
                yield path, base64.urlsafe_b64decode("".join(part.removeprefix("@") for part in parts)).decode()


def forget(results: str | Path, records: str | Path = ".snakemake") -> None:
    """Remove what Snakemake keeps about outputs at or below `results`, and nothing about others.

    records: Snakemake's folder in the working directory, to which outputs are relative, as `results` has to be.
    """
    for kind in (RECORDS, MARKS):
        folder = Path(records) / kind
        for path, output in list(outputs_in(folder)):
            if Path(output).is_relative_to(results):
                path.unlink()
                with suppress(OSError):  # others of the same beginning are in it
                    while path.parent != folder:
                        path = path.parent
                        path.rmdir()
