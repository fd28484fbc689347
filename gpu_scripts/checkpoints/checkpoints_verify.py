"""Are the files of a manifest there, and are they what they should be? Standard library only.

Fast: each exists with its known size, or the size recorded when it was downloaded, or any at all.
Deep: its content has the published MD5, or else the hash that the hub told when it was downloaded.
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
    """One file that an entry asks for."""

    entry: Entry
    place: Place
    path: str
    """In its repository; the entry's pattern if nothing is known of what it stands for."""
    file: Path | None

    @property
    def name(self) -> str:
        """As people are told: the same in both places but for a mark."""
        mark = "" if self.place.target == "checkpoints" else "huggingface: "
        return f"{mark}{self.entry.repo}/{self.path}"


@dataclass(frozen=True)
class Found:
    """What was found of one file."""

    path: str
    state: str
    """ok or unverifiable; missing, wrong_size, wrong_hash, unreadable, failed or no_room."""
    what: str = ""
    size: int = 0

    @property
    def well(self) -> bool:
        """Whether nothing is known to be wrong."""
        return self.state in ("ok", "unverifiable")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Meter:
    """Tells how far the work is: `[12/31] 45 % what`, every other second and at the end."""

    def __init__(self, files: int, total: int, say: Say, every_s: float = SAY_S) -> None:
        self._files, self._total, self._say, self._every_s = files, total, say, every_s
        self._done = self._bytes = 0
        self._lock = Lock()
        self._started = self._said = time.monotonic()

    def add(self, size: int, name: str) -> None:
        """So many bytes more."""
        with self._lock:
            self._bytes += size
            if time.monotonic() - self._said >= self._every_s:
                self._tell(name)

    def finish(self, name: str) -> None:
        """One file more is done."""
        with self._lock:
            self._done += 1
            now = time.monotonic()
            if self._done == self._files or now - self._said >= self._every_s:
                self._tell(name)

    def _tell(self, name: str) -> None:
        self._said = time.monotonic()
        share = 100 * min(self._bytes, self._total) // self._total if self._total else 100
        rate = self._bytes / max(self._said - self._started, 0.001)
        amount = f"{gigabytes(self._bytes)} of {gigabytes(self._total)} GB, {rate / 1e6:.0f} MB/s"
        self._say(f"[{self._done}/{self._files}] {share} % {amount}: {name}")


def gigabytes(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / 1e9:.1f}"


def items_of(entries: Iterable[Entry], places: dict[str, Place]) -> list[Item]:
    """Each file once; a file that is named by itself is not one of a pattern's."""
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
    """Look at each of them; problems are told as soon as they are found."""
    looked = [_look(item) for item in items]
    if deep:
        looked = _hash_all(items, looked, threads, say)
    else:
        _tell_problems(looked, say)
    return looked


def _tell_problems(looked: Iterable[Found], say: Say) -> None:
    for found in looked:
        if not found.well:
            say(f"PROBLEM {found.path}: {found.what}")


def _look(item: Item) -> Found:
    try:
        size = item.file.stat().st_size if item.file and item.file.is_file() else None
    except OSError as e:
        return Found(item.name, "unreadable", f"cannot be looked at: {e.strerror}")
    if size is None:
        return Found(item.name, "missing", "missing")
    assert item.file is not None
    wanted = item.entry.size if not item.entry.several else None
    wanted = wanted or item.place.known(item.file).get("size")
    if size == 0 and wanted != 0:
        return Found(item.name, "wrong_size", "is empty")
    if wanted is not None and size != wanted:
        return Found(item.name, "wrong_size", f"has {size} bytes instead of {wanted}", size)
    return Found(item.name, "ok", size=size)


def _hash_all(
    items: Sequence[Item], looked: Sequence[Found], threads: int, say: Say
) -> list[Found]:
    to_hash = [f.size for i, f in zip(items, looked, strict=True) if f.well and expected_hash(i)]
    meter = Meter(len(to_hash), sum(to_hash), say)

    def look(pair: tuple[Item, Found]) -> Found:
        item, found = pair
        if found.well:
            found = _compare(item, found, meter)
        _tell_problems([found], say)
        return found

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(look, zip(items, looked, strict=True)))


def expected_hash(item: Item) -> tuple[str, str] | None:
    """Kind and value of the hash that the file should have; None if none is known."""
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
        what = "no hash of it is known" if expected is None else "missing"
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
    """A hash that is fed a file's bytes; `git` is that of a git blob of this size."""
    if kind == "git":
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return hashlib.new(kind, usedforsecurity=False)


def blocks(file: Path) -> Iterator[memoryview]:
    """A file's content in pieces, each valid until the next is asked for."""
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    with file.open("rb", buffering=0) as f:
        while count := f.readinto(buffer):
            yield view[:count]
