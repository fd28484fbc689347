"""A way to a server on which every connection breaks after some bytes."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.support.passing import Passing

NO_LINGER = struct.pack("ii", 1, 0)
"""A socket with it is reset when it is closed."""
PAUSE_S = 0.005
"""After each 16 KiB, as on a slow link: both ends have read what came before the reset."""


@dataclass
class ResettingProxy(Passing):
    """Resets each connection after `limit` bytes."""

    limit: int = 0
    """Bytes of both directions."""
    connections: int = 0

    def accept(self, client: socket.socket) -> None:
        """See `Passing.accept`."""
        self.connections += 1
        server = socket.create_connection(("127.0.0.1", self.to_port))
        left = [self.limit]
        for up in (True, False):
            argv = (client, server, left, up)
            threading.Thread(target=self._pass_on, args=argv, daemon=True).start()

    def _pass_on(
        self, client: socket.socket, server: socket.socket, left: list[int], up: bool
    ) -> None:
        source, target = (client, server) if up else (server, client)
        with suppress(OSError):
            while left[0] > 0 and (data := source.recv(16 << 10)):
                left[0] -= len(data)
                target.sendall(data)
                time.sleep(PAUSE_S)
        with suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            client.shutdown(socket.SHUT_RD)  # wakes the other direction
            client.close()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
            server.close()


@contextmanager
def resetting(to_port: int, limit: int) -> Iterator[ResettingProxy]:
    """Serve the way during the block."""
    proxy = ResettingProxy(to_port, limit)
    with proxy.serving():
        yield proxy
