"""Run programs on another machine over SSH, whatever the login shell there.

    with Connection(Target("gpu1")) as gpu1:
        done = gpu1.run(["docker", "ps"], timeout_s=10)
        for chunk in gpu1.stream(["tail", "-f", "run.log"]):
            ...

A connection opens at its first use, serves any number of threads, and opens again after a loss. A
program is never started twice without the caller: `LinkLost` means that it is not known whether the
program ran.
"""

from __future__ import annotations

import random
import shlex
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from cosmos_pipelines.errors import LinkLost, Unreachable
from cosmos_pipelines.remote.ssh.config import Target
from cosmos_pipelines.remote.ssh.link import STREAMS, Link, NoMoreSessions
from cosmos_pipelines.remote.ssh.session import Session
from cosmos_pipelines.remote.ssh.shell import GUARDED, call

if TYPE_CHECKING:
    import paramiko

__all__ = ["BEAT_S", "Completed", "Connection", "Target"]

BEAT_S: Final = 1.0
"""Seconds: `stream` yields at least this often, `b""` in silence."""
PATIENCE_S: Final = 5.0
LINKS: Final = 8
ROOM_S: Final = 1.0
"""Seconds that a short call waits for room on the links that are open."""
RECENT: Final = 100
"""Number of last commands that are kept."""


@dataclass(frozen=True)
class Completed:
    """The result of a program; exit code 128 + n: ended by signal n, 127: no such program."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    noise: bytes = b""
    """What the login shell printed before the program."""


def _short(word: str) -> str:
    """Return a word shortened for messages: scripts and lists of files are long."""
    line = " ".join(word.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


class Connection:
    """A connection to a host. `patience_s`: seconds to try again after an open connection was lost.

    Every method raises:
        Unreachable: the host cannot be reached (no name, route, power, or time-out); `Refused`: the
            host answers, but its port is closed. Nothing was done.
        LinkLost: the connection was lost during a program, which may have run or may still run.
        NotAllowed: `HostKeyUnknown`, `HostKeyChanged`, `LoginRefused`; `ShellFailed`: the login
            shell has not started the program.
        SettingsError: the SSH configuration cannot be read.
    """

    def __init__(self, target: Target, *, patience_s: float = PATIENCE_S) -> None:
        self.target = target
        self.host = target.host
        self._patience_s = patience_s
        self.recent: deque[str] = deque(maxlen=RECENT)
        """The last commands on the host, shortened, each with its time (UTC)."""
        self._links: list[Link] = []
        self._reached = False
        self._changed = threading.Condition()
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Connect now, unless the connection is open."""
        self._give(self._take(time.monotonic() + self.target.connect_timeout_s, False), False)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        input: bytes | Iterable[bytes] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program to its end. `env` is added to its environment; the host's `ps` shows `env`.

        `timeout_s` limits the whole call, and starts again with each part of `input` that the
        program takes. After that LinkLost is raised, and the program may go on.
        """
        with self._session(time.monotonic() + timeout_s, argv) as session:
            session.start(call(argv, env))
            out = session.exchange(input, timeout_s)
            return Completed(session.exit_code(), out, bytes(session.stderr), session.noise)

    def stream(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> Generator[bytes, None, Completed]:
        """Yield the output of a program as it comes; `b""` about every second of silence.

        The program's standard input is empty. The program is ended when the iterator is closed, and
        by the host when the connection is gone. The generator's value (of `yield from`) is the
        program's exit code and the last 64 KiB of its standard error.
        """
        until = time.monotonic() + 2 * self.target.connect_timeout_s
        with self._session(until, argv, stream=True) as session:
            session.start(call(argv, env, GUARDED))
            yield from session.chunks(BEAT_S)
            code = session.exit_code()
            return Completed(code, b"", bytes(session.stderr[-(64 << 10) :]), session.noise)

    def close(self) -> None:
        """End the connection and all programs that use it. The next use connects again."""
        with self._changed:
            links, self._links = self._links, []
            self._reached = False
            self._changed.notify_all()
        for link in links:
            link.close()

    @contextmanager
    def _session(
        self, until: float, argv: Sequence[str], *, stream: bool = False
    ) -> Iterator[Session]:
        link, channel = self._channel(until, stream)
        self.recent.append(f"{datetime.now(UTC):%H:%M:%S} {shlex.join(map(_short, argv))}")
        session = Session(link, channel, " ".join(argv[:2]))
        try:
            yield session
        finally:
            session.close()
            self._give(link, stream)

    def _channel(self, until: float, stream: bool) -> tuple[Link, paramiko.Channel]:
        """Return a channel on a live link; if a link turns out to be dead, take another."""
        while True:
            link = self._take(until, stream)
            try:
                return link, link.session(until)
            except NoMoreSessions:
                self._give(link, stream)
                link.most = max(1, link.sessions)
            except LinkLost:
                # A session that the server opens too late is nobody's, and counts for its limit.
                link.most = 0
                self._give(link, stream)
                if link.alive or time.monotonic() > until:
                    raise
            except BaseException:
                self._give(link, stream)
                raise

    def _take(self, until: float, stream: bool) -> Link:
        another = stream  # a short call first waits for the end of another one
        while True:
            with self._changed:
                if link := self._with_room(stream):
                    return link
                if not self._one_more(another):
                    left = until - time.monotonic()
                    if left <= 0:
                        raise LinkLost(
                            self.host, f"All sessions of the connection to {self.host} are in use."
                        )
                    another |= not self._changed.wait(min(left, ROOM_S))
                    continue
            with self._opening:  # one thread opens a link, the others wait for it
                with self._changed:
                    if link := self._with_room(stream):
                        return link
                    if not self._one_more(another):
                        continue
                opened = self._open(until)
                with self._changed:
                    self._links.append(opened)
                    self._reached = True
                    self._changed.notify_all()

    def _one_more(self, another: bool) -> bool:
        """Whether to open a link: there is none yet, or another is wanted and allowed."""
        return not self._links or (another and len(self._links) < LINKS)

    def _with_room(self, stream: bool) -> Link | None:
        """Return a link with room for one more session, and count the session.

        Dead links are dropped, and those that are used no more.
        """
        for link in self._links:
            if not (link.most or link.sessions):
                link.close()
        self._links = [link for link in self._links if link.alive]
        for link in self._links:
            if link.sessions < link.most and not (stream and link.streams >= STREAMS):
                link.sessions += 1
                link.streams += stream
                return link
        return None

    def _give(self, link: Link, stream: bool) -> None:
        with self._changed:
            link.sessions -= 1
            link.streams -= stream
            self._changed.notify()

    def _open(self, until: float) -> Link:
        """Open a link; if the host was reached before, try for a while with growing pauses."""
        end = min(until, time.monotonic() + (self._patience_s if self._reached else 0))
        pause = 0.2
        while True:
            try:
                left = max(until - time.monotonic(), 1.0)
                limit = min(self.target.connect_timeout_s, left)
                return Link(replace(self.target, connect_timeout_s=limit))
            except Unreachable:
                wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - not all processes at once
                if time.monotonic() + wait > end:
                    raise
                time.sleep(wait)
                pause = min(pause * 2, 5.0)
