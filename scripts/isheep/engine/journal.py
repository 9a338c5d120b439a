"""The journal: completions that a killed job had finished are not asked for again.

A journal is a folder beside a job's output, which is no output itself. Each finished completion is appended
to it under a key of everything that the text depends on, so an answer is found again only by the very same
request to the very same checkpoint. Once the output is published the journal is finished, and kept until Snakemake
has recorded the output: what is killed in between is asked for again, and found.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO, TypeVar

from isheep.digest import program_digest
from isheep.engine.engine import Completer, Completion, Request, TokenLogprob, require_unique_ids
from isheep.engine.provenance import ENGINE_PACKAGES, installed_versions
from isheep.files.ownership import CLAIM, WRITER, is_over, open_alone, remove_claim
from isheep.files.recorded import MARKS, outputs_in
from isheep.files.records import PARTIAL, InputError, iterate_jsonl, remove, write_jsonl

if TYPE_CHECKING:
    from isheep.engine.earlier_texts import EarlierTexts

Row = TypeVar("Row")

FINISHED = ".finished"
EARLIER = ".earlier"
"""How the name of an output ends that was put aside (isheep.engine.earlier_texts)."""
SHARED_TEXTS = "ISHEEP_SHARED_TEXTS"
"""The environment variable with the folder of texts that experiments share; the workflow sets it for its jobs."""
LEFTOVER = re.compile(
    rf"\.(?P<output>.+?)({re.escape(FINISHED)}|{re.escape(EARLIER)}|{re.escape(CLAIM)}|\.(?P<writer>{WRITER.pattern}){re.escape(PARTIAL)})"
)
SECONDS_BETWEEN_SYNCS = 5.0
"""Each line is handed to the system at once and survives a killed job; this bounds what a power cut takes."""


class AppendedLines:
    """A file of JSON Lines in a folder of its own that is only appended to, inside a `with` block, and that a killed
    job leaves readable. One process at a time is inside: another waits, such as the job of a workflow that was started
    again while a job of the killed one still ran."""

    def __init__(self, path: Path):
        self.path = path

    def read_rows(self, parse: Callable[[dict], Row]) -> Iterator[Row]:
        """Yield every line's object through `parse`, from inside the `with` block; read to its end, the file has lost a
        torn last line.

        Raises InputError, naming the line, if another line is damaged, which includes that `parse` raises
        ValueError, KeyError, TypeError or AttributeError: no crash of a job leaves that behind.
        """
        return (row for _, row in self._read_placed_rows(parse))

    def append_row(self, row: dict) -> int:
        """Add one line, and return the byte where it begins; it is on its way to the disk when this returns."""
        start = self._file.buffer.seek(0, os.SEEK_END)
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        if time.monotonic() - self._synced > SECONDS_BETWEEN_SYNCS:
            self._sync()
        return start

    def read_row(self, start: int) -> dict:
        """Return the object of the line that begins at this byte, from inside the `with` block."""
        self._file.buffer.seek(start)
        return json.loads(self._file.buffer.readline())

    def _read_placed_rows(self, parse: Callable[[dict], Row]) -> Iterator[tuple[int, Row]]:
        """Yield what `read_rows` does, each with the byte where its line begins."""
        # Not by its path: one that was waited for may put the folder aside only now.
        lines = self._file.buffer
        lines.seek(0)
        start = 0
        for number, line in enumerate(lines, start=1):
            try:
                row = parse(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                if following := sum(1 for _ in lines):
                    raise InputError(
                        f"{self.path}: line {number} of {number + following} is damaged; remove the folder to write "
                        "its texts again."
                    ) from None
                break
            if not line.endswith(b"\n"):
                break
            yield start, row
            start += len(line)
        self._file.truncate(start)

    def __enter__(self) -> Self:
        self._file = self._open_alone()
        self._synced = time.monotonic()
        return self

    def __exit__(self, *_) -> None:
        self._sync()
        self._file.close()

    def _open_alone(self) -> TextIO:
        folder = self.path.parent
        finished = folder.with_suffix(FINISHED)
        while True:
            if finished.exists() and not folder.exists():
                finished.rename(folder)
            with suppress(FileNotFoundError):  # the one that was waited for has finished the folder
                folder.mkdir(parents=True, exist_ok=True)
                if file := open_alone(self.path, self.path):
                    return file

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


class Journal(AppendedLines):
    """The finished completions of one job."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        super().__init__(self.folder / "completions.jsonl")

    def read(self) -> dict[str, dict]:
        """Key → the fields of a Completion but its id. Raises InputError as `read_rows` does."""
        return dict(self.read_rows(lambda row: (row.pop("key"), row)))

    def index(self) -> dict[str, int]:
        """Key → the byte where its line begins, which `find` takes. Raises InputError as `read_rows` does."""
        return {key: start for start, key in self._read_placed_rows(lambda row: row["key"])}

    def find(self, start: int, id: str) -> Completion:
        """Return the completion whose line begins at this byte, for the request of this id."""
        row = self.read_row(start)
        del row["key"]
        return from_row(id, row)

    def append(self, key: str, completion: Completion) -> int:
        """Add one finished completion, and return the byte where its line begins; it is on its way to the disk when
        this returns."""
        return self.append_row({"key": key, **to_row(completion)})

    def finish(self) -> None:
        """Put the folder aside, until it is entered again: to be called after the job's output was published."""
        if self.folder.exists():
            finished = self.folder.with_suffix(FINISHED)
            shutil.rmtree(finished, ignore_errors=True)
            with suppress(FileNotFoundError):  # one that waited for this job has been faster
                self.folder.rename(finished)


def remove_leftovers(results: str | Path, records: str | Path = ".snakemake") -> None:
    """Remove, anywhere below `results`, what lies beside outputs that Snakemake has recorded: their finished journals,
    and what they were before. And, whatever became of the outputs, the claims of programs that have ended, and what
    these had not published.

    A journal that was kept would answer when an output is asked for anew because of a change that no request shows,
    such as another version of a library. records: Snakemake's folder in the working directory, to which its outputs
    are relative. Jobs of another run may come and go meanwhile.
    """
    left = [(parent / name, found) for parent, name in _below(results) if (found := LEFTOVER.fullmatch(name))]
    # Looked at last, since a job is marked before it leaves anything.
    incomplete = {output for _, output in outputs_in(Path(records) / MARKS)}
    for path, found in left:
        output = path.with_name(found["output"])
        recorded = output.exists() and str(output) not in incomplete
        with suppress(FileNotFoundError):
            if path.name.endswith(CLAIM):
                remove_claim(path, if_unknown=recorded)
            elif is_over(found["writer"], recorded) if found["writer"] else recorded:
                remove(path)


def _below(folder: str | Path) -> Iterator[tuple[Path, str]]:
    """Parent and name of all files and folders below a folder, but for those that vanish meanwhile."""
    for place, folders, files in os.walk(folder):
        parent = Path(place)
        yield from ((parent, name) for name in (*folders, *files))


def complete_with_journal(
    engine: Completer, requests: Sequence[Request], folder: str | Path, earlier: "EarlierTexts | None" = None
) -> list[Completion]:
    """Return the completions in the order of `requests`, as `completed` finds or makes them."""
    with completed(engine, requests, folder, earlier=earlier) as completions:
        return list(completions)


@contextmanager
def completed(
    engine: Completer,
    requests: Sequence[Request],
    folder: str | Path,
    check: Callable[[Completion], None] | None = None,
    earlier: "EarlierTexts | None" = None,
) -> Iterator[Iterator[Completion]]:
    """Complete all requests, and give their completions in the order of `requests`, each read from the journal then.

    The engine is asked only for those that are neither in the journal, nor in `earlier`, nor in the file of
    `shared_texts`. Requests that are equal but for their ids have one text, and are asked once. check: called with each
    text once, those in the journal first; what it raises ends the work, and the texts stay in the journal. earlier:
    texts of an output that was put aside, which are taken into the journal; their keys cover more than the journal's
    own. Raises InputError as `Engine.complete` and `AppendedLines.read_rows` do.
    """
    require_unique_ids(requests)
    key_of_request = earlier.key if earlier else request_key
    keys = [key_of_request(engine.identity, request) for request in requests]
    with Journal(folder) as journal:
        starts = journal.index()
        wanted = set(keys)
        for key, completion in earlier.found() if earlier else ():
            if key in wanted and key not in starts:
                starts[key] = journal.append(key, completion)
        shared = shared_texts(engine.identity, keys)
        if shared and shared.exists():
            starts |= {row["key"]: journal.append_row(row) for row in iterate_jsonl(shared) if row["key"] not in starts}
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in starts}
        print(f"journal: {len(missing)} to write, {len(requests) - len(missing)} reused", file=sys.stderr)
        for key, request in zip(keys, requests, strict=True) if check else ():
            if key not in missing:
                check(journal.find(starts[key], request.id))
        key_of = {request.id: key for key, request in missing.items()}
        for completion in engine.complete(missing.values()):
            key = key_of[completion.id]
            starts[key] = journal.append(key, completion)
            if check:
                check(completion)
        if shared and not shared.exists():
            write_jsonl(shared, (journal.read_row(starts[key]) for key in dict.fromkeys(keys)))
        yield (journal.find(starts[key], request.id) for key, request in zip(keys, requests, strict=True))


def shared_texts(identity: dict, keys: Sequence[str]) -> Path | None:
    """The file, in the folder that the environment variable SHARED_TEXTS names, for the texts of these requests; None
    where it names none, or where no checkpoint of ours is asked: what is behind an API's name may change.

    Its name is a digest of all that the texts depend on: the requests, the running program with the library modules
    that it imports, and the versions of the packages that write.
    """
    folder = os.environ.get(SHARED_TEXTS)
    if not folder or "checkpoint" not in identity:
        return None
    code = program_digest(Path(sys.argv[0]).absolute())
    content = [sorted(set(keys)), code, installed_versions(ENGINE_PACKAGES)]
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return Path(folder, name[:2], f"{name}.jsonl")


def to_row(completion: Completion) -> dict:
    """The fields of a completion but its id, ready for JSON, and without log-probabilities where it has none."""
    row = asdict(completion)
    del row["id"]
    if completion.logprobs is None:
        del row["logprobs"]
    return row


def from_row(id: str, row: dict) -> Completion:
    """The completion whose fields `to_row` gave."""
    if "logprobs" in row:
        row = row | {"logprobs": tuple(TokenLogprob(**token) for token in row["logprobs"])}
    return Completion(id=id, **row)


def request_key(identity: dict, request: Request) -> str:
    """The sha256 of all that a completion depends on: checkpoint, engine, prompt, sampling and seed."""
    prompt = request.prompt if isinstance(request.prompt, str) else list(request.prompt)
    content = [identity, prompt, request.sampling.model_dump(mode="json"), request.seed]
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
