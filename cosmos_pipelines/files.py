"""Files that are whole under their name, or not there: the one place that writes them.

What is being made lies beside its target under a name of its own (`part_of`), is flushed to the
disk, and then gets the target's name. Whoever opens the target sees one whole content, the older or
the newer, also while several processes write it at once. What a killed process left half-made is
removed by whoever writes that file next, or by `sweep_parts`. Only logs, which grow, are written
elsewhere.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.errors import CosmosError, DiskFull
from cosmos_pipelines.identity import Identity, own_identity

PART: Final = ".part"
CHUNK: Final = 1 << 20

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_NO_FLUSH: Final = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""Of a directory: some network file systems have no such thing."""
_NAME_BYTES: Final = 200
"""Of a target's name in its part's: a file name has at most 255 bytes."""
_MADE: Final = re.compile(
    r"(.*)\.([0-9a-f]{8})-[0-9a-f]{8}\.(\d{1,9})(?:-(\d{1,15}))?\.part(?:-journal)?", re.DOTALL
)
"""`-journal` is SQLite's beside a part that is a database."""
_DAY_S: Final = 24 * 3600
_GRANULE_NS: Final = 2_000_000_000
"""The coarsest clock of a file system (FAT: 2 s; ext4 and NFS: milliseconds)."""
_KNOWN: Final = 4096


class WrongContent(Exception):
    """A file does not have the hash that it should have; nothing was kept of the copy."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(f"{path}: {found}")
        self.found = found


def part_of(target: Path) -> Path:
    """A name beside `target` for what is not whole yet, another one at every call.

    It tells which process makes it: `<name>.<place>-<random>.<process id>-<start>.part`.
    """
    own = own_identity()
    token = f"{_place(own)}-{secrets.token_hex(4)}"
    name = f"{_shortened(target.name)}.{token}.{own.pid}-{own.started}{PART}"
    return target.with_name(name)


def sweep_parts(directory: Path, name: str | None = None) -> None:
    """Remove what processes that are gone left half-made in a directory, of all files or of one.

    Processes of other machines and containers, which may share the directory, and of an earlier
    boot cannot be seen from here: what they made is removed a day after it was last written.
    """
    for path in parts_in(directory, name):
        made = _MADE.fullmatch(path.name)
        if made is not None and _abandoned(path, made):
            with suppress(CosmosError):  # another user's; it is in nobody's way
                remove(path)


def parts_in(directory: Path, name: str | None = None) -> Iterator[Path]:
    """What `part_of` has named in a directory, of all targets or of one."""
    for path in directory.glob(f"*{PART}*"):
        made = _MADE.fullmatch(path.name)
        if made is not None and (name is None or made[1] == _shortened(name)):
            yield path


def _shortened(name: str) -> str:
    return os.fsencode(name)[:_NAME_BYTES].decode(errors="ignore")


def _place(process: Identity) -> str:
    """8 hex digits for the boot and the namespaces of a process; a container has its own."""
    place = f"{process.boot_id or socket.gethostname()}\0{process.space}"
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def _abandoned(path: Path, made: re.Match[str]) -> bool:
    own = own_identity()
    if made[2] == _place(own) and made[4]:
        maker = Identity(int(made[3]), int(made[4]), own.boot_id, own.space)
        return maker.state() == "gone"
    try:
        return time.time() - path.lstat().st_mtime > _DAY_S
    except FileNotFoundError:  # removed meanwhile
        return False


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Tell a full disk, a used-up quota or a file size limit as `DiskFull`, with the path."""
    try:
        yield
    except OSError as e:
        if e.errno not in _NO_ROOM:
            raise
        raise DiskFull(
            f"No room left for {path} ({os.strerror(e.errno)}).",
            hint="Free some space and run the same command again.",
        ) from e


@contextmanager
def saying_why_not_written(path: Path, part: Path | None = None) -> Iterator[None]:
    """Tell in one line why `path` could not be written (PyAV's errors are OSErrors too).

    `part`: what it is called until it is whole; that name is never told.

    Raises:
        DiskFull: see `room_for`.
        CosmosError: it may not be written, or `part` could not be.
        OSError: any other, as one about a file that was read meanwhile.
    """
    try:
        with room_for(path):
            yield
    except FileExistsError:
        raise
    except OSError as e:
        denied = e.errno in _NOT_ALLOWED and _is_about(e, path)
        if not denied and (part is None or str(e.filename) != str(part)):
            raise
        raise CosmosError(f"{path} cannot be written: {e.strerror}.") from e


def _is_about(error: OSError, path: Path) -> bool:
    """Whether an error names `path`, what is above or below it, or nothing."""
    if error.filename is None:
        return True
    named = Path(str(error.filename))
    return path.is_relative_to(named) or named.is_relative_to(path)


@contextmanager
def writing(path: Path, *, new: bool = False, durable: bool = False) -> Iterator[Path]:
    """Yields a name beside `path` to write to; it becomes `path` if the block ends well.

    The content is on the disk before the name appears. After any failure an older `path` is
    untouched and nothing else is left. May be nested, and used by any number of processes and
    threads for the same `path`: the last one wins.

    `new`: an existing `path` is never replaced. `durable`: the name too outlives a power cut, for
    what is recorded elsewhere as being there, and for what the user writes once (see
    `flush_directory`); without it the older file may be back then.

    Raises:
        FileExistsError: `new`, and `path` is there already.
        DiskFull: no room, quota or file size limit reached.
        CosmosError: it cannot be written; says why.
    """
    part = part_of(path)
    sweep_parts(path.parent, path.name)
    try:
        with saying_why_not_written(path, part):
            yield part
            _flush(part)
            if new:
                _name_once(part, path)
            else:
                part.replace(path)
            if durable:
                flush_directory(path.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes, *, new: bool = False, durable: bool = False) -> None:
    """Write a file, whole or not at all; see `writing`."""
    with writing(path, new=new, durable=durable) as part:
        part.write_bytes(content)


def write_text(path: Path, text: str, *, new: bool = False, durable: bool = False) -> None:
    """Write a text file in UTF-8, line ends as they are, whole or not at all; see `writing`."""
    write_bytes(path, text.encode(), new=new, durable=durable)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write `document` as indented UTF-8 JSON, whole or not at all; see `writing`."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def copy_verified(source: Path, target: Path, sha256: str) -> None:
    """Copy a file; `target` appears when all its bytes are on the disk and have this hash.

    Raises:
        WrongContent: the source has another hash.
        OSError: the source cannot be read.
        DiskFull, CosmosError: as `writing`.
    """
    digest = hashlib.sha256()
    with source.open("rb") as given, writing(target) as part:
        with part.open("wb") as made:
            while chunk := given.read(CHUNK):
                digest.update(chunk)
                made.write(chunk)
        if digest.hexdigest() != sha256:
            raise WrongContent(source, digest.hexdigest())


def move(made: Path, target: Path, *, durable: bool = False) -> None:
    """Give a finished file its name on the same disk; its content is flushed before.

    Raises:
        DiskFull, CosmosError: as `writing`.
    """
    with saying_why_not_written(target, made):
        _flush(made)
        made.replace(target)
        if durable:
            flush_directory(target.parent)


def flush_directory(directory: Path) -> None:
    """Have the names in a directory, and its own, on the disk, so that they outlive a power cut.

    Renaming alone does not: the file system writes a changed directory when it likes.
    """
    for place in (directory, directory.parent):
        try:
            _flush(place)
        except PermissionError:  # it may be written and not listed
            continue
        except OSError as e:
            if e.errno not in _NO_FLUSH:
                raise


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _name_once(part: Path, path: Path) -> None:
    """Give a part its name if nobody else has it; a hard link is never made over a file."""
    try:
        path.hardlink_to(part)
    except OSError as e:
        if e.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        part.rename(path)
    part.unlink(missing_ok=True)


def remove(path: Path, *, hint: str | None = None) -> None:
    """Remove a file, a link (not what it points to) or a directory with all below, if it is there.

    Others may be removing the same.

    Raises:
        CosmosError: it cannot be removed; says why. `hint`: what to do then.
    """
    try:
        while path.is_dir() and not path.is_symlink():
            with suppress(FileNotFoundError):  # somebody else was faster; look again
                shutil.rmtree(path)
        path.unlink(missing_ok=True)
    except OSError as e:
        said = f"{e.filename or path} cannot be removed: {e.strerror}."
        raise CosmosError(said, hint=hint) from e


def files_below(directory: Path) -> Iterator[Path]:
    """Yield all files and links below a directory; do not follow links."""
    for place, directories, names in os.walk(directory):
        links = [name for name in directories if Path(place, name).is_symlink()]
        for name in (*names, *links):
            yield Path(place, name)


_hashes: dict[tuple[int, ...], str] = {}


def sha256_of(path: Path, *, remember: bool = False) -> str:
    """SHA-256 (hex) of a file's bytes.

    `remember`: believe what this process has read before, while the file is the same and has the
    same size and times. Of a file that was changed less than 2 s ago nothing is kept: a second
    change might leave its times as they are. Not for verifying, which is to read the disk.

    Raises:
        OSError: the file is missing or may not be read.
    """
    with path.open("rb") as file:
        state = _state(file.fileno())
        if remember and (known := _hashes.get(state)):
            return known
        settled = time.time_ns() - max(state[-2:]) > _GRANULE_NS
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if remember and settled and _state(file.fileno()) == state:
            if len(_hashes) >= _KNOWN:
                _hashes.clear()
            _hashes[state] = found
    return found


def _state(opened: int) -> tuple[int, ...]:
    s = os.fstat(opened)
    return (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
