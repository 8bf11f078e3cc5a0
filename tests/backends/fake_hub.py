"""A model hub on this machine: the part of its HTTP API that a download uses."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# The smallest content that is a complete model by its file names.
MODEL_FILES = {
    "config.json": b"{}",
    "model.bin": b"weights" * 300_000,
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "vocabulary.json": b"[]",
    "README.md": b"nobody asked for this",
}


@dataclass
class FakeHub:
    """What the hub holds, and what it was asked.

    Attributes:
        repos: Repository id to its files.
        broken: Names of files whose download breaks off with status 500.
        delay_s: How long ``model.bin`` takes to begin.
        requests: ``METHOD path`` of each request, in order of arrival.
    """

    repos: Mapping[str, Mapping[str, bytes]]
    broken: frozenset[str] = frozenset()
    delay_s: float = 0.0
    requests: list[str] = field(default_factory=list)
    endpoint: str = ""


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve ``hub`` on a free port of this machine; sets its ``endpoint``."""

    class Handler(_Handler):
        contents = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    contents: FakeHub

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the test looks at ``requests``."""

    def _answer(self) -> None:
        self.contents.requests.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0].strip("/")
        is_api = path.startswith("api/models/")
        path = path.removeprefix("api/models/")
        repo = next((name for name in self.contents.repos if path.startswith(name)), None)
        if repo is None:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        files = self.contents.repos[repo]
        rest = path.removeprefix(repo).strip("/").split("/")
        if is_api and rest[0] == "tree":
            return self._send_json(
                [
                    {"type": "file", "path": n, "size": len(c), "oid": _oid(c)}
                    for n, c in files.items()
                ]
            )
        if is_api:
            siblings = [{"rfilename": name} for name in files]
            return self._send_json({"id": repo, "sha": COMMIT, "siblings": siblings})
        name = rest[-1]
        if name in self.contents.broken and self.command == "GET":
            return self._send(500, b"", {})
        if name == "model.bin" and self.command == "GET":
            time.sleep(self.contents.delay_s)
        return self._send(200, files[name], {"ETag": f'"{_oid(files[name])}"'})

    def _send_json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
