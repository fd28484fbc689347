"""One SSH connection, over all its hops, watched: where nothing comes for a while, it is ended.

What paramiko leaves to its user: no delay of small packets, a bound on every step, jumps, and the
death of a peer. Its keepalive wants no answer and so never notices; here the server is asked for
one, and whatever it sends counts as a sign of life.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Final, cast

from cosmos_pipelines.errors import LinkLost, NotAllowed, Refused, Unreachable
from cosmos_pipelines.remote.ssh.config import Hop, Target, route
from cosmos_pipelines.remote.ssh.login import check_host_key, log_in, prefer_known_types

if TYPE_CHECKING:
    import paramiko

SESSIONS: Final = 8
"""Open sessions on one connection; sshd's own limit is 10 unless set otherwise."""
STREAMS: Final = 5
"""Of these, how many may be open for long, so that short calls always find room."""
ASKED: Final = 4
"""How many times a silent server could answer before its connection is taken for lost."""

WINDOW: Final = 32 << 20
"""Bytes that may be on the way to us: 1 Gbit/s over 250 ms. paramiko's 2 MiB: 0.07 Gbit/s."""
PACKET: Final = 256 << 10
"""Bytes of one packet to us; with paramiko's 32 KiB a download has a fraction of the speed."""


class Link:
    """An open connection. Raises on opening what `Connection.run` says."""

    def __init__(self, target: Target) -> None:
        self.hops = route(target)
        self.host = target.host
        self.sessions = 0
        self.streams = 0
        self._transports: list[paramiko.Transport] = []
        self._first: socket.socket | None = None
        self._target = target
        self._closed = threading.Event()
        try:
            for hop in self.hops:
                self._add(hop)
        except BaseException:
            self.close()
            raise
        for watch in (self._ask, self._watch):
            threading.Thread(target=watch, name=f"ssh-{self.host}", daemon=True).start()

    @property
    def transport(self) -> paramiko.Transport:
        """The transport to the target itself."""
        return self._transports[-1]

    @property
    def alive(self) -> bool:
        """Whether it can be used, as far as one knows."""
        return all(transport.is_active() for transport in self._transports)

    def session(self, until: float) -> paramiko.Channel:
        """A new channel; waits while the server has too many open, at most until `until`.

        Raises:
            LinkLost: the connection is dead, or the server did not answer in time.
        """
        from paramiko import ChannelException, SSHException

        pause = 0.05
        while True:
            left = until - time.monotonic()
            try:
                return self.transport.open_session(WINDOW, PACKET, max(left, 0.1))
            except ChannelException:  # too many sessions: ours, or others' of this server
                if left <= pause:
                    raise LinkLost(
                        self.host, f"{self.host} opens no more sessions (sshd's MaxSessions)."
                    ) from None
            except (SSHException, EOFError, OSError) as e:
                # Another thread's refusal may be told to us: paramiko keeps but one.
                if not self.alive or left <= pause or "Timeout" in str(e):
                    raise LinkLost(self.host, f"The connection to {self.host} was lost.") from None
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def close(self) -> None:
        """End it; what runs over it sees the end of its stream."""
        self._closed.set()
        for transport in reversed(self._transports):
            with contextlib.suppress(EOFError, OSError):
                transport.close()
        if self._first is not None:
            self._first.close()

    def _add(self, hop: Hop) -> None:
        import paramiko

        # It logs tracebacks of what is raised here anyway, and refusals that we wait out.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        if not self._transports:
            way: Any = _dial(hop, self._target)
            self._first = way
        else:
            way = self._through(hop)
        self._heard = _Heard(way)
        transport = paramiko.Transport(cast(Any, self._heard))
        self._transports.append(transport)
        limit = self._target.connect_timeout_s
        transport.banner_timeout = transport.handshake_timeout = limit
        transport.auth_timeout = transport.channel_timeout = limit
        prefer_known_types(transport, hop)
        _quicken(transport)
        try:
            transport.start_client(timeout=limit)
            key = transport.get_remote_server_key()
        except (paramiko.SSHException, EOFError, OSError) as e:
            raise Unreachable(
                hop.name,
                f"{hop} takes connections but does not talk SSH: {e or 'it hung up'}.",
                hint=_by_hand(hop),
            ) from None
        jump = self.hops[len(self._transports) - 2] if len(self._transports) > 1 else None
        check_host_key(hop, key, jump)
        log_in(transport, hop)

    def _through(self, hop: Hop) -> paramiko.Channel:
        """A way to the next hop through the last one."""
        from paramiko import ChannelException, SSHException

        last = self.hops[len(self._transports) - 1]
        try:
            return self._transports[-1].open_channel(
                "direct-tcpip", (hop.address, hop.port), ("127.0.0.1", 0)
            )
        except ChannelException as e:
            if e.code == 1:
                raise NotAllowed(
                    last.name,
                    f"{last} does not let {last.user} jump to {hop}.",
                    hint="Its sshd_config has AllowTcpForwarding or PermitOpen set.",
                ) from None
            raise Unreachable(
                hop.name,
                f"{last} cannot reach {hop}, port {hop.port}.",
                hint=f"Try `ssh {last.name} nc -vz {hop.address} {hop.port}`.",
            ) from None
        except (SSHException, EOFError, OSError):
            raise Unreachable(
                hop.name,
                f"{hop} did not answer through {last} within {self._target.connect_timeout_s:g} s.",
                hint=_by_hand(hop),
            ) from None

    def _ask(self) -> None:
        """Let the server say something when it is silent; ends with the connection."""
        from paramiko import SSHException

        quiet_s = self._target.lost_after_s / ASKED
        while self.transport.is_active():
            left = self._heard.at + quiet_s - time.monotonic()
            if left > 0:
                self._closed.wait(left)
                continue
            with contextlib.suppress(SSHException, EOFError, OSError):  # `_watch` sees the end
                self.transport.global_request("keepalive@openssh.com", wait=True)
            self._closed.wait(quiet_s / 4)

    def _watch(self) -> None:
        """End the connection when nothing has come for too long."""
        while self.transport.is_active():
            left = self._heard.at + self._target.lost_after_s - time.monotonic()
            if left <= 0:
                assert self._first is not None
                with contextlib.suppress(OSError):
                    self._first.shutdown(socket.SHUT_RDWR)  # wakes whoever reads or writes
                self.close()
            self._closed.wait(min(max(left, 0.0), 1.0))


class _Heard:
    """A socket that knows when something came last (`time.monotonic`)."""

    def __init__(self, way: Any) -> None:
        self._way = way
        self.at = time.monotonic()

    def recv(self, size: int) -> bytes:
        data: bytes = self._way.recv(size)
        self.at = time.monotonic()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._way, name)


def _dial(hop: Hop, target: Target) -> socket.socket:
    """A connected socket to the first hop.

    Raises:
        Unreachable: no such name, no route, no answer.
        Refused: nothing listens there.
    """
    if hop.proxy_command is not None:
        return _over_command(hop.proxy_command)
    try:
        way = socket.create_connection((hop.address, hop.port), timeout=target.connect_timeout_s)
    except socket.gaierror:
        raise Unreachable(
            hop.name,
            f"There is no host {hop.address}.",
            hint="Check [remote] host in cosmos.toml, and HostName in your SSH configuration.",
        ) from None
    except TimeoutError:
        raise Unreachable(
            hop.name,
            f"{hop} did not answer within {target.connect_timeout_s:g} s.",
            hint=f"Is it switched on, and is a firewall in between? {_by_hand(hop)}",
        ) from None
    except ConnectionRefusedError:
        raise Refused(
            hop.name,
            f"{hop} is there, but nothing listens on its port {hop.port}.",
            hint=f"Does sshd run there, and on this port? {_by_hand(hop)}",
        ) from None
    except OSError as e:
        raise Unreachable(
            hop.name,
            f"{hop} cannot be reached: {e.strerror or e}.",
            hint=f"Is it switched on, and are you in its network? {_by_hand(hop)}",
        ) from None
    _tune(way, target.lost_after_s)
    return way


def _tune(way: socket.socket, lost_after_s: float) -> None:
    way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms for each small file
    way.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_USER_TIMEOUT", int(lost_after_s * 1000)),  # for what was sent and not acknowledged
        ("TCP_KEEPIDLE", max(int(lost_after_s / 3), 1)),
        ("TCP_KEEPINTVL", max(int(lost_after_s / 3), 1)),
    ):
        if number := getattr(socket, option, None):  # not every system has each
            way.setsockopt(socket.IPPROTO_TCP, number, value)


def _quicken(transport: paramiko.Transport) -> None:
    """Prefer the cipher that is fastest here; leave new keys to the server, which wants them after
    64 GiB. paramiko's own wish for new keys, after 512 MiB, ends connections: what the server says
    before it hears of it (a channel's end) is answered by the thread that should read its keys,
    and waits for them (paramiko#822, seen with 5.1.0).
    """
    security = transport.get_security_options()
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: "gcm" not in name))
    transport.packetizer.REKEY_BYTES = 1 << 36


def _over_command(command: str) -> socket.socket:
    """The standard input and output of a ProxyCommand; it ends when the socket is closed."""
    ours, its = socket.socketpair()
    with its:
        end = its.fileno()
        child = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"], stdin=end, stdout=end, stderr=subprocess.DEVNULL
        )
    threading.Thread(target=child.wait, name="ssh-proxy", daemon=True).start()
    return ours


def _by_hand(hop: Hop) -> str:
    return f"Try `ssh -v {hop.name}`."
