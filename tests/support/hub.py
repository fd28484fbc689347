"""A Hugging Face hub on this machine: real HTTP, the headers of the real hub, small files.

Large files lie on a second server, as at the real hub; this server must never see a token.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.support.waiting import LONG_S

LARGE = 1000
"""Least size in bytes of a large file: it is on the second server, with its SHA-256 as tag."""
COMMIT = "c" * 40


@dataclass
class Asked:
    """A request that the hub received."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class Hub:
    """The hub's content and behaviour."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: dict[str, list[str]] = field(default_factory=dict)
    """Commits by repository; the first is the commit of `main`."""
    gated: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    """Gated repositories whose licence the token's account has accepted."""
    token: str = "hf_the_right_one_123"
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """Path -> numbers of bytes after which the connection breaks, each used once."""
    failures: dict[str, list[int]] = field(default_factory=dict)
    """Path -> statuses of the first answers, each used once."""
    resumes: bool = True
    asked: list[Asked] = field(default_factory=list)
    endpoint: str = ""
    store: str = ""
    goes_on: threading.Event = field(default_factory=threading.Event)
    """Until it is set, no large file comes; it is set at first."""

    def __post_init__(self) -> None:
        self.goes_on.set()

    def add(self, repo: str, files: dict[str, bytes]) -> None:
        """Add files to a repository, by path."""
        self.repos.setdefault(repo, {}).update(files)
        self.commits.setdefault(repo, [COMMIT])

    def downloads(self, part: str) -> list[Asked]:
        """Return the GET requests (without HEAD) whose path has this part."""
        return [asked for asked in self.asked if asked.method == "GET" and part in asked.path]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Write no log."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _note(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.hub.asked.append(Asked(self.command, self.path, self.headers.get("Range"), token))

    def _answer(self) -> None:
        self._note()
        path = unquote(self.path).lstrip("/")
        for part, statuses in self.hub.failures.items():
            if part in path and statuses:
                self._say(statuses.pop(0), {})
                return
        if path.startswith("api/models/"):
            repo, _, revision = path.removeprefix("api/models/").partition("/revision/")
            if self._allowed(repo) and (commit := self._commit(repo, revision)):
                names = [{"rfilename": name} for name in self.hub.repos[repo]]
                body = json.dumps({"sha": commit, "siblings": names}).encode()
                self._say(200, {"Content-Type": "application/json"}, body)
            return
        repo, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        if self._allowed(repo) and (commit := self._commit(repo, revision)):
            self._file(repo, commit, name)

    def _allowed(self, repo: str) -> bool:
        token = self.hub.asked[-1].token
        if repo not in self.hub.repos:
            self._say(404 if token == self.hub.token else 401, {"X-Error-Code": "RepoNotFound"})
            return False
        if token is not None and token != self.hub.token:
            self._say(401, {})
            return False
        if repo in self.hub.gated and token is None:
            self._say(401, {"X-Error-Code": "GatedRepo"})
            return False
        if repo in self.hub.gated and repo not in self.hub.accepted:
            self._say(403, {"X-Error-Code": "GatedRepo"})
            return False
        return True

    def _commit(self, repo: str, revision: str) -> str | None:
        commits = self.hub.commits[repo]
        if revision == "main":
            return commits[0]
        if revision in commits:
            return revision
        self._say(404, {"X-Error-Code": "RevisionNotFound"})
        return None

    def _file(self, repo: str, commit: str, name: str) -> None:
        content = self.hub.repos[repo].get(name)
        if content is None:
            self._say(404, {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": commit}
        if len(content) >= LARGE:
            sha256 = hashlib.sha256(content).hexdigest()
            headers |= {"Location": f"{self.hub.store}/{repo}/{name}", "X-Linked-Etag": sha256}
            headers |= {"X-Linked-Size": str(len(content)), "ETag": '"of the redirect"'}
            self._say(302, headers, b"Found. Redirecting.")
            return
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        self._say(200, headers | {"ETag": f'"{blob}"'}, content)

    def _say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Store(_Handler):
    def _answer(self) -> None:
        self._note()
        assert self.hub.asked[-1].token is None, "the store of large files got a token"
        self.hub.goes_on.wait(LONG_S / 3)  # programs give up after a minute
        path = unquote(self.path).lstrip("/")
        for part, statuses in self.hub.failures.items():
            if part in path and statuses:
                self._say(statuses.pop(0), {})
                return
        repo = next(r for r in self.hub.repos if path.startswith(f"{r}/"))
        name = path.removeprefix(f"{repo}/")
        content = self.hub.repos[repo][name]
        start, status, headers = 0, 200, {}
        if self.hub.resumes and (asked := self.headers.get("Range")):
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cuts = self.hub.cuts.get(name) or []
        if cuts:
            self._cut(status, headers, content[start:], cuts.pop(0))
            return
        self._say(status, headers, content[start:])

    def _cut(self, status: int, headers: dict[str, str], body: bytes, after: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:after])
        self.wfile.flush()
        self.connection.close()


def _within(namespace: Path, make: Callable[[], Any]) -> Any:
    """Call `make` in another network namespace; its sockets stay in that namespace."""

    def work() -> None:
        with namespace.open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(make())

    made: list[Any] = []
    thread = threading.Thread(target=work)  # only this thread changes its namespace
    thread.start()
    thread.join()
    return made[0]


@contextmanager
def serving(address: str = "127.0.0.1", namespace: Path | None = None) -> Iterator[Hub]:
    """Serve a hub and its store of large files, on two ports, also in a network namespace."""
    hub = Hub()
    servers = []
    for kind in (_Handler, _Store):
        handler = type(kind.__name__, (kind,), {"hub": hub})
        make = partial(ThreadingHTTPServer, (address, 0), handler)
        server = _within(namespace, make) if namespace else make()
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
    hub.endpoint, hub.store = (f"http://{address}:{s.server_port}" for s in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
