"""The result record: what one benchmark found of one checkpoint or baseline, and all that it was made from.

The programs that score write it, and tables are made from nothing else, once `isheep.benchmarks.result_checks` has seen
that a record fits what lies there and what is configured.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from isheep.files.ownership import Output
from isheep.files.reading import read_object
from isheep.files.records import InputError, files_read, write_json
from isheep.settings import Settings

SCHEMA_VERSION = 1
"""Of the records that this version writes and reads."""
AGAIN = "run the workflow again, which makes what is out of date; if it finds nothing to do, remove the file"


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    return value


Number = Annotated[float | None, AfterValidator(_finite)]


class Score(Settings):
    """One metric of a record."""

    metric: str
    """Its name."""
    value: Number
    """Null where it could not be computed."""
    standard_error: Number = None
    """In the unit of the value; null where the benchmark gives none."""
    n: int = Field(ge=0)
    """How many items, or parts of items, there were to average."""
    n_valid: int = Field(ge=0)
    """How many of them have a value."""
    note: str | None = None
    """A sentence that its readers must know."""

    @model_validator(mode="after")
    def _counts_agree(self) -> "Score":
        if self.n_valid > self.n:
            raise ValueError(f"n_valid {self.n_valid} is above n {self.n}")
        return self


class MadeFrom(Settings):
    """What a record was made from."""

    settings: dict
    """As they were configured (`isheep.benchmarks.result_checks.Configured.of`)."""
    files: dict[str, str]
    """File, named from the working directory → its sha256: questions, answers, judgments, items."""


class ResultRecord(Settings):
    """A result record. Other keys than these say more of how one kind of benchmark was run."""

    model_config = ConfigDict(extra="allow")

    schema_version: Literal[1]
    """Which version of this schema it follows."""
    benchmark: str
    """Name of the benchmark in the configuration."""
    task: str
    """What was run: lm-eval's task, or the kind of benchmark."""
    scores: tuple[Score, ...] = Field(min_length=1)
    """The metrics."""
    versions: dict[str, str]
    """Of the packages that took part."""
    seed: int | None
    """Seed of the job; null where nothing was drawn."""
    judge: dict | None
    """Who judged and what that took; null where nobody did."""
    notes: tuple[str, ...]
    """Sentences that readers of the scores must know."""
    answered_by: dict | None
    """Who answered; null where published judgments hold the answers."""
    made_from: MadeFrom
    """What it was made from."""
    sha256: str
    """Of everything else in the record."""


def add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of what every program that scores is told, and writes."""
    parser.add_argument("--benchmark", required=True, help="name of the benchmark in the result record")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="JSON: the settings that the result is made with, to record"
    )
    parser.add_argument("--items", type=Output, required=True, help="JSON Lines to write, one row an item")
    parser.add_argument("--result", type=Output, required=True, help="JSON to write: the result record")


def write_result(
    arguments: argparse.Namespace, record: dict, read: Iterable[str | Path | None], *earlier: dict | None
) -> None:
    """Write a result record, published whole, with what it was made from.

    record: its content but for `schema_version`, `made_from` and `sha256`. read: the files that it was computed from;
    the items, written before, are added. earlier: what says how these came about, with their own `made_from`.
    """
    files = [file for content in earlier if content for file in content["made_from"].items()]
    made_from = {"settings": arguments.settings, "files": dict(files) | files_read([*read, arguments.items])}
    content = json.loads(json.dumps({"schema_version": SCHEMA_VERSION, **record, "made_from": made_from}))
    content["sha256"] = _checksum(content)
    _validated(arguments.result, content)
    write_json(arguments.result, content)


def read_result(path: str | Path) -> ResultRecord:
    """Return a result record. Raises InputError, naming file and key, for one that is missing or torn, follows another
    schema, or was changed since it was written."""
    content = read_object(path)
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        found = "no schema_version" if version is None else f"schema_version {version}"
        raise InputError(f"{path}: it has {found}, but this version of the project reads {SCHEMA_VERSION}; {AGAIN}.")
    record = _validated(path, content)
    found = _checksum(content)
    if found != record.sha256:
        raise InputError(
            f"{path}: it was changed after it was written (its sha256 says {record.sha256[:12]}, its content has "
            f"{found[:12]}); {AGAIN}."
        )
    return record


def _validated(path: str | Path, content: dict) -> ResultRecord:
    try:
        return ResultRecord.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: {key or 'the record'}: {first['msg']}; {AGAIN}.") from None


def _checksum(content: dict) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
