"""A small server on localhost that speaks the part of the Hugging Face hub's API by which a repository is fetched."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class HubServer:
    """Serves repositories on `url` until the `with` block ends.

    folder: holds models/owner/name and datasets/owner/name, with the files of each. gated: repositories, as
    owner/name, that want the token. asked: the paths of all requests. What lies there must not change meanwhile.
    """

    def __init__(self, folder: Path, gated: frozenset[str] = frozenset(), token: str = "", port: int = 0):
        self.folder, self.gated, self.token, self.port = folder, gated, token, port
        self.asked: list[str] = []
        self._files: dict[str, dict[str, Path]] = {}
        self._commits: dict[str, str] = {}

    def __enter__(self) -> "HubServer":
        handler = type("Handler", (_Handler,), {"hub": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def files(self, repository: str) -> dict[str, Path]:
        """The files of `models/owner/name` by their paths in the repository."""
        if repository not in self._files:
            home = self.folder / repository
            found = sorted(path for path in home.rglob("*") if path.is_file())
            self._files[repository] = {str(path.relative_to(home)): path for path in found}
        return self._files[repository]

    def commit(self, repository: str) -> str:
        """A hash of the repository's content, in place of its newest commit."""
        if repository not in self._commits:
            lines = [f"{name} {checksum(path)}\n" for name, path in self.files(repository).items()]
            self._commits[repository] = hashlib.sha1("".join(lines).encode()).hexdigest()
        return self._commits[repository]


def checksum(path: Path) -> str:
    """What tells one content of a file from another."""
    return hashlib.sha1(path.read_bytes()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    """`/api/models/owner/name` tells the commit, `/api/models/owner/name/tree/<commit>` the files, and
    `/owner/name/resolve/<commit>/<file>`, for data sets below `/datasets`, is a file."""

    protocol_version = "HTTP/1.1"
    hub: HubServer

    def do_GET(self) -> None:
        self._respond(with_body=True)

    def do_HEAD(self) -> None:
        self._respond(with_body=False)

    def _respond(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.asked.append(path)
        parts = path.split("/")
        if parts[0] == "api":
            repository, rest = "/".join(parts[1:4]), parts[4:]
        else:
            parts = parts if parts[0] == "datasets" else ["models", *parts]
            repository, rest = "/".join(parts[:3]), parts[3:]
        owner_and_name = repository.partition("/")[2]
        if not self.hub.files(repository):
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body)
        if owner_and_name in self.hub.gated and self.headers["Authorization"] != f"Bearer {self.hub.token}":
            return self._send(403, b"", {"X-Error-Code": "GatedRepo"}, with_body)
        if path.startswith("api/"):
            return self._send_json(self._describe(repository, rest), with_body)
        return self._send_file(repository, "/".join(rest[2:]), with_body)

    def _describe(self, repository: str, rest: list[str]) -> object:
        files = self.hub.files(repository)
        if rest[:1] == ["tree"]:
            return [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": checksum(path)}
                for name, path in files.items()
            ]
        siblings = [{"rfilename": name} for name in files]
        return {"id": repository.partition("/")[2], "sha": self.hub.commit(repository), "siblings": siblings}

    def _send_file(self, repository: str, name: str, with_body: bool) -> None:
        path = self.hub.files(repository).get(name)
        if path is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body)
        headers = {"ETag": f'"{checksum(path)}"', "X-Repo-Commit": self.hub.commit(repository)}
        return self._send(200, path.read_bytes(), headers, with_body)

    def _send_json(self, content: object, with_body: bool) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"}, with_body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_) -> None:
        """Keep the output clean."""
