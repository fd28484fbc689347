"""A port of this machine whose connections are passed on to another one, each in its own way."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Passing(ABC):
    """Passes connections on to a port of this machine."""

    to_port: int
    listener: socket.socket = field(
        init=False, default_factory=lambda: socket.create_server(("127.0.0.1", 0))
    )

    @property
    def port(self) -> int:
        """The port to connect to."""
        return int(self.listener.getsockname()[1])

    @abstractmethod
    def accept(self, client: socket.socket) -> None:
        """Pass a connection on, in threads."""

    def serve(self) -> None:
        """Serve until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.accept(client)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve during the block."""
        threading.Thread(target=self.serve, daemon=True).start()
        try:
            yield
        finally:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
