"""The request that the real Docker client sends for an argument vector.

The client parses its arguments (CSV in `--mount`, quotation marks in `--gpus`, ...) and sends JSON
to the Docker daemon's socket. This listener records the JSON and starts no container.
"""

from __future__ import annotations

import json
import shutil
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

ID = "5" * 64


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def address_string(self) -> str:
        return "client"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _send(self, status: int, facts: Any = None) -> None:
        body = b"" if facts is None else json.dumps(facts).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self._send(200)

    do_GET = do_HEAD

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "/containers/create" in self.path:
            self.server.asked.append({"query": self.path.partition("?")[2], **json.loads(body)})
            self._send(201, {"Id": ID, "Warnings": []})
        else:
            self._send(204)


class _Listener(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        super().__init__(str(path), _Answer)


class DockerListener:
    """Answers the Docker client like a daemon that starts each container at once."""

    def __init__(self, listener: _Listener, address: str) -> None:
        self._listener = listener
        self.address = address

    def run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a `docker` command with this listener as the daemon."""
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "DOCKER_HOST": self.address, "HOME": "/"}
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    def asked_by(self, argv: list[str]) -> dict[str, Any]:
        """Return the client's request for a container."""
        done = self.run(argv)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == ID
        return self._listener.asked.pop()


@pytest.fixture(scope="session")
def docker_listener() -> Iterator[DockerListener]:
    """A listener for the session; skips the test if no Docker client is installed."""
    if not shutil.which("docker"):
        pytest.skip("no Docker client (Debian: apt-get install docker.io)")
    with tempfile.TemporaryDirectory(prefix="docker-") as directory:
        path = Path(directory) / "socket"
        listener = _Listener(path)
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield DockerListener(listener, f"unix://{path}")
        listener.shutdown()
        listener.server_close()
