"""Work on files in threads, a few ahead, with the results in the files' order."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from cosmos_pipelines.media.files import hash_of, saying_why_not_read

T = TypeVar("T")

_MOST: Final = 8
_OF_PNG: Final = 4
"""Threads. PNG is decoded fast enough for the encoder by a few."""
_MEMORY: Final = 1 << 30
"""Bytes that pictures may take together while they are worked on."""


def in_order(
    files: Sequence[Path], work: Callable[[bytes, Path], T], hasher: Any = None
) -> Iterator[T]:
    """`work` on each file's bytes, a few ahead in threads, results in order.

    Never more than a handful of frames are held, however long the sequence. `hasher.update` gets
    the SHA-256 digest of each file in turn, if given.
    """

    def one(path: Path) -> tuple[T, bytes]:
        with saying_why_not_read(path):
            data = path.read_bytes()
        return work(data, path), hashlib.sha256(data).digest() if hasher else b""

    return _in_order(files, one, hasher, _OF_PNG)


def paths_in_order(
    files: Sequence[Path], work: Callable[[Path], T], hasher: Any = None, *, each: int
) -> Iterator[T]:
    """As `in_order`, of work that reads the files itself, as far as it needs them.

    `each`: about how many bytes the work on a picture takes; of large ones fewer are worked on.
    For `hasher` a file is read once in this process, however many passes it holds.
    """

    def one(path: Path) -> tuple[T, bytes]:
        return work(path), bytes.fromhex(hash_of(path)) if hasher else b""

    return _in_order(files, one, hasher, min(_MOST, max(2, _MEMORY // each)))


def _in_order(
    files: Sequence[Path], one: Callable[[Path], tuple[T, bytes]], hasher: Any, most: int
) -> Iterator[T]:
    threads = min(most, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="png") as pool:
        for result, digest in _window(pool, one, files, threads + 2):
            if hasher:
                hasher.update(digest)
            yield result


def _window(
    pool: ThreadPoolExecutor, one: Callable[[Path], T], files: Iterable[Path], ahead: int
) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    try:
        for path in files:
            waiting.append(pool.submit(one, path))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
