"""Send much data to or from a program on a host, for transfers of files: over the system's OpenSSH
if possible, else over paramiko's connection.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import IO, TYPE_CHECKING, Final

from cosmos_pipelines.errors import LinkLost
from cosmos_pipelines.remote.ssh.config import route
from cosmos_pipelines.remote.ssh.connection import Completed
from cosmos_pipelines.remote.ssh.openssh import OpenSsh, Started
from cosmos_pipelines.remote.ssh.session import MOST, printed_too_much
from cosmos_pipelines.remote.ssh.shell import not_run, too_noisy

if TYPE_CHECKING:
    from cosmos_pipelines.remote.ssh.connection import Connection

CHUNK: Final = 1 << 20
"""Bytes of one read or write."""

STALL_S: Final = 60.0
"""Seconds in which at least one byte must be transferred."""

LOOK_S: Final = 0.005
"""Seconds between two checks of how far ssh has read a file."""

WORTH_ANOTHER_LOGIN: Final = 64 << 20
"""Bytes from which on it pays to open a second connection (0.3 s)."""


def feed(
    connection: Connection,
    argv: Sequence[str],
    parts: Iterable[bytes],
    *,
    amount: int,
    end_s: float = STALL_S,
) -> Completed:
    """Run a program that reads `amount` bytes and prints little.

    The program has `end_s` seconds after the last byte. A program that ends before it has read all
    bytes is not an error. Another thread may iterate over `parts`; their errors are raised here.

    Raises:
        LinkLost: the connection broke, or the program took no byte for too long.
        Unreachable, NotAllowed: there is no connection, or the login shell runs no program.
    """
    shared = _faster(connection, amount)
    if shared is None:
        return connection.run(argv, timeout_s=max(STALL_S, end_s), input=parts)
    with shared.start(argv) as started:
        for part in parts:
            if not _write(connection.host, started, part):
                break
        started.close_input()
        output = _answer(connection.host, argv, _read(connection, started, end_s))
        return _ended(connection, started, output)


def pour(
    connection: Connection,
    argv: Sequence[str],
    source: IO[bytes],
    *,
    amount: int,
    moved: Callable[[int], None],
    end_s: float = STALL_S,
) -> Completed:
    """Run a program that reads `amount` bytes of `source` from its position; otherwise as `feed`.

    `source` is unbuffered. `moved` gets the number of bytes since its last call.
    """
    shared = _faster(connection, amount)
    if shared is None:
        parts = _rest_of(source, amount, moved)
        return connection.run(argv, timeout_s=max(STALL_S, end_s), input=parts)
    # ssh itself reads the file, which saves two copies of every byte. This process sees the
    # position of ssh in the file, from before the first byte that ssh reads.
    position, end, moved_at = source.tell(), source.tell() + amount, time.monotonic()
    with shared.start(argv, source) as started:
        while started.wait(LOOK_S)[0] is None:
            now = min(source.tell(), end)
            if now > position:
                moved(now - position)
                position, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > (limit := STALL_S if position < end else end_s):
                raise _stalled(connection.host, limit)
        moved(min(source.tell(), end) - position)
        output = _answer(connection.host, argv, _read(connection, started, STALL_S))
        return _ended(connection, started, output)


def _rest_of(source: IO[bytes], remaining: int, moved: Callable[[int], None]) -> Iterator[bytes]:
    while remaining and (chunk := source.read(min(CHUNK, remaining))):
        yield chunk
        remaining -= len(chunk)
        moved(len(chunk))


def draw(
    connection: Connection, argv: Sequence[str], *, amount: int
) -> Generator[bytes, None, Completed]:
    """Yield the output of a program, about `amount` bytes; the generator's value is its result.

    Raises:
        LinkLost: the connection broke, or no byte came for `STALL_S`.
        Unreachable, NotAllowed: there is no connection.
    """
    shared = _faster(connection, amount)
    if shared is None:
        return (yield from _patient(connection, argv))
    with shared.start(argv) as started:
        started.close_input()
        yield from _read(connection, started, STALL_S)
        return _ended(connection, started, b"")


def _faster(connection: Connection, amount: int) -> OpenSsh | None:
    shared = OpenSsh.of(connection.target)
    worth = shared.open or amount >= WORTH_ANOTHER_LOGIN
    return shared if worth and shared.usable() else None


def _patient(connection: Connection, argv: Sequence[str]) -> Generator[bytes, None, Completed]:
    """Yield the stream of paramiko's connection, without the empty chunks."""
    received_at = time.monotonic()
    with closing(connection.stream(argv)) as stream:
        while True:
            try:
                chunk = next(stream)
            except StopIteration as end:
                ended: Completed = end.value
                return ended
            if chunk:
                received_at = time.monotonic()
                yield chunk
                received_at = time.monotonic()
            elif time.monotonic() - received_at > STALL_S:
                raise _stalled(connection.host, STALL_S)


def _write(host: str, started: Started, part: bytes) -> bool:
    """Write to the program's input; return False if the program does not read any more."""
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


def _read(connection: Connection, started: Started, stall_s: float) -> Generator[bytes]:
    while True:
        if not select.select([started.output], [], [], stall_s)[0]:
            raise _stalled(connection.host, stall_s)
        chunk = os.read(started.output.fileno(), CHUNK)
        if not chunk:
            return
        if own := started.own.own(chunk):
            yield own
        elif started.own.too_noisy():
            raise too_noisy(connection.host, _user(connection))


def _answer(host: str, argv: Sequence[str], chunks: Iterable[bytes]) -> bytes:
    """Return what a program printed that should print little. Raises BackendError if it is much."""
    output = bytearray()
    for chunk in chunks:
        output += chunk
        if len(output) > MOST:
            raise printed_too_much(host, " ".join(argv[:2]))
    return bytes(output)


def _ended(connection: Connection, started: Started, output: bytes) -> Completed:
    host = connection.host
    code, errors = started.wait(STALL_S)
    if code is None:
        raise _stalled(host, STALL_S)
    if code in (255, -9):  # exit codes of ssh itself, for a broken connection or any other error
        message = errors.decode(errors="replace").strip()
        raise LinkLost(host, f"The connection to {host} was lost. {message}".strip())
    if not started.own.begun:
        raise not_run(host, _user(connection), code, started.own.noise + errors)
    return Completed(code, output, errors)


def _user(connection: Connection) -> str:
    return route(connection.target)[-1].user


def _stalled(host: str, stall_s: float) -> LinkLost:
    return LinkLost(host, f"Nothing went to or from {host} for {stall_s:g} s.")
