"""By what the files of a pass are known again: their names, sizes and times, or what they hold."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from cosmos_pipelines.media.files import hash_of, saying_why_not_read
from cosmos_pipelines.media.sequence import Pass


def fingerprint(found: Pass, root: Path, how: str) -> str:
    """Changes with any source file's name, size or time, and with how the pass is made of them.

    Raises:
        MediaError: a file is gone or may not be read.
    """
    files = [[str(path.relative_to(root)), s.st_size, s.st_mtime_ns] for path, s in _stats(found)]
    text = json.dumps([files, how])
    return hashlib.sha256(text.encode()).hexdigest()


def stamps_of(found: Pass, root: Path) -> tuple[str, ...]:
    """For each file 10 hex digits that change with its name below `root`, its size or its time.

    Raises:
        MediaError: a file is gone or may not be read.
    """
    stamps = []
    for path, s in _stats(found):
        text = f"{path.relative_to(root).as_posix()}\0{s.st_size}\0{s.st_mtime_ns}"
        stamps.append(hashlib.sha256(os.fsencode(text)).hexdigest()[:10])
    return tuple(stamps)


def _stats(found: Pass) -> Iterator[tuple[Path, os.stat_result]]:
    for path in (*found.files, *found.beside):
        with saying_why_not_read(path):
            stat = path.stat()
        yield path, stat


def content_of(found: Pass) -> str:
    """SHA-256 (hex) of what a pass shows, whatever its files are called: of a video its bytes.

    Of pictures: of the SHA-256 of each in turn, as they are hashed while they are encoded, and of
    the labels beside them.

    Raises:
        MediaError: a file is gone or may not be read.
    """
    if found.kind == "video":
        whole = hash_of(found.files[0])
        if found.part is None:
            return whole
        return hashlib.sha256(f"{whole} {found.part[0]} {found.part[1]}".encode()).hexdigest()
    digest = hashlib.sha256()
    for path in found.files:
        digest.update(bytes.fromhex(hash_of(path)))
    return with_labels(digest.hexdigest(), found)


def with_labels(content: str, found: Pass) -> str:
    """SHA-256 (hex) of what pictures show, and of the files that explain them.

    `content`: that of the pictures; it is theirs alone where nothing lies beside them.

    Raises:
        MediaError: a file is gone or may not be read.
    """
    if not found.beside:
        return content
    texts = [content, *(hash_of(path) for path in found.beside)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
