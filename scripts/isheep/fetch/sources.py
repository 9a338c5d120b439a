"""Fetching: the only stage that reaches the network, apart from a judge behind an API.

`config/sources.yaml` lists what there is to fetch: files at a fixed commit with their checksum, and repositories of
the Hugging Face hub, whose commits are resolved once and kept in `config/sources.lock.yaml`.
"""

import hashlib
import io
import os
import re
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from isheep.fetch.hub_cache import HOW_TO_FETCH, fetched_commit, folder_name
from isheep.files import ownership
from isheep.files.disk_space import is_of_full_disk
from isheep.files.records import InputError, publish, unfinished_folder
from isheep.files.yaml_text import read_yaml
from isheep.settings import Settings
from isheep.spelling import nearest

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]

ATTEMPTS = 4
SECONDS_TO_CONNECT = 60.0
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that a later attempt may not meet (RFC 9110, RFC 6585, RFC 8470)."""

LOCK_HEADER = """\
# Commits of the hub repositories that have been fetched, resolved once by `snakemake prefetch`. Keep this file under
# version control: it is what makes a later fetch get the same data. Remove a line to take the newest commit again.
"""


class FetchSettings(Settings):
    """Where seeds, prompts, benchmark files, data sets and models are fetched from."""

    mirror: str | None = None
    """A local folder that files are copied from instead of the network, laid out as `mirror` in the manifest says;
    null fetches from the network. Checksums hold either way. Hub repositories always come from the hub."""
    sources: str = "config/sources.yaml"
    """The manifest: every file with its address, checksum and licence, and every hub repository."""
    lock: str = "config/sources.lock.yaml"
    """The commits that hub repositories were resolved to, kept under version control."""


class FileSource(Settings):
    """One published file, fixed by its checksum."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = None
    """Its address at a fixed commit; null: no public address is known, so only a mirror has it."""
    mirror: str | None = None
    """Its path in a mirror folder; null: mirrors do not have it."""
    member: str | None = None
    """Its path inside the zip archive that `url` names, if that is an archive; a mirror has the file itself."""
    sha256: Sha256 | None
    """Checksum of the file (of the member, not of its archive); null where nobody has taken it: then the archive's."""
    archive_md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Checksum that the publisher gives of the archive, for a member whose own is not known. A mirror's file cannot be
    checked by it: it is taken as it is."""
    bytes: int | None = Field(ge=0)
    """Its size, to tell a truncated file from another one; null where nobody has taken it."""
    licence: str
    """Under what terms it may be used; nothing that is fetched is part of this repository."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "FileSource":
        if self.url is None and self.mirror is None:
            raise ValueError("a file needs `url` or `mirror`")
        if self.sha256 is None and (self.archive_md5 is None or self.member is None):
            raise ValueError("a file needs `sha256`, or as a `member` of an archive `archive_md5`")
        return self


class HubSource(Settings):
    """One repository of the Hugging Face hub, taken at the commit in the lock file."""

    repository: str = Field(pattern=r"^[^/\s]+/[^/\s]+$")
    """owner/name."""
    kind: Literal["dataset", "model"]
    """What the hub calls it."""
    files: tuple[str, ...] = ()
    """Patterns of the files that are needed; without any, all of them."""
    revision: Commit | None = None
    """A full commit hash that is used instead of the lock file's."""
    licence: str | None = None
    """Under what terms it may be used, where its card says so; gated ones need HF_TOKEN in the environment."""

    @property
    def folder(self) -> str:
        """The name of its folder in a hub cache, such as `datasets--allenai--ai2_arc`."""
        return folder_name(self.repository, self.kind)

    @property
    def key(self) -> str:
        """Its name in the lock file, such as `datasets/allenai/ai2_arc`."""
        return f"{self.kind}s/{self.repository}"


class Sources(Settings):
    """The manifest: what can be fetched."""

    files: dict[str, FileSource] = Field(default_factory=dict)
    """Files by their path below results/fetched/."""
    hub: dict[str, HubSource] = Field(default_factory=dict)
    """Hub repositories by the names that benchmarks call them by."""

    def obtainable(self, mirror: str | None) -> list[str]:
        """Names of the files that can be had from the mirror if there is one, and otherwise from the network."""
        return [name for name, file in self.files.items() if (file.mirror if mirror else file.url) is not None]

    def hub_folders(self, names: Iterable[str], key: str) -> list[str]:
        """Folders of hub repositories in a hub cache. Raises InputError that says `key` for a name that is unknown."""
        for name in names:
            if name not in self.hub:
                raise InputError(
                    f"{key}: found {name!r}, but the manifest has no such hub repository{nearest(name, self.hub)}."
                )
        return [self.hub[name].folder for name in names]


def load_sources(path: str | Path) -> Sources:
    """Read the manifest; raises InputError that names the file and the key of a mistake in it."""
    try:
        return Sources.model_validate(_read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}; correct the entry.") from None


def fetch_file(name: str, sources: Sources, output: Path, mirror: str | None = None) -> None:
    """Bring one file of the manifest to `output`, from the mirror folder if one is given.

    Raises InputError, and leaves nothing, if the file is unknown, cannot be had or has another checksum.
    """
    source = sources.files.get(name)
    if source is None:
        raise InputError(f"--file: the manifest has no file {name!r}{nearest(name, sources.files)}.")
    origin, content = _from_mirror(name, source, mirror) if mirror else _from_network(name, source)
    found = hashlib.sha256(content).hexdigest()
    if source.sha256 not in (None, found):
        raise InputError(
            f"{name}: {origin} has another content: expected sha256 {source.sha256} ({source.bytes} bytes), found "
            f"{found} ({len(content)} bytes); fetch it again, or give another copy of the file."
        )
    with publish(output) as partial:
        partial.write_bytes(content)


def _from_mirror(name: str, source: FileSource, mirror: str) -> tuple[Path, bytes]:
    if source.mirror is None:
        raise InputError(
            f"{name}: mirror folders do not have this file; set fetch.mirror to null to fetch {source.url}."
        )
    path = Path(mirror, source.mirror)
    if not path.is_file():
        raise InputError(f"{name}: the mirror has no file {path}; add it, or set fetch.mirror to null.")
    return path, path.read_bytes()


def _from_network(name: str, source: FileSource) -> tuple[str, bytes]:
    if source.url is None:
        raise InputError(f"{name}: no public address is known; set fetch.mirror to a folder that has {source.mirror}.")
    content = download(source.url)
    if source.member is None:
        return source.url, content
    archived = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if source.archive_md5 not in (None, archived):
        raise InputError(
            f"{name}: {source.url} has another content: expected md5 {source.archive_md5}, found {archived} "
            f"({len(content)} bytes); fetch it again, or give the file in a mirror folder (fetch.mirror)."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return f"{source.url}:{source.member}", archive.read(source.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            f"{name}: {source.url} does not hold {source.member} ({error}); correct the address."
        ) from None


def download(url: str, seconds_between_attempts: float = 1.0) -> bytes:
    """Return what is at an address, asking again, ever later, where the server is busy or the line breaks.

    Raises InputError that names the address where it cannot be had.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(seconds_between_attempts * 2 ** (attempt - 1))
        try:
            with urllib.request.urlopen(url, timeout=SECONDS_TO_CONNECT) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            if error.code not in BUSY:
                raise InputError(f"{url}: the server says {error.code} {error.reason}; correct the address.") from None
            reason = f"{error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise InputError(
        f"{url} cannot be had ({reason}, {ATTEMPTS} attempts); {HOW_TO_FETCH}, or set fetch.mirror to a local folder "
        "with the files."
    )


def lock_revision(source: HubSource, lock: Path, resolve: Callable[[HubSource], str]) -> str:
    """Return the commit of a hub repository: its own, or the lock file's; else resolve it and add it to that file.

    resolve: asks the hub for the newest commit. Raises InputError for a lock file that is not what this writes.
    """
    with _alone(lock):
        commit = locked_commit(source, lock)
        if commit is None:
            commit = resolve(source)
            locked = _read_lock(lock) | {source.key: commit}
            with publish(lock) as partial:
                partial.write_text(LOCK_HEADER + yaml.safe_dump(locked), encoding="utf-8")
    return commit


def locked_commit(source: HubSource, lock: str | Path) -> str | None:
    """Return the commit of a hub repository, its own or the lock file's; None where it has not been resolved."""
    return source.revision or _read_lock(Path(lock)).get(source.key)


def check_commits(sources: Iterable[HubSource], lock: str | Path, cache: str | Path) -> None:
    """Raise InputError if a repository was fetched at another commit than the one that is asked for now, or if the lock
    file has another one than the configuration."""
    commits = _read_lock(Path(lock))
    for source in sources:
        locked = commits.get(source.key)
        if source.revision and locked and source.revision != locked:
            raise InputError(
                f"{lock}: {source.key}: the commit is {locked}, but the configuration asks for {source.revision}; "
                "remove the line, or the revision."
            )
        asked, fetched = source.revision or locked, fetched_commit(Path(cache) / source.folder)
        if asked and fetched and asked != fetched:
            raise InputError(
                f"{lock}: {source.key}: the commit is {asked}, but {Path(cache) / source.folder} holds {fetched}; "
                "remove that folder to fetch it again, or correct the commit."
            )


def newest_commit(source: HubSource, api: Any = None) -> str:
    """Ask the hub for the full hash of a repository's newest commit. api: a huggingface_hub.HfApi."""
    from huggingface_hub import HfApi

    with _hub_errors(source):
        return (api or HfApi()).repo_info(source.repository, repo_type=source.kind).sha


def fetch_snapshot(source: HubSource, revision: str, output: Path, download: Callable[..., str] | None = None) -> None:
    """Bring a hub repository at one commit to `output`, a folder of a hub cache named as `source.folder`.

    The commit becomes the cache's `main`, so that a library that asks for no revision gets it, offline. What a killed
    job has downloaded is kept beside the output. download: huggingface_hub.snapshot_download.
    """
    from huggingface_hub import snapshot_download

    cache = unfinished_folder(output)
    with _hub_errors(source):
        (download or snapshot_download)(
            source.repository,
            repo_type=source.kind,
            revision=revision,
            cache_dir=cache,
            allow_patterns=list(source.files) or None,
        )
    main = cache / source.folder / "refs" / "main"
    main.parent.mkdir(exist_ok=True)
    main.write_text(revision, encoding="utf-8")
    with publish(output) as partial:
        os.replace(cache / source.folder, partial)
    shutil.rmtree(cache)


@contextmanager
def _hub_errors(source: HubSource) -> Iterator[None]:
    """Turn what the hub's client raises into one sentence."""
    from huggingface_hub import constants, errors

    what = f"the {source.kind} {source.repository}"
    try:
        yield
    except errors.GatedRepoError:
        raise InputError(
            f"{what} is gated: accept its terms on its page at the hub and set HF_TOKEN to your token."
        ) from None
    except errors.RepositoryNotFoundError:
        raise InputError(f"{what} is not at the hub, or HF_TOKEN may not read it; correct its name.") from None
    except errors.RevisionNotFoundError:
        raise InputError(f"{what} has no such commit any more; remove its line from the lock file.") from None
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.HTTPError, OSError) as error:
        if is_of_full_disk(error):
            raise
        offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else type(error).__name__
        raise InputError(f"{what} cannot be fetched from the hub ({offline}); {HOW_TO_FETCH}.") from None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time change a file. The lock lies on its folder, so that nothing is left behind."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        ownership.lock(folder, path)
        yield
    finally:
        os.close(folder)


def _read_lock(path: Path) -> dict[str, str]:
    locked = _read_yaml(path) if path.exists() else {}
    for key, commit in locked.items():
        if not re.fullmatch(r"(models|datasets)/[^/\s]+/[^/\s]+", str(key)):
            raise InputError(
                f"{path}: found {key!r}, but a line must name a repository, as datasets/allenai/ai2_arc; remove it."
            )
        if not re.fullmatch(r"[0-9a-f]{40}", str(commit)):
            raise InputError(f"{path}: {key}: found {commit!r}, but it must be a full commit hash; remove the line.")
    return locked


def _read_yaml(path: str | Path) -> dict:
    content = read_yaml(path)
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{path} is not a YAML mapping; restore the file.")
    return content or {}
