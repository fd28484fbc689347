"""Read the log of a run, also while the log grows."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final

from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError, StateError
from cosmos_pipelines.lines import Lines
from cosmos_pipelines.remote.changes import Changes
from cosmos_pipelines.runs.log import log_file
from cosmos_pipelines.runs.lost import is_lost
from cosmos_pipelines.settings import Settings

ASK_S: Final = 1.0
"""Seconds between two looks at the run in the catalog while its log is followed."""
CHUNK: Final = 1 << 18


def log_lines(
    catalog: Catalog,
    settings: Settings,
    run_id: str,
    *,
    follow: bool = False,
    tail: int | None = None,
) -> Iterator[str]:
    """Yield the lines of a run's log, without their ends; see `log_text`.

    A carriage return ends a line too; a line of more than 64 Ki characters comes in parts.
    """
    return _lines(log_text(catalog, settings, run_id, follow=follow, tail=tail))


def log_text(
    catalog: Catalog,
    settings: Settings,
    run_id: str,
    *,
    follow: bool = False,
    tail: int | None = None,
) -> Generator[str]:
    """Yield the model's log piece by piece, or `cosmos.log` if the model never started.

    `tail`: only so many of the last lines. With `follow`, also what is written later, as it is
    written, until the run has ended or no process executes it any more.

    Raises:
        StateError: the run has no log yet; while following: its process is gone.
    """
    if tail is not None and tail < 0:
        raise InputError(f"tail is a number of lines, so it cannot be {tail}.")
    run = catalog.get_run(run_id)
    path = log_file(settings.outputs, run.id)
    if not follow and (not path.exists() or not path.stat().st_size):
        path = path.with_name("cosmos.log")
        if not path.exists():
            raise StateError(f"Run {run.id} is {run.status} and has no log yet.")
    return _decoded(_followed(catalog, run, path, tail) if follow else _read(path, tail))


def _lines(pieces: Generator[str]) -> Iterator[str]:
    lines = Lines()
    with closing(pieces):
        for piece in pieces:
            yield from lines.add(piece)
    if rest := lines.rest():
        yield rest


def _decoded(chunks: Generator[bytes]) -> Generator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    with closing(chunks):
        for chunk in chunks:
            if piece := decoder.decode(chunk):
                yield piece
    if piece := decoder.decode(b"", final=True):
        yield piece


def _read(path: Path, tail: int | None) -> Generator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(_start(file, tail))
        while chunk := file.read(CHUNK):
            yield chunk


def _followed(catalog: Catalog, run: Run, path: Path, tail: int | None) -> Generator[bytes]:
    with Changes(path.parent) as changes, closing(_growing(path, tail)) as grown:
        asked_at, asked = time.monotonic(), True
        while True:
            # Asked before reading, so that the last bytes are read after the run's end.
            if time.monotonic() - asked_at >= ASK_S:
                run, asked_at, asked = catalog.get_run(run.id), time.monotonic(), True
            while chunk := next(grown):
                yield chunk
            if run.status not in (*ACTIVE, "pending"):
                return
            if asked and is_lost(catalog, run):
                raise StateError(
                    f"The process that executed {run.id} is gone.",
                    hint=f"`cosmos run {run.id}` continues the run.",
                )
            changes.wait()
            asked = False


def _growing(path: Path, tail: int | None) -> Generator[bytes]:
    """Yield what a log has grown by, for ever; b"" where it has not, or is not there yet.

    A run that is tried again has another log of the same name; it is read from its beginning.
    """
    while not path.exists():
        yield b""
    while True:
        with path.open("rb", buffering=0) as file:
            file.seek(_start(file, tail))
            while True:
                while chunk := file.read(CHUNK):
                    yield chunk
                if _is_another(path, file):
                    break
                yield b""
        tail = None


def _is_another(path: Path, file: BinaryIO) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:  # set aside, and the next one is not there yet
        return False


def _start(file: BinaryIO, tail: int | None) -> int:
    """Return where the last `tail` lines of a file begin, reading no more than them."""
    end = file.seek(0, os.SEEK_END)
    if not tail:
        return 0 if tail is None else end
    at, wanted = end, tail
    while at and wanted >= 0:
        begin = max(0, at - CHUNK)
        file.seek(begin)
        block = file.read(at - begin)
        if at == end and not block.endswith(b"\n"):
            wanted -= 1  # the last line has no end
        cut = len(block)
        while wanted >= 0 and (cut := block.rfind(b"\n", 0, cut)) >= 0:
            wanted -= 1
        if wanted < 0:
            return begin + cut + 1
        at = begin
    return at
