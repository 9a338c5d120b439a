"""Texts that a job has written before are taken over where they were asked for by the very same request.

A shard that grows, or whose prompts become more, is made again by Snakemake, which removes a job's outputs before it
starts the job. So the outputs of the rules in WRITERS are put aside instead, each beside its own place, until Snakemake
has recorded the new ones (isheep.engine.journal.remove_leftovers). Each of their rows names its request, which covers
all that its text depends on: checkpoint, engine, prompt, sampling, seed, what our own code does with them, and the
packages.
To have texts written anew though nothing has changed, remove the file.
"""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from isheep.digest import program_digest
from isheep.engine.engine import Completion, Request
from isheep.engine.journal import EARLIER, request_key
from isheep.engine.provenance import ENGINE_PACKAGES, installed_versions
from isheep.files.reading import iterate_rows
from isheep.project import is_of_project

if TYPE_CHECKING:
    from snakemake.jobs import Job

WRITERS = ("write_instructions", "write_responses", "assess_pairs")
"""Rules whose outputs are rows of texts."""


def earlier_file(output: str | Path) -> Path:
    """Return the file, beside an output, that keeps what it was before."""
    output = Path(output)
    return output.with_name(f".{output.name}{EARLIER}")


def keep_earlier_texts() -> None:
    """Let Snakemake put the outputs of WRITERS aside where it would remove them before their job starts."""
    from snakemake.jobs import Job

    remove = Job.remove_existing_output

    async def put_aside_and_remove(self: "Job") -> None:
        # As a module's, a rule's name has what the other workflow puts before it.
        for output in self.output if is_of_project(self) and self.rule.name.endswith(WRITERS) else ():
            if await output.exists():
                os.replace(output, earlier_file(output))
        await remove(self)

    Job.remove_existing_output = put_aside_and_remove


class EarlierTexts:
    """The texts of an output that was put aside, and what its rows need so that they can be taken over once more."""

    def __init__(self, output: Path, field: str):
        """field: the key of a row that holds its text."""
        self._file, self._field = earlier_file(output), field

    @cached_property
    def _made_by(self) -> dict:
        """What texts depend on besides the engine's own identity."""
        code = program_digest(Path(__file__).with_name("flags.py"))
        return {"code": code, "versions": installed_versions(ENGINE_PACKAGES)}

    def key(self, identity: dict, request: Request) -> str:
        """Return the key of a request, under which rows and the journal have its text. identity: the engine's."""
        return request_key(identity | self._made_by, request)

    def found(self) -> Iterator[tuple[str, Completion]]:
        """Yield key and completion of each row that was put aside, without log-probabilities."""
        for row in iterate_rows(self._file) if self._file.exists() else ():
            if "request" in row:
                text, reason = row[self._field], row["finish_reason"]
                yield row["request"], Completion("", text, reason, row["prompt_tokens"], row["tokens"])

    @staticmethod
    def named(row: dict, key: str, completion: Completion) -> dict:
        """Return a row with what `found` needs of it."""
        return row | {
            "finish_reason": completion.finish_reason,
            "prompt_tokens": completion.prompt_tokens,
            "tokens": completion.completion_tokens,
            "request": key,
        }
