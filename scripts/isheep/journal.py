"""The journal: completions that a killed job had finished are not asked for again.

A journal is a folder beside a job's output, which is no output itself. Each finished completion is appended
to it under a key of everything that the text depends on, so an answer is found again only by the very same
request to the very same checkpoint. The folder is removed once the output is published.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from isheep.engine import Completion, Engine, Request
from isheep.records import InputError

SECONDS_BETWEEN_SYNCS = 5.0
"""Each line is handed to the system at once and survives a killed job; this bounds what a power cut takes."""


class Journal:
    """The finished completions of one job, as JSON Lines that are only appended to."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.path = self.folder / "completions.jsonl"

    def read(self) -> dict[str, dict]:
        """Key → the fields of a Completion but its id. Cuts a torn last line off the file.

        Raises InputError, naming the line, if another line is damaged: no crash of a job leaves that behind.
        """
        if not self.path.exists():
            return {}
        lines = self.path.read_bytes().splitlines(keepends=True)
        found, size = {}, 0
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                found[row.pop("key")] = row
            except (ValueError, KeyError, TypeError, AttributeError):
                if number < len(lines):
                    raise InputError(
                        f"{self.path}: line {number} of {len(lines)} is damaged; remove the folder to write "
                        "its texts again."
                    ) from None
                break
            if not line.endswith(b"\n"):
                del found[next(reversed(found))]
                break
            size += len(line)
        os.truncate(self.path, size)
        return found

    def append(self, key: str, completion: Completion) -> None:
        """Add one finished completion; it is on its way to the disk when this returns."""
        row = {"key": key, **asdict(completion)}
        del row["id"]
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        if time.monotonic() - self._synced > SECONDS_BETWEEN_SYNCS:
            self._sync()

    def __enter__(self) -> "Journal":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a", encoding="utf-8", newline="\n")
        self._synced = time.monotonic()
        return self

    def __exit__(self, *_) -> None:
        self._sync()
        self._file.close()

    def remove(self) -> None:
        """Delete the folder: to be called after the job's output was published."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def complete_with_journal(engine: Engine, requests: Sequence[Request], folder: str | Path) -> list[Completion]:
    """Return the completions in the order of `requests`, asking the engine only for those not in the journal.

    Requests that are equal but for their ids have one text, and are asked once. Raises InputError as
    `Engine.complete` and `Journal.read` do.
    """
    journal = Journal(folder)
    done = journal.read()
    keys = {request.id: request_key(engine.identity, request) for request in requests}
    if len(keys) < len(requests):
        raise InputError("two requests share an id; ids must be unique within a call.")
    missing = {keys[request.id]: request for request in requests if keys[request.id] not in done}
    print(f"journal: {len(missing)} to write, {len(requests) - len(missing)} reused", file=sys.stderr)
    with journal:
        for completion in engine.complete(missing.values()):
            key = keys[completion.id]
            journal.append(key, completion)
            done[key] = {name: value for name, value in asdict(completion).items() if name != "id"}
    return [Completion(id=request.id, **done[keys[request.id]]) for request in requests]


def request_key(identity: dict, request: Request) -> str:
    """The sha256 of all that a completion depends on: checkpoint, engine, prompt, sampling and seed."""
    prompt = request.prompt if isinstance(request.prompt, str) else list(request.prompt)
    content = [identity, prompt, request.sampling.model_dump(mode="json"), request.seed]
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
