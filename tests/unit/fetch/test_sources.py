"""Fetching: checksums, mirrors, a server that misbehaves, and the lock file of the hub's commits."""

import hashlib
import http.server
import io
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import errors

from isheep.fetch import sources
from isheep.fetch.hub_cache import snapshot_of
from isheep.fetch.sources import (
    FileSource,
    HubSource,
    Sources,
    check_commits,
    download,
    fetch_file,
    fetch_snapshot,
    load_sources,
    lock_revision,
    newest_commit,
)
from isheep.files.records import InputError

ROOT = Path(__file__).parents[3]
CONTENT = b'{"question": "Where is Rome?"}\n'
ARC = HubSource(repository="allenai/ai2_arc", kind="dataset")
FIRST, SECOND = "1" * 40, "2" * 40


def manifest(**changes) -> Sources:
    """One file, which is CONTENT."""
    entry = {"mirror": "set/a.jsonl", "sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT)}
    return Sources(files={"a.jsonl": FileSource(**{**entry, "licence": "MIT", **changes})})


@pytest.fixture
def mirror(tmp_path) -> str:
    (tmp_path / "mirror" / "set").mkdir(parents=True)
    (tmp_path / "mirror" / "set" / "a.jsonl").write_bytes(CONTENT)
    return str(tmp_path / "mirror")


@pytest.fixture
def server():
    """A web server on this machine; `answers` are its next (status, content), the last of them for ever."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            held.asked.append(self.path)
            status, content, *length = held.answers.pop(0) if len(held.answers) > 1 else held.answers[0]
            self.send_response(status)
            self.send_header("Content-Length", str(length[0] if length else len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    held = SimpleNamespace(answers=[(200, CONTENT)], asked=[])
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.url = f"http://127.0.0.1:{running.server_port}/a.jsonl"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield held
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(sources.time, "sleep", lambda _: None)


def test_a_file_is_copied_from_the_mirror_without_the_network(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "download", lambda *_: pytest.fail("reached for the network"))
    fetch_file("a.jsonl", manifest(url="https://nowhere.invalid/a"), tmp_path / "out" / "a.jsonl", mirror)
    assert (tmp_path / "out" / "a.jsonl").read_bytes() == CONTENT


def test_a_wrong_checksum_names_file_expected_and_found_and_leaves_nothing(mirror, tmp_path):
    with pytest.raises(InputError) as raised:
        fetch_file("a.jsonl", manifest(sha256="0" * 64), tmp_path / "out" / "a.jsonl", mirror)
    assert "a.jsonl: " in str(raised.value)
    assert f"expected sha256 {'0' * 64}" in str(raised.value)
    assert f"found {hashlib.sha256(CONTENT).hexdigest()}" in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "name", "use_mirror", "sentence"),
    [
        ({"url": "https://x.invalid/a", "mirror": None}, "a.jsonl", True, "mirror folders do not have this file"),
        ({"mirror": "set/b.jsonl"}, "a.jsonl", True, "the mirror has no file .*b.jsonl"),
        ({}, "a.jsonl", False, "no public address is known"),
        ({}, "a.json", True, "no file 'a.json'; did you mean 'a.jsonl'"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(mirror, tmp_path, changes, name, use_mirror, sentence):
    with pytest.raises(InputError, match=sentence):
        fetch_file(name, manifest(**changes), tmp_path / "out", mirror if use_mirror else None)
    assert not (tmp_path / "out").exists()


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.answers = [(503, b"busy"), (429, b"slow down"), (200, CONTENT[:5], len(CONTENT)), (200, CONTENT)]
    fetch_file("a.jsonl", manifest(url=server.url), tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == CONTENT
    assert len(server.asked) == 4


def test_a_missing_page_is_asked_for_once(server):
    server.answers = [(404, b"")]
    with pytest.raises(InputError, match=f"{server.url}: the server says 404"):
        download(server.url)
    assert len(server.asked) == 1


def test_no_network_is_a_sentence_with_the_address():
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/a\.jsonl cannot be had .*prefetch --cores 2`.*fetch\.mirror"):
        download("http://127.0.0.1:9/a.jsonl")


def test_a_member_of_an_archive_is_taken_out_and_verified(server, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("english/a.jsonl", CONTENT)
    server.answers = [(200, packed.getvalue())]
    fetch_file("a.jsonl", manifest(url=server.url, member="english/a.jsonl"), tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == CONTENT
    with pytest.raises(InputError, match=r"does not hold english/b\.jsonl"):
        fetch_file("a.jsonl", manifest(url=server.url, member="english/b.jsonl"), tmp_path / "b.jsonl")
    server.answers = [(200, b"no archive")]
    with pytest.raises(InputError, match=r"does not hold english/a\.jsonl"):
        fetch_file("a.jsonl", manifest(url=server.url, member="english/a.jsonl"), tmp_path / "b.jsonl")


def test_the_manifest_of_this_repository_is_sound():
    found = load_sources(ROOT / "config/sources.yaml")
    for name, file in found.files.items():
        assert file.url is None or file.url.startswith("https://"), name
        assert file.url is None or any(len(part) == 40 for part in file.url.split("/")), f"{name}: no full commit"
    assert set(found.obtainable(None)) | set(found.obtainable("mirror")) == set(found.files)
    assert all(source.revision is None for source in found.hub.values())
    check_commits(found.hub.values(), ROOT / "config/sources.lock.yaml", ROOT / "no such folder")


def test_every_mirrored_file_has_the_published_checksum(published_data, tmp_path):
    found = load_sources(ROOT / "config/sources.yaml")
    for name in found.obtainable(str(published_data)):
        fetch_file(name, found, tmp_path / name, str(published_data))
        assert (tmp_path / name).stat().st_size == found.files[name].bytes
    assert (tmp_path / "humaneval/HumanEval.jsonl.gz").read_bytes()[:2] == b"\x1f\x8b", "it stays compressed"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("files: {a: {mirror: a, sha256: abc, bytes: 1, licence: MIT}}", r"files\.a\.sha256"),
        ("files: {a: {sha256: %s, bytes: 1, licence: MIT}}" % ("a" * 64), "needs `url` or `mirror`"),
        ("hub: {a: {repository: arc, kind: dataset}}", r"hub\.a\.repository"),
        ("files: [", "line 1 is not valid YAML"),
        ("files: {}\nhub: {}\nfiles: {}", "line 3 has the key 'files', which line 1 has already"),
        ("- files", "not a YAML mapping"),
    ],
)
def test_a_mistake_in_the_manifest_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "sources.yaml").write_text(text)
    with pytest.raises(InputError, match=f"^{tmp_path}/sources.yaml.*{sentence}"):
        load_sources(tmp_path / "sources.yaml")


def test_a_commit_is_resolved_once_and_kept(tmp_path):
    lock = tmp_path / "lock.yaml"
    lock.write_text("# Keep me.\n{}\n")
    api = SimpleNamespace(repo_info=lambda repository, repo_type: SimpleNamespace(sha=FIRST))
    assert lock_revision(ARC, lock, lambda source: newest_commit(source, api)) == FIRST
    assert f"datasets/allenai/ai2_arc: '{FIRST}'" in lock.read_text()
    model = HubSource(repository="Qwen/Qwen1.5-1.8B", kind="model")
    assert lock_revision(model, lock, lambda _: SECOND) == SECOND
    assert lock_revision(ARC, lock, lambda _: pytest.fail("asked again")) == FIRST
    assert lock.read_text().startswith("# Commits of the hub repositories")
    fixed = HubSource(repository="allenai/ai2_arc", kind="dataset", revision=SECOND)
    assert lock_revision(fixed, lock, lambda _: pytest.fail("asked though fixed")) == SECOND


def test_a_damaged_lock_file_is_an_error(tmp_path):
    (tmp_path / "lock.yaml").write_text("datasets/allenai/ai2_arc: main\n")
    with pytest.raises(InputError, match="datasets/allenai/ai2_arc: found 'main', but it must be a full commit hash"):
        lock_revision(ARC, tmp_path / "lock.yaml", lambda _: FIRST)


def write_snapshot(repository, *, repo_type, revision, cache_dir, allow_patterns):
    """What snapshot_download leaves in a cache."""
    blobs = Path(cache_dir) / f"{repo_type}s--{repository.replace('/', '--')}" / "blobs"
    files = blobs.parent / "snapshots" / revision
    blobs.mkdir(parents=True)
    files.mkdir(parents=True)
    (blobs / "0").write_text("card")
    (files / "README.md").symlink_to("../../blobs/0")
    return str(files)


def test_a_fetched_repository_is_found_offline_by_its_name(tmp_path):
    from huggingface_hub import hf_hub_download

    output = tmp_path / "hub" / ARC.folder
    fetch_snapshot(ARC, FIRST, output, download=write_snapshot)
    assert [path.name for path in output.parent.iterdir()] == [ARC.folder], "nothing else is left"
    assert snapshot_of(tmp_path / "hub", "allenai/ai2_arc") == output / "snapshots" / FIRST
    assert (output / "snapshots" / FIRST / "README.md").read_text() == "card"
    cached = hf_hub_download(
        "allenai/ai2_arc", "README.md", repo_type="dataset", cache_dir=tmp_path / "hub", local_files_only=True
    )
    assert Path(cached).read_text() == "card"


def test_another_commit_than_the_one_fetched_is_an_error(tmp_path):
    fetch_snapshot(ARC, FIRST, tmp_path / "hub" / ARC.folder, download=write_snapshot)
    (tmp_path / "lock.yaml").write_text(f"datasets/allenai/ai2_arc: '{FIRST}'\n")
    check_commits([ARC], tmp_path / "lock.yaml", tmp_path / "hub")
    (tmp_path / "lock.yaml").write_text(f"datasets/allenai/ai2_arc: '{SECOND}'\n")
    with pytest.raises(InputError, match=f"the commit is {SECOND}, but .*ai2_arc holds {FIRST}; remove that folder"):
        check_commits([ARC], tmp_path / "lock.yaml", tmp_path / "hub")


def test_a_lock_that_does_not_fit_the_configuration_is_an_error(tmp_path):
    lock = tmp_path / "lock.yaml"
    lock.write_text(f"datasets/allenai/ai2_arc: '{FIRST}'\n")
    asked = ARC.model_copy(update={"revision": SECOND})
    with pytest.raises(InputError, match=f"the commit is {FIRST}, but the configuration asks for {SECOND}; remove"):
        check_commits([asked], lock, tmp_path / "hub")
    lock.write_text(f"dataset/ai2_arc: '{FIRST}'\n")
    with pytest.raises(InputError, match="found 'dataset/ai2_arc', but a line must name a repository"):
        check_commits([ARC], lock, tmp_path / "hub")


def test_a_data_set_that_was_not_fetched_is_named(tmp_path):
    with pytest.raises(InputError, match="the dataset allenai/ai2_arc has not been fetched"):
        snapshot_of(tmp_path, "allenai/ai2_arc")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.GatedRepoError, "is gated: accept its terms"),
        (errors.RepositoryNotFoundError, "is not at the hub"),
        (errors.RevisionNotFoundError, "no such commit any more"),
        (errors.OfflineModeIsEnabled, "cannot be fetched from the hub"),
        (ConnectionResetError, "cannot be fetched from the hub"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(error, sentence, tmp_path):
    def refuse(*_, **__):
        raise error.__new__(error)

    with pytest.raises(InputError, match=f"^the dataset allenai/ai2_arc .*{sentence.split(' ', 1)[1]}"):
        newest_commit(ARC, SimpleNamespace(repo_info=refuse))
    with pytest.raises(InputError, match=sentence):
        fetch_snapshot(ARC, FIRST, tmp_path / ARC.folder, download=refuse)
    assert not (tmp_path / ARC.folder).exists()
