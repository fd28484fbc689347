"""Somebody who has been let in to log in, and never does: sshd counts a login (MaxStartups)."""

from __future__ import annotations

import socket
from contextlib import suppress

from tests.support.waiting import until


def stranger(address: str, port: int) -> socket.socket:
    """Connect to sshd as soon as it has room for a login; whoever closes the socket leaves."""
    found: list[socket.socket] = []

    def let_in() -> bool:
        link = socket.create_connection((address, port), timeout=5)
        with suppress(OSError):
            if link.recv(4) == b"SSH-":
                found.append(link)
                return True
        link.close()
        return False

    until(let_in, "room for a login")
    return found[0]
