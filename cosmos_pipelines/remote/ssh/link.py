"""One SSH connection over all its hops; it is ended if no data comes for a while.

This file adds to paramiko: no delay of small packets, a time limit for every step, jumps, and a
check that the server is alive. The keepalive of paramiko expects no answer and so notices nothing;
here the server must answer, and any data from the server counts as an answer. Time in which this
process did not run (stopped, starved, a paused machine) is no silence: it has neither asked nor
listened.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.errors import LinkLost, NotAllowed, Unreachable
from cosmos_pipelines.remote.ssh.algorithms import no_agreement, transport_to
from cosmos_pipelines.remote.ssh.config import Hop, Target, route
from cosmos_pipelines.remote.ssh.dial import LastData, by_hand, dial
from cosmos_pipelines.remote.ssh.greeting import TurnedAway, no_ssh
from cosmos_pipelines.remote.ssh.login import check_host_key, log_in, prefer_known_types

if TYPE_CHECKING:
    import paramiko

SESSIONS: Final = 8
"""Most open sessions of one connection; sshd's limit is 10 by default."""
FULL_AFTER_S: Final = 1.0
"""Seconds after which a server that refuses a session has its limit; less may be the moment between
our end of a session and the server's."""
STREAMS: Final = 5
"""Most sessions that may be open for long, so that short calls always find room."""
ASKED: Final = 4
"""How many times a silent server is asked before the connection counts as lost."""
LOOKS: Final = 16
"""How many times this side looks whether data came before the connection counts as lost."""

WINDOW: Final = 32 << 20
"""Bytes on the way to this machine: 1 Gbit/s over 250 ms; paramiko's 2 MiB give 0.07 Gbit/s."""
PACKET: Final = 256 << 10
"""Bytes of one packet to this machine; paramiko's 32 KiB give a fraction of the speed."""

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 2.0
"""Seconds between two attempts to connect to a server that is busy."""


class NoMoreSessions(LinkLost):
    """A server has a lower limit for the sessions of a connection than we supposed."""


class Link:
    """An open connection. Opening raises the same errors as `Connection.run`."""

    def __init__(self, target: Target) -> None:
        self.hops = route(target)
        self.host = target.host
        self.sessions = 0
        self.most = SESSIONS
        """Most sessions that the server lets this connection have, as far as is known; 0: this
        connection gets no more."""
        self.streams = 0
        self._transports: list[paramiko.Transport] = []
        self._first: socket.socket | None = None
        self._target = target
        self._closed = threading.Event()
        self._silent = ""
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
        """The transport to the target."""
        return self._transports[-1]

    @property
    def alive(self) -> bool:
        """Whether the connection can be used, as far as is known."""
        return all(transport.is_active() for transport in self._transports)

    def why(self) -> str:
        """Return why the connection has ended, in a few words; "" if that is not known."""
        from paramiko import SSHException

        if self._silent:
            return self._silent
        for transport in self._transports:
            end = transport.saved_exception
            # Others are of a login or a session that was refused before.
            if type(end) is SSHException or isinstance(end, OSError):
                return " ".join(str(getattr(end, "strerror", None) or end).split())
        return ""

    def session(self, until: float) -> paramiko.Channel:
        """Open a channel; wait until `until` at most while the server has too many open.

        Raises:
            NoMoreSessions: the server refuses one for `FULL_AFTER_S` while others are open here.
            LinkLost: the connection is dead, or the server did not answer in time.
        """
        from paramiko import ChannelException, SSHException

        pause, full_at = 0.05, time.monotonic() + FULL_AFTER_S
        while True:
            left = until - time.monotonic()
            try:
                return self.transport.open_session(WINDOW, PACKET, max(left, 0.1))
            except ChannelException:  # too many sessions of this connection, or of the server
                if self.sessions > 1 and time.monotonic() > full_at:
                    raise NoMoreSessions(
                        self.host, f"{self.host} opens no more sessions (sshd's MaxSessions)."
                    ) from None
                if left <= pause:
                    raise LinkLost(
                        self.host, f"{self.host} opens no more sessions (sshd's MaxSessions)."
                    ) from None
            except (SSHException, EOFError, OSError) as e:
                # The error may belong to another thread: paramiko keeps only one error.
                if not self.alive or left <= pause or "Timeout" in str(e):
                    raise LinkLost(self.host, f"The connection to {self.host} was lost.") from None
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def close(self) -> None:
        """End the connection; its sessions see the end of their streams."""
        self._closed.set()
        for transport in reversed(self._transports):
            with contextlib.suppress(EOFError, OSError):
                transport.close()
        if self._first is not None:
            self._first.close()

    def _add(self, hop: Hop) -> None:
        """Connect to the next hop and log in; a server that is busy is tried again for a while."""
        until, pause = time.monotonic() + self._target.connect_timeout_s, FIRST_PAUSE_S
        while True:
            try:
                transport, key = self._greet(hop)
                break
            except TurnedAway:
                wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - not all processes at once
                if time.monotonic() + wait > until:
                    raise
                time.sleep(wait)
                pause = min(2 * pause, LONGEST_PAUSE_S)
        jump = self.hops[len(self._transports) - 2] if len(self._transports) > 1 else None
        check_host_key(hop, key, jump)
        log_in(transport, hop)

    def _greet(self, hop: Hop) -> tuple[paramiko.Transport, paramiko.PKey]:
        """Connect to the next hop; return the transport and the server's key."""
        import paramiko

        # paramiko logs tracebacks of errors that are raised here anyway, or that pass after a wait.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        if not self._transports:
            connection: Any = dial(hop, self._target)
            self._first = connection
        else:
            connection = self._through(hop)
        self._last_data = LastData(connection)
        transport = transport_to(hop, self._last_data)
        self._transports.append(transport)
        limit = self._target.connect_timeout_s
        transport.banner_timeout = transport.handshake_timeout = limit
        transport.auth_timeout = transport.channel_timeout = limit
        prefer_known_types(transport, hop)
        _quicken(transport)
        try:
            transport.start_client(timeout=limit)
            return transport, transport.get_remote_server_key()
        except paramiko.ssh_exception.IncompatiblePeer:
            raise no_agreement(transport, hop) from None
        except (paramiko.SSHException, EOFError, OSError) as e:
            transport.close()
            self._transports.pop()
            connection.close()
            words, hung_up = self._last_data.words(), self._last_data.ended
            raise no_ssh(hop, words, str(e), by_hand(hop), hung_up=hung_up) from None

    def _through(self, hop: Hop) -> paramiko.Channel:
        """Open a channel to the next hop through the last hop."""
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
                    hint=f"The sshd_config of {last} sets AllowTcpForwarding or PermitOpen.",
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
                hint=by_hand(hop),
            ) from None

    def _ask(self) -> None:
        """Ask a silent server for an answer; ends with the connection."""
        from paramiko import SSHException

        quiet_s = self._target.lost_after_s / ASKED
        while self.transport.is_active():
            left = self._last_data.at + quiet_s - time.monotonic()
            if left > 0:
                self._closed.wait(left)
                continue
            with contextlib.suppress(SSHException, EOFError, OSError):  # `_watch` sees the end
                self.transport.global_request("keepalive@openssh.com", wait=True)
            self._closed.wait(quiet_s / 4)

    def _watch(self) -> None:
        """End the connection when no data has come for too long while this process ran."""
        limit = self._target.lost_after_s
        look_s = limit / LOOKS
        came, silent_s = self._last_data.at, 0.0
        while self.transport.is_active():
            before = time.monotonic()
            self._closed.wait(look_s)
            if self._last_data.at != came:
                came, silent_s = self._last_data.at, 0.0
                continue
            silent_s += min(time.monotonic() - before, 2 * look_s)
            if silent_s >= limit:
                self._silent = f"nothing came for {limit:g} s"
                assert self._first is not None
                with contextlib.suppress(OSError):
                    self._first.shutdown(socket.SHUT_RDWR)  # wakes threads that read or write
                self.close()


def _quicken(transport: paramiko.Transport) -> None:
    """Prefer the fastest cipher; leave the exchange of new keys to the server (after 64 GiB).

    paramiko asks for new keys after 512 MiB, which breaks connections: if the server ends a channel
    before it has read the request, the thread that should read the server's keys answers that end
    first, and waits for the keys for ever (paramiko#822, seen with 5.1.0).
    """
    security = transport.get_security_options()
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: "gcm" not in name))
    transport.packetizer.REKEY_BYTES = 1 << 36
