"""Check whether the files of a manifest exist and have the right content. Standard library only.

Fast: each file exists with its known size, or the size recorded at the download, or any size.
Deep: the content has the published MD5, or else the hash that the hub gave at the download.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from checkpoints_manifest import RECORD, Entry, Place

BLOCK = 4 << 20
SAY_S = 2.0
"""Seconds between two lines of progress."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Item:
    """One file of an entry."""

    entry: Entry
    place: Place
    path: str
    """Path in the repository; the entry's pattern if the files of the pattern are not known."""
    file: Path | None

    @property
    def name(self) -> str:
        """The file's name in messages; files of the cache have a mark."""
        mark = "" if self.place.target == "checkpoints" else "huggingface: "
        return f"{mark}{self.entry.repo}/{self.path}"


@dataclass(frozen=True)
class Found:
    """The result of the check or download of one file."""

    path: str
    state: str
    """ok or unverifiable; missing, wrong_size, wrong_hash, unreadable, failed or no_room."""
    what: str = ""
    size: int = 0

    @property
    def well(self) -> bool:
        """Whether no problem of the file is known."""
        return self.state in ("ok", "unverifiable")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Meter:
    """Writes the progress, `[12/31] 45 % what`, every other second and at the end."""

    def __init__(self, files: int, total: int, say: Say, every_s: float = SAY_S) -> None:
        self._files, self._total, self._say, self._every_s = files, total, say, every_s
        self._done = self._bytes = 0
        self._lock = Lock()
        self._started = self._written = time.monotonic()

    def add(self, size: int, name: str) -> None:
        """Count `size` more bytes."""
        with self._lock:
            self._bytes += size
            if time.monotonic() - self._written >= self._every_s:
                self._write(name)

    def finish(self, name: str) -> None:
        """Count one more complete file."""
        with self._lock:
            self._done += 1
            now = time.monotonic()
            if self._done == self._files or now - self._written >= self._every_s:
                self._write(name)

    def _write(self, name: str) -> None:
        self._written = time.monotonic()
        share = 100 * min(self._bytes, self._total) // self._total if self._total else 100
        rate = self._bytes / max(self._written - self._started, 0.001)
        amount = f"{gigabytes(self._bytes)} of {gigabytes(self._total)} GB, {rate / 1e6:.0f} MB/s"
        self._say(f"[{self._done}/{self._files}] {share} % {amount}: {name}")


def gigabytes(size: int) -> str:
    """Return a size in bytes as a number of GB, for messages."""
    return f"{size / 1e9:.1f}"


def items_of(entries: Iterable[Entry], places: dict[str, Place]) -> list[Item]:
    """Return each file once; a file with an entry of its own is not taken from a pattern too."""
    found: dict[object, Item] = {}
    for entry in sorted(entries, key=lambda e: e.several):
        place = places[entry.target]
        base = place.base(entry)
        for path in _paths(entry, place, base):
            file = base / path if base is not None and "*" not in path else None
            found.setdefault(
                file or (entry.target, entry.repo, path), Item(entry, place, path, file)
            )
    return list(found.values())


def _paths(entry: Entry, place: Place, base: Path | None) -> list[str]:
    if not entry.several:
        return [entry.path]
    known = place.listed(entry)
    if known is None:
        known = _files_below(base) if base is not None else []
    return [path for path in known if entry.has(path)] or [entry.path]


def _files_below(base: Path) -> list[str]:
    found = []
    for directory, _, names in os.walk(base):
        here = Path(directory).relative_to(base)
        found += [(here / name).as_posix() for name in names if not name.endswith(".part")]
    return sorted(name for name in found if name != RECORD)


def verify(items: Sequence[Item], *, deep: bool, threads: int, say: Say) -> list[Found]:
    """Check each file; write each problem to the log at once."""
    results = [_check(item) for item in items]
    if deep:
        results = _hash_all(items, results, threads, say)
    else:
        _log_problems(results, say)
    return results


def _log_problems(results: Iterable[Found], say: Say) -> None:
    for found in results:
        if not found.well:
            say(f"PROBLEM {found.path}: {found.what}")


def _check(item: Item) -> Found:
    try:
        size = item.file.stat().st_size if item.file and item.file.is_file() else None
    except OSError as e:
        return Found(item.name, "unreadable", f"size cannot be read: {e.strerror}")
    if size is None:
        gated = "; gated: accept its licence on the hub's page, and give a token"
        return Found(item.name, "missing", f"missing{gated if item.entry.gated else ''}")
    assert item.file is not None
    wanted = item.entry.size if not item.entry.several else None
    wanted = wanted or item.place.known(item.file).get("size")
    if size == 0 and wanted != 0:
        return Found(item.name, "wrong_size", "is empty")
    if wanted is not None and size != wanted:
        return Found(item.name, "wrong_size", f"has {size} bytes instead of {wanted}", size)
    return Found(item.name, "ok", size=size)


def _hash_all(
    items: Sequence[Item], results: Sequence[Found], threads: int, say: Say
) -> list[Found]:
    to_hash = [f.size for i, f in zip(items, results, strict=True) if f.well and expected_hash(i)]
    meter = Meter(len(to_hash), sum(to_hash), say)

    def check(pair: tuple[Item, Found]) -> Found:
        item, found = pair
        if found.well:
            found = _compare(item, found, meter)
        _log_problems([found], say)
        return found

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(check, zip(items, results, strict=True)))


def expected_hash(item: Item) -> tuple[str, str] | None:
    """Return kind and value of the file's expected hash; None if no hash is known."""
    if item.entry.md5 and not item.entry.several:
        return "md5", item.entry.md5
    known = item.place.known(item.file) if item.file else {}
    for kind in ("sha256", "git"):
        if known.get(kind):
            return kind, str(known[kind])
    return None


def _compare(item: Item, found: Found, meter: Meter) -> Found:
    expected = expected_hash(item)
    if expected is None or item.file is None:
        what = "no hash of this file is known" if expected is None else "missing"
        return Found(item.name, "unverifiable", what, found.size)
    kind, value = expected
    digest = new_hash(kind, found.size)
    try:
        for block in blocks(item.file):
            digest.update(block)
            meter.add(len(block), item.name)
    except OSError as e:
        return Found(item.name, "unreadable", f"cannot be read: {e.strerror}", found.size)
    meter.finish(item.name)
    if digest.hexdigest() != value:
        what = f"its {kind} is {digest.hexdigest()} instead of {value}"
        return Found(item.name, "wrong_hash", what, found.size)
    return Found(item.name, "ok", size=found.size)


def new_hash(kind: str, size: int) -> Any:
    """Return a hash object for a file's bytes; `git` is the hash of a git blob of this size."""
    if kind == "git":
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return hashlib.new(kind, usedforsecurity=False)


def blocks(file: Path) -> Iterator[memoryview]:
    """Yield a file's content in blocks; a block is valid until the next block is read."""
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    with file.open("rb", buffering=0) as f:
        while count := f.readinto(buffer):
            yield view[:count]
