"""Much into or out of a program on a host: over the system's OpenSSH where that can be, else over
our own connection. What transfers of files stand on.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import IO, TYPE_CHECKING, Final

from cosmos_pipelines.errors import LinkLost
from cosmos_pipelines.remote.ssh.connection import Completed
from cosmos_pipelines.remote.ssh.openssh import OpenSsh, Started

if TYPE_CHECKING:
    from cosmos_pipelines.remote.ssh.connection import Connection

CHUNK: Final = 1 << 20
"""Bytes that are read and written at a time."""

STALL_S: Final = 60.0
"""Seconds in which at least a byte must go through."""

LOOK_S: Final = 0.005
"""Seconds between two looks at how far ssh has read a file."""

WORTH_ANOTHER_LOGIN: Final = 64 << 20
"""Bytes for which a second connection (0.3 s) pays where none is open yet."""


def feed(
    connection: Connection,
    argv: Sequence[str],
    parts: Iterable[bytes],
    *,
    amount: int,
    end_s: float = STALL_S,
) -> Completed:
    """Run a program that reads `amount` bytes and says little; `end_s` seconds from the last one.

    A program that ends before it has read all is no failure. `parts` may be asked for by another
    thread; what they raise is raised here.

    Raises:
        LinkLost: the link broke, or nothing was taken for too long.
        Unreachable, NotAllowed: there is no connection.
    """
    shared = _faster(connection, amount)
    if shared is None:
        return connection.run(argv, timeout_s=max(STALL_S, end_s), input=parts)
    with shared.start(argv) as started:
        for part in parts:
            if not _write(connection.host, started, part):
                break
        started.close_input()
        said = b"".join(_read(connection.host, started, end_s))
        return _ended(connection.host, started, said)


def pour(
    connection: Connection,
    argv: Sequence[str],
    source: IO[bytes],
    *,
    amount: int,
    moved: Callable[[int], None],
    end_s: float = STALL_S,
) -> Completed:
    """Run a program that reads a file from where it stands, `amount` bytes; else as `feed`.

    `source` is unbuffered. `moved` is told how many more bytes are on their way.
    """
    shared = _faster(connection, amount)
    if shared is None:
        parts = _rest_of(source, amount, moved)
        return connection.run(argv, timeout_s=max(STALL_S, end_s), input=parts)
    with shared.start(argv, source) as started:
        # ssh reads the file by itself, which saves two copies of every byte. It shares its place
        # in the file with us.
        at, end, heard = source.tell(), source.tell() + amount, time.monotonic()
        while started.wait(LOOK_S)[0] is None:
            now = min(source.tell(), end)
            if now > at:
                moved(now - at)
                at, heard = now, time.monotonic()
            elif time.monotonic() - heard > (limit := STALL_S if at < end else end_s):
                raise _stalled(connection.host, limit)
        moved(min(source.tell(), end) - at)
        return _ended(connection.host, started, b"".join(_read(connection.host, started, STALL_S)))


def _rest_of(source: IO[bytes], left: int, moved: Callable[[int], None]) -> Iterator[bytes]:
    while left and (chunk := source.read(min(CHUNK, left))):
        yield chunk
        left -= len(chunk)
        moved(len(chunk))


def draw(
    connection: Connection, argv: Sequence[str], *, amount: int
) -> Generator[bytes, None, Completed]:
    """What a program writes, about `amount` bytes; the generator's value is how it ended.

    Raises:
        LinkLost: the link broke, or nothing came for `STALL_S`.
        Unreachable, NotAllowed: there is no connection.
    """
    shared = _faster(connection, amount)
    if shared is None:
        return (yield from _patient(connection, argv))
    with shared.start(argv) as started:
        started.close_input()
        yield from _read(connection.host, started, STALL_S)
        return _ended(connection.host, started, b"")


def _faster(connection: Connection, amount: int) -> OpenSsh | None:
    shared = OpenSsh.of(connection.target)
    worth = shared.open or amount >= WORTH_ANOTHER_LOGIN
    return shared if worth and shared.usable() else None


def _patient(connection: Connection, argv: Sequence[str]) -> Generator[bytes, None, Completed]:
    """The stream of our own connection, without its beats."""
    heard = time.monotonic()
    with closing(connection.stream(argv)) as stream:
        while True:
            try:
                chunk = next(stream)
            except StopIteration as end:
                ended: Completed = end.value
                return ended
            if chunk:
                heard = time.monotonic()
                yield chunk
                heard = time.monotonic()
            elif time.monotonic() - heard > STALL_S:
                raise _stalled(connection.host, STALL_S)


def _write(host: str, started: Started, part: bytes) -> bool:
    """Write to its input; False if it does not read any more."""
    assert started.input is not None
    rest = memoryview(part)
    while rest:
        if not select.select([], [started.input], [], STALL_S)[1]:
            raise _stalled(host, STALL_S)
        try:
            rest = rest[os.write(started.input.fileno(), rest) :]
        except BrokenPipeError:
            return False
    return True


def _read(host: str, started: Started, stall_s: float) -> Generator[bytes]:
    while True:
        if not select.select([started.output], [], [], stall_s)[0]:
            raise _stalled(host, stall_s)
        chunk = os.read(started.output.fileno(), CHUNK)
        if not chunk:
            return
        yield chunk


def _ended(host: str, started: Started, said: bytes) -> Completed:
    code, errors = started.wait(STALL_S)
    if code is None:
        raise _stalled(host, STALL_S)
    if code in (255, -9):  # ssh's own, for a broken connection as for any trouble
        told = errors.decode(errors="replace").strip()
        raise LinkLost(host, f"The connection to {host} was lost. {told}".strip())
    return Completed(code, said, errors)


def _stalled(host: str, stall_s: float) -> LinkLost:
    return LinkLost(host, f"Nothing went to or from {host} for {stall_s:g} s.")
