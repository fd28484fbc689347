"""Where messages arrive in tests: a real HTTP server and a real SMTP server on this machine."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session


class Webhook:
    """An HTTP server that takes every POST, or refuses each with `status`."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port = int(server.server_address[1])
        self.status = 200
        self.answers = threading.Event()
        """Until it is set, nobody gets an answer; it is set at first."""
        self.answers.set()
        self.paths: list[str] = []
        self.posts: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """The address as Apprise takes it; its path is the secret of a webhook."""
        return f"json://127.0.0.1:{self.port}/hooks/s3cr3t-p4th"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A webhook that remembers what was posted."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.paths.append(self.path)
            if hook.status == 200:
                hook.posts.append(json.loads(body))
            hook.answers.wait(60)
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook = Webhook(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


class Mailbox:
    """A mail server that takes every message."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: object, _session: Session, envelope: Envelope) -> str:
        """Keep a message."""
        content = bytes(envelope.content or b"")
        found = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        return "250 OK"

    @property
    def url(self) -> str:
        """The address as Apprise takes it."""
        return f"mailto://127.0.0.1:{self.port}?from=cosmos@studio.example&to=us@studio.example"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server on this machine."""
    with running_mailbox() as box:
        yield box


@contextmanager
def running_mailbox() -> Iterator[Mailbox]:
    """Yield a mail server that ends with the block; the system chooses its port."""
    box, loop, ready = Mailbox(), asyncio.new_event_loop(), threading.Event()

    def serve() -> None:  # in a thread of its own: the test's may have a loop already
        serving = loop.run_until_complete(loop.create_server(lambda: SMTP(box), "127.0.0.1", 0))
        box.port = serving.sockets[0].getsockname()[1]
        ready.set()
        loop.run_forever()
        serving.close()
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
