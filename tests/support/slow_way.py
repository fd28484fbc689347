"""A way to a port of this machine that can be slow, or pass nothing on for a while."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from tests.support.passing import Passing

CHUNK: Final = 16 << 10


@dataclass
class Way(Passing):
    """Passes connections on as fast as it can, slowly, or not now."""

    slow: bool = False
    """Whether it passes on 256 KiB a second at most, in each direction of each connection."""
    open: threading.Event = field(default_factory=threading.Event)
    """Whether it passes on anything; what is not read yet waits, and no end gets an error."""

    def accept(self, client: socket.socket) -> None:
        """See `Passing.accept`."""
        threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self.open.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.to_port))
        except OSError:  # nobody listens
            client.close()
            return
        for ends in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self.open.wait()
                target.sendall(data)
                if self.slow:
                    time.sleep(len(data) / (1 << 18))
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def slow_way(to_port: int) -> Iterator[Way]:
    """Serve a way during the block, which is open and as fast as it can be at first."""
    way = Way(to_port)
    way.open.set()
    with way.serving():
        try:
            yield way
        finally:
            way.open.set()
