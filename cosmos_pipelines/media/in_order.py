"""Work on files in threads, a few ahead, with the results in the files' order."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from cosmos_pipelines.media.files import saying_why_not_read

T = TypeVar("T")


def in_order(
    files: Sequence[Path], work: Callable[[bytes, Path], T], hasher: Any = None
) -> Iterator[T]:
    """`work` on each file's bytes, a few ahead in threads, results in order.

    Never more than a handful of frames are held, however long the sequence. `hasher.update` gets
    the SHA-256 digest of each file in turn, if given.
    """
    threads = min(4, os.cpu_count() or 1)

    def one(path: Path) -> tuple[T, bytes]:
        with saying_why_not_read(path):
            data = path.read_bytes()
        return work(data, path), hashlib.sha256(data).digest() if hasher else b""

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
