"""Upload files into the host's directory of files named by their hash: see `transfer`."""

from __future__ import annotations

import hashlib
import re
import tarfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from cosmos_pipelines.errors import BackendError, InputError, LinkLost
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.remote.files import scripts as host_scripts
from cosmos_pipelines.remote.files.meter import Arrived, Meter, Report
from cosmos_pipelines.remote.ssh.connection import Completed, Connection
from cosmos_pipelines.remote.ssh.streams import feed, pour

SMALL: Final = 4 << 20
"""Bytes; smaller files share a stream, larger ones are resumed."""

GROUPS: Final = (16 << 20, 64 << 20)
"""Most bytes of the first stream of small files, and of any; each has twice as many as the one
before: on a link that is lost again and again the first one arrives."""

LOOK_S: Final = 60.0
SLOW_DISK: Final = 20e6
"""Lowest expected rate, in bytes a second, at which a host hashes and writes."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FREE: Final = re.compile(rb"\s(\d+)\s+\d+%\s")


class LocalFile(NamedTuple):
    """A file of this machine with its measured hash and size."""

    path: Path
    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Sent:
    """The result of an upload."""

    files: int
    """Number of files that were sent; the host had the others."""
    size: int
    """Bytes sent."""


def put_files(
    connection: Connection,
    files: Iterable[tuple[Path, str, int]],
    cas: str,
    progress: Report | None = None,
    *,
    arrived: Arrived | None = None,
) -> Sent:
    """Upload files (path, sha256, size) into the directory `cas` of the host, under their hash.

    The host is asked once which files it has. The other files are sent, hashed on the host's disk,
    and only then get their name.

    Raises:
        InputError: a file cannot be read, or was changed since it was measured.
        BackendError: `disk_full`, no room on the host, where no half-written file is left;
            `launch_failed`, the directory cannot be written.
        LinkLost: the connection broke; a second call continues.
    """
    wanted = {f.sha256: f for f in (LocalFile(Path(p), s, n) for p, s, n in files)}
    for file in wanted.values():
        _check(file)
    sizes, free = _look(connection, cas, list(wanted))
    missing = [f for f in wanted.values() if sizes.get(f.sha256) != f.size]
    begun = {f.sha256: _offset(f, sizes.get(f"{f.sha256}.part", 0)) for f in missing}
    total = sum(f.size for f in missing)
    room = total - sum(begun.values())
    if room > free:
        raise _full(connection, cas, f"{room} bytes are needed, {free} are free.")
    meter = Meter(total, progress, arrived=arrived)
    meter.arrive(sum(f.size for f in wanted.values()) - room)
    alone = [f for f in missing if f.size >= SMALL or begun[f.sha256]]
    for group in _groups([f for f in missing if f.size < SMALL and not begun[f.sha256]]):
        _send_group(connection, cas, group, meter)
        meter.arrive(sum(f.size for f in group))
    for file in alone:
        _send_large(connection, cas, file, begun[file.sha256], meter)
        meter.arrive(file.size - begun[file.sha256])
    return Sent(len(missing), room)


def _check(file: LocalFile) -> None:
    if not _SHA256.fullmatch(file.sha256):
        raise InputError(f"{file.path} has a wrong SHA-256: {file.sha256!r}.")
    try:
        size = file.path.stat().st_size
    except OSError as e:
        raise InputError(f"{file.path} cannot be read: {e.strerror}.") from e
    if size != file.size:
        raise _changed(file)


def _look(connection: Connection, cas: str, names: Sequence[str]) -> tuple[dict[str, int], int]:
    """Return the sizes of the host's files of these hashes, finished or not, and the free bytes."""
    asked = "".join(f"{name}\n{name}.part\n" for name in names).encode()
    done = connection.run(host_scripts.look(cas), timeout_s=LOOK_S, input=asked)
    if done.exit_code != 0:
        raise _failed(connection, cas, done)
    disk, _, listing = done.stdout.partition(b"\n")
    pairs = (line.rpartition(b" ") for line in listing.splitlines())
    told = {name.decode(errors="replace"): whole(size.decode(errors="replace"))
            for name, _, size in pairs}  # fmt: skip
    sizes = {name: size for name, size in told.items() if size is not None}
    free = _FREE.search(disk + b" ")
    return sizes, int(free[1]) * 1024 if free else 1 << 62


def _offset(file: LocalFile, begun: int) -> int:
    """Return the byte at which an upload continues; the last block is always sent again."""
    if not 0 < begun <= file.size:
        return 0
    return min(begun, file.size - 1) // host_scripts.BLOCK * host_scripts.BLOCK


def _groups(files: Sequence[LocalFile]) -> Iterator[list[LocalFile]]:
    group: list[LocalFile] = []
    most = GROUPS[0]
    for file in files:
        if group and sum(f.size for f in group) + file.size > most:
            yield group
            group, most = [], min(2 * most, GROUPS[1])
        group.append(file)
    if group:
        yield group


def _send_group(connection: Connection, cas: str, group: Sequence[LocalFile], meter: Meter) -> None:
    """Send small files as one tar; send the files that the host received wrong once more."""
    for attempt in (1, 2):
        token = uuid.uuid4().hex
        amount = sum(f.size for f in group)
        script = host_scripts.unpack(cas, token)
        done = feed(connection, script, _tar(group, meter), amount=amount, end_s=_end_s(amount))
        if done.exit_code == 0:
            return
        if done.exit_code != host_scripts.WRONG or attempt == 2:
            raise _failed(connection, cas, done)
        group = [f for f in group if f.sha256.encode() in done.stdout.split()]
        meter.skip(-sum(f.size for f in group))


def _tar(files: Sequence[LocalFile], meter: Meter) -> Iterator[bytes]:
    """Yield a tar of files that are named by their hash.

    Raises:
        InputError: a file was changed since it was measured, or cannot be read.
    """
    for file in files:
        try:
            content = file.path.read_bytes()
        except OSError as e:
            raise InputError(f"{file.path} cannot be read: {e.strerror}.") from e
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise _changed(file)
        member = tarfile.TarInfo(file.sha256)
        member.size = len(content)
        padding = bytes(-len(content) % tarfile.BLOCKSIZE)
        yield member.tobuf() + content + padding
        meter.add(file.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _send_large(
    connection: Connection, cas: str, file: LocalFile, offset: int, meter: Meter
) -> None:
    """Send one file from `offset` on; send all of it if the host's file has another hash."""
    for attempt in (1, 2):
        meter.skip(offset)
        amount = file.size - offset
        script = host_scripts.receive(cas, file.sha256, offset, file.size)
        try:
            with file.path.open("rb", buffering=0) as source:
                source.seek(offset)
                done = pour(connection, script, source, amount=amount, moved=meter.add,
                            end_s=_end_s(file.size))  # fmt: skip
        except OSError as e:
            raise InputError(f"{file.path} cannot be read: {e.strerror}.") from e
        if done.exit_code == 0:
            return
        _check(file)
        if done.exit_code == host_scripts.INCOMPLETE:
            raise LinkLost(
                connection.host, f"{connection.host} received only a part of {file.path}."
            )
        if done.exit_code == host_scripts.WRONG and sha256_of(file.path) != file.sha256:
            raise _changed(file)
        if done.exit_code != host_scripts.WRONG or attempt == 2:
            raise _failed(connection, cas, done)
        meter.skip(-file.size)
        offset = 0


def _end_s(amount: int) -> float:
    """Seconds that the host may take to hash this many bytes and write them to its disk."""
    return LOOK_S + amount / SLOW_DISK


def _failed(connection: Connection, cas: str, done: Completed) -> BackendError:
    message = (done.stderr or done.stdout).decode(errors="replace")
    lines = [line for line in message.splitlines() if line.strip()]
    reason = next((x for x in lines if "No space" in x), lines[0] if lines else "no reason given")
    if re.search("no space left|quota exceeded", message, re.IGNORECASE):
        return _full(connection, cas, reason)
    return BackendError(
        "launch_failed",
        f"Files cannot be kept in {cas} on {connection.host}: {reason}.",
        hint="Run `cosmos doctor`.",
    )


def _full(connection: Connection, cas: str, reason: str) -> BackendError:
    return BackendError(
        "disk_full",
        f"No space left for {cas} on {connection.host}: {reason}",
        hint=f"Free some space on {connection.host} and try again.",
    )


def _changed(file: LocalFile) -> InputError:
    return InputError(
        f"{file.path} was changed since it was measured.",
        hint="Start again with the changed file.",
    )
