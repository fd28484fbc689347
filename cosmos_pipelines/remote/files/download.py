"""Download files of a host and verify each by the hash that the host computed: see `transfer`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple, Self

from cosmos_pipelines.errors import BackendError, DiskFull, LinkLost, OutputMissing
from cosmos_pipelines.files import PART, move, room_for, sha256_of
from cosmos_pipelines.files import part_of as own_part_of
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.remote.files import scripts as host_scripts
from cosmos_pipelines.remote.files.meter import Arrived, Meter, Report
from cosmos_pipelines.remote.ssh.connection import Completed, Connection
from cosmos_pipelines.remote.ssh.shell import size_of
from cosmos_pipelines.remote.ssh.streams import CHUNK, draw

NAME_BYTES: Final = 200
"""Bytes of a file's name in its part's name; a file name has at most 255."""
LONGEST_SIZE: Final = 64
"""Bytes of a line that says a size."""
MOST_WORDS: Final = 64 << 10
"""Bytes of file names in one command; Linux accepts 128 KiB in one argument of a shell."""


LOCK_S: Final = 5.0
"""Seconds to wait for another process that downloads the same file."""


class Wanted(NamedTuple):
    """A file of the host, its path on this machine, and the hash that the host computed."""

    remote: str
    """Absolute path; `confine` makes it from a name."""
    local: Path
    sha256: str
    size: int | None = None
    """Bytes, if known: the host must send so many. Large files use a faster connection."""


def get_file(
    connection: Connection,
    remote: str,
    local: Path,
    sha256: str,
    progress: Report | None = None,
    *,
    size: int | None = None,
) -> None:
    """Download one file: see `get_files`."""
    get_files(connection, [Wanted(remote, local, sha256, size)], progress)


def get_files(
    connection: Connection,
    files: Iterable[Wanted],
    progress: Report | None = None,
    *,
    arrived: Arrived | None = None,
) -> None:
    """Download files; each appears whole, on the disk and with its hash, or not at all.

    A file that has the right content already is not downloaded again. A broken download is
    continued from `<name>.<hash>.part`; many files come as one stream.

    Raises:
        OutputMissing: there is no such file, or its size or hash is another.
        DiskFull: no room on this machine, before or while the files come; no half-written file is
            left.
        LinkLost: the connection broke; a second call continues.
    """
    meter = Meter(0, progress, arrived=arrived)
    missing, fresh = [], []
    for file in files:
        if file.local.is_file() and sha256_of(file.local) == file.sha256:
            meter.arrive(file.local.stat().st_size)
        else:
            missing.append(file)
            meter.arrive(part_of(file).stat().st_size if _begun(file) else 0)
    for file in missing:
        with room_for(file.local):
            file.local.parent.mkdir(parents=True, exist_ok=True)
        if _begun(file):
            _get_rest(connection, file, meter)
        else:
            fresh.append(file)
    for group in _groups(fresh):
        _get_group(connection, group, meter)


def part_of(file: Wanted) -> Path:
    """Return the path of the unfinished file: the same in every process."""
    name = os.fsencode(file.local.name)[:NAME_BYTES].decode(errors="ignore")
    return file.local.with_name(f"{name}.{file.sha256[:12]}{PART}")


def _check_room(connection: Connection, file: Wanted, size: int) -> None:
    """Refuse files that do not fit before one byte of them comes: the size is the host's word.

    Raises:
        DiskFull: fewer than `size` bytes are free where `file` is going to lie.
    """
    free = shutil.disk_usage(file.local.parent).free
    if size > free:
        raise DiskFull(
            f"{connection.host} has {_amount(size)} for {file.local.parent}, where {_amount(free)} "
            f"are free: {file.remote} was not downloaded.",
            hint="Free some space here and run the same command again, if that size can be right.",
        )


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 10**8 else f"{size / 1e6:.1f} MB"


def _begun(file: Wanted) -> bool:
    part = part_of(file)
    return part.is_file() and part.stat().st_size > 0


def _groups(files: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    group: list[Wanted] = []
    words = 0
    for file in files:
        words += size_of(file.remote)
        if group and words > MOST_WORDS:
            yield group
            group, words = [], 0
        group.append(file)
    if group:
        yield group


def _get_group(connection: Connection, group: Sequence[Wanted], meter: Meter) -> None:
    """Download whole files in one stream, which begins with their sizes."""
    script = host_scripts.send([file.remote for file in group])
    with _Stream(connection, group, script) as stream:
        sizes = [stream.size(file) for file in group]
        _check_room(connection, group[0], sum(sizes))
        meter.total += sum(sizes)
        for file, size in zip(group, sizes, strict=True):
            with _part(file) as part:
                part.truncate(0)
                found = stream.copy(part, size, hashlib.sha256(), meter)
                _keep(connection, file, part, found)


def _get_rest(connection: Connection, file: Wanted, meter: Meter) -> None:
    """Continue a download; begin again if the local part has other content."""
    with _part(file) as part:
        digest = hashlib.sha256()
        while chunk := part.read(CHUNK):
            digest.update(chunk)
        offset = part.tell()
        script = host_scripts.send_rest(file.remote, offset)
        with _Stream(connection, [file], script) as stream:
            size = stream.size(file)
            _check_room(connection, file, size - offset)
            if offset <= size:
                meter.total += size
                meter.skip(offset)
                found = stream.copy(part, size - offset, digest, meter)
                if found == file.sha256:
                    _keep(connection, file, part, found)
                    return
                meter.total -= size
                meter.skip(-size)
        part.truncate(0)
    _get_group(connection, [file], meter)


class _Stream:
    """A stream from the host: the sizes of files, one a line, then their bytes."""

    def __init__(self, connection: Connection, files: Sequence[Wanted], script: list[str]) -> None:
        self._host, self._files = connection.host, files
        known = sum(file.size or 0 for file in files)
        self._chunks = draw(connection, script, amount=known)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._chunks.close()

    def size(self, file: Wanted) -> int:
        """Read the next file's size in bytes.

        Raises:
            OutputMissing: it is not the size that is known of the file.
        """
        while b"\n" not in self._rest and len(self._rest) <= LONGEST_SIZE:
            self._rest += self._more()
        line, _, self._rest = self._rest.partition(b"\n")
        size = whole(line.decode(errors="replace").strip())
        if size is not None and file.size not in (None, size):
            raise OutputMissing(
                f"{file.remote} on {self._host} is not the expected file: "
                f"it has {size} bytes, not {file.size}."
            )
        if size is None:
            raise BackendError(
                "launch_failed",
                f"{self._host} answered {line[:100]!r} instead of a file's size.",
                hint="Do sh, stat and cat of the host work as usual? `cosmos doctor` looks at it.",
            )
        return size

    def copy(self, target: IO[bytes], size: int, digest: hashlib._Hash, meter: Meter) -> str:
        """Write the next `size` bytes to `target`; return the hash of all bytes so far."""
        while size:
            chunk = memoryview(self._rest or self._more())
            self._rest = bytes(chunk[size:])
            chunk = chunk[:size]
            digest.update(chunk)
            size -= len(chunk)
            meter.add(len(chunk))
            while chunk:  # a disk that becomes full may write only a part of the chunk
                written = target.write(chunk)
                meter.arrive(written)
                chunk = chunk[written:]
        return digest.hexdigest()

    def _more(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration as end:
            ended: Completed = end.value
        lines = ended.stderr.decode(errors="replace").strip().splitlines()
        if ended.exit_code == host_scripts.ABSENT:
            raise OutputMissing(f"On {self._host}: {lines[0] if lines else 'a file is missing'}.")
        if ended.exit_code == 0:
            names = ", ".join(file.remote for file in self._files[:3])
            raise OutputMissing(f"{names} on {self._host} became shorter during the download.")
        reason = lines[-1] if lines else f"exit code {ended.exit_code}"
        raise LinkLost(self._host, f"{self._host} stopped sending: {reason}.")


@contextmanager
def _part(file: Wanted) -> Iterator[IO[bytes]]:
    """Open the file's `.part` for this process alone; remove it if it cannot be continued.

    If another process keeps the `.part` locked for too long, use another name.
    """
    path = part_of(file)
    with ExitStack() as stack:
        try:
            with room_for(path):
                part = stack.enter_context(_locked(path, LOCK_S))
                if part is None:
                    path = own_part_of(file.local)
                    stack.callback(path.unlink, missing_ok=True)
                    part = stack.enter_context(path.open("w+b", buffering=0))
                yield part
        except (DiskFull, OutputMissing):
            path.unlink(missing_ok=True)
            raise


@contextmanager
def _locked(path: Path, within_s: float) -> Iterator[IO[bytes] | None]:
    """Yield the file, open, locked and at its start; None if another process keeps the lock."""
    end = time.monotonic() + within_s
    while True:
        with path.open("a+b", buffering=0) as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    yield None
                    return
                time.sleep(0.05)
                continue
            # The process that had the lock may have renamed the file, which is finished then.
            if path.exists() and path.stat().st_ino == os.fstat(part.fileno()).st_ino:
                part.seek(0)
                yield part
                return


def _keep(connection: Connection, file: Wanted, part: IO[bytes], found: str) -> None:
    path = Path(part.name)
    if found != file.sha256:
        path.unlink()
        raise OutputMissing(
            f"{file.remote} on {connection.host} is not the expected file: "
            f"its SHA-256 is {found}, not {file.sha256}."
        )
    move(path, file.local)
