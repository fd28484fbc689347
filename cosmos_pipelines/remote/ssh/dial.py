"""The socket to the first host of an SSH connection, over the network or a ProxyCommand."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from typing import Any, Final

from cosmos_pipelines.errors import Refused, Unreachable
from cosmos_pipelines.remote.ssh.config import Hop, Target

FIRST: Final = 1024
"""Bytes of a server's first words that are kept."""


class LastData:
    """A socket that records when data came last (`time.monotonic`), and the first data."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._first = b""
        self.at = time.monotonic()
        self.ended = False
        """Whether the other side hung up."""

    def recv(self, size: int) -> bytes:
        try:
            data: bytes = self._sock.recv(size)
        except ConnectionError:
            self.ended = True
            raise
        self.at = time.monotonic()
        self.ended = not data
        if len(self._first) < FIRST:
            self._first += data
        return data

    def words(self) -> str | None:
        """Return what the server said instead of its banner; None if the banner came."""
        lines = self._first.decode(errors="replace").splitlines()
        if any(line.startswith("SSH-") for line in lines):
            return None
        return " ".join(" ".join(lines).split())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def dial(hop: Hop, target: Target) -> socket.socket:
    """Return a connected socket to the first hop.

    Raises:
        Unreachable: no such name, no route, no answer.
        Refused: nothing listens on the port.
    """
    if hop.proxy_command is not None:
        return _over_command(hop.proxy_command)
    try:
        sock = socket.create_connection((hop.address, hop.port), timeout=target.connect_timeout_s)
    except socket.gaierror:
        raise Unreachable(
            hop.name,
            f"There is no host {hop.address}.",
            hint="Check `host` in cosmos.toml, and HostName in your SSH configuration.",
        ) from None
    except TimeoutError:
        raise Unreachable(
            hop.name,
            f"{hop} did not answer within {target.connect_timeout_s:g} s.",
            hint=f"Is the host switched on, and is a firewall in between? {by_hand(hop)}",
        ) from None
    except ConnectionRefusedError:
        raise Refused(
            hop.name,
            f"{hop} answers, but nothing listens on its port {hop.port}.",
            hint=f"Does sshd run on the host, and on this port? {by_hand(hop)}",
        ) from None
    except OSError as e:
        raise Unreachable(
            hop.name,
            f"{hop} cannot be reached: {e.strerror or e}.",
            hint=f"Is the host switched on, and are you in its network? {by_hand(hop)}",
        ) from None
    _tune(sock, target.lost_after_s)
    return sock


def _tune(sock: socket.socket, lost_after_s: float) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms for each small file
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_USER_TIMEOUT", int(lost_after_s * 1000)),  # for data that is not acknowledged
        ("TCP_KEEPIDLE", max(int(lost_after_s / 3), 1)),
        ("TCP_KEEPINTVL", max(int(lost_after_s / 3), 1)),
    ):
        if number := getattr(socket, option, None):  # not every system has every option
            sock.setsockopt(socket.IPPROTO_TCP, number, value)


def _over_command(command: str) -> socket.socket:
    """Return a socket to a ProxyCommand; the command ends when the socket is closed."""
    local, remote = socket.socketpair()
    with remote:
        end = remote.fileno()
        child = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"], stdin=end, stdout=end, stderr=subprocess.DEVNULL
        )
    threading.Thread(target=child.wait, name="ssh-proxy", daemon=True).start()
    return local


def by_hand(hop: Hop) -> str:
    """Return what the user can try by hand."""
    return f"Try `ssh -v {hop.name}`."
