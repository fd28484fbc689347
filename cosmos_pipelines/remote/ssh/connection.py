"""Programs and files of another machine, over SSH. Mechanics only.

    with Connection(Target("gpu1")) as gpu1:
        done = gpu1.run(["docker", "ps"], timeout_s=10)
        for chunk in gpu1.stream(["tail", "-f", "run.log"]):
            ...
        with gpu1.sftp() as files:
            files.stat("/data")

A connection is opened when it is first used, shared by any number of threads, and opened anew when
it was lost. A program that was started is never started again by itself: `LinkLost` says that
nobody knows whether it ran.
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
from cosmos_pipelines.remote.ssh.link import SESSIONS, STREAMS, Link
from cosmos_pipelines.remote.ssh.session import Session

if TYPE_CHECKING:
    import paramiko

__all__ = ["BEAT_S", "Completed", "Connection", "Target", "command_line"]

BEAT_S: Final = 1.0
"""`stream` yields at least this often, `b""` in silence."""
PATIENCE_S: Final = 5.0
LINKS: Final = 8
RECENT: Final = 100
"""Commands that are remembered."""

_PLAIN: Final = '"$@"; exit $?'
"""With a shell around it a program that a signal ends has an exit code, 128 + n; without one it has
none, which looks like a lost connection."""
_GUARDED: Final = """\
exec 3<&0
"$@" </dev/null 3<&- & program=$!
{ cat <&3; kill "$program"; } >/dev/null 2>&1 & guard=$!
exec 3<&-
wait "$program"; code=$?
kill "$guard" 2>/dev/null
exit "$code\""""
"""Ends the program when its standard input ends, hence when the channel or the connection does: SSH
leaves a program without a terminal running."""


@dataclass(frozen=True)
class Completed:
    """How a program ended; 128 + n where signal n ended it, 127 where it does not exist."""

    exit_code: int
    stdout: bytes
    stderr: bytes


def command_line(argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """The one line that a remote shell reads as exactly these words; the only place that quotes."""
    assigned = ["env", *(f"{name}={value}" for name, value in env.items())] if env else []
    return shlex.join([*assigned, *argv])


def _short(word: str) -> str:
    """A word as one may show it: scripts and lists of files are long."""
    line = " ".join(word.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


class Connection:
    """A way to one host. `patience_s`: how long to try again when an open connection was lost.

    Every method raises:
        Unreachable: the host cannot be reached (no name, route, power, or time-out); `Refused`: it
            answers, its port is closed. Nothing was done.
        LinkLost: lost while something was going on, which may have happened or still happen.
        NotAllowed: `HostKeyUnknown`, `HostKeyChanged`, `LoginRefused`.
        SettingsError: the SSH configuration cannot be read.
    """

    def __init__(self, target: Target, *, patience_s: float = PATIENCE_S) -> None:
        self.target = target
        self.host = target.host
        self._patience_s = patience_s
        self.recent: deque[str] = deque(maxlen=RECENT)
        """What was last started there, shortened, each with its time (UTC)."""
        self._links: list[Link] = []
        self._reached = False
        self._changed = threading.Condition()
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Connect now, if it is not connected."""
        self._give(self._take(time.monotonic() + self.target.connect_timeout_s, False), False)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        input: bytes | Iterable[bytes] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program to its end. `env` is added to its environment; others see it in `ps` there.

        `timeout_s` bounds the whole, counted anew with each part of `input` that was taken; then
        LinkLost is raised, and the program may go on over there.
        """
        with self._session(time.monotonic() + timeout_s, argv) as session:
            session.start(command_line(["sh", "-c", _PLAIN, "sh", *argv], env))
            out = session.exchange(input, timeout_s)
            return Completed(session.exit_code(), out, bytes(session.stderr))

    def stream(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> Generator[bytes, None, Completed]:
        """What a program writes, as it comes; `b""` about every second of silence.

        The program finds an empty standard input. It is ended when the iterator is closed, and by
        the host when the connection is gone. The generator's value (of `yield from`) is its exit
        code and the last 64 KiB of its standard error.
        """
        until = time.monotonic() + 2 * self.target.connect_timeout_s
        with self._session(until, argv, stream=True) as session:
            session.start(command_line(["sh", "-c", _GUARDED, "sh", *argv], env))
            yield from session.chunks(BEAT_S)
            return Completed(session.exit_code(), b"", bytes(session.stderr[-(64 << 10) :]))

    def close(self) -> None:
        """End it and everything that goes over it. Using it again connects anew."""
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
        """A channel on a link that lives; one that turns out to be dead is left for another."""
        while True:
            link = self._take(until, stream)
            try:
                return link, link.session(until)
            except LinkLost:
                self._give(link, stream)
                if link.alive or time.monotonic() > until:
                    raise
            except BaseException:
                self._give(link, stream)
                raise

    def _take(self, until: float, stream: bool) -> Link:
        while True:
            with self._changed:
                if link := self._with_room(stream):
                    return link
                if not self._one_more(stream):
                    if not self._changed.wait(until - time.monotonic()):
                        raise LinkLost(
                            self.host, f"All sessions of the connection to {self.host} are in use."
                        )
                    continue
            with self._opening:  # one thread opens, the others wait for what it opened
                with self._changed:
                    if link := self._with_room(stream):
                        return link
                    if not self._one_more(stream):
                        continue
                opened = self._open(until)
                with self._changed:
                    self._links.append(opened)
                    self._reached = True
                    self._changed.notify_all()

    def _one_more(self, stream: bool) -> bool:
        """Whether to connect once more: for the first time, or because of many long streams."""
        return not self._links or (stream and len(self._links) < LINKS)

    def _with_room(self, stream: bool) -> Link | None:
        """A link with room for one more session, which is counted; dead ones are dropped."""
        self._links = [link for link in self._links if link.alive]
        for link in self._links:
            if link.sessions < SESSIONS and not (stream and link.streams >= STREAMS):
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
        """A new link; where there was one before, tried again for a while with growing pauses."""
        end = min(until, time.monotonic() + (self._patience_s if self._reached else 0))
        pause = 0.2
        while True:
            try:
                left = max(until - time.monotonic(), 1.0)
                limit = min(self.target.connect_timeout_s, left)
                return Link(replace(self.target, connect_timeout_s=limit))
            except Unreachable:
                wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - not all of us at once
                if time.monotonic() + wait > end:
                    raise
                time.sleep(wait)
                pause = min(pause * 2, 5.0)
