"""The logs of an order while it is followed.

`logs/run.log` of every run is the model's own output, byte for byte; its size is the offset from
which following goes on after a cut or a crash. `logs/cosmos.log` is what we did about the run.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

from loguru import logger

from cosmos_pipelines.catalog.folders import run_directory
from cosmos_pipelines.files import room_for
from cosmos_pipelines.lines import Lines

OnLine = Callable[[str | None, str], None]
"""Called for each line: the run's id (None where the line is a whole batch's), the text."""

TAIL_BYTES = 64 * 1024
LARGE_BYTES = 1 << 30
"""Bytes of a log above which a warning is given, once: it is kept whole, its size is the offset."""


def log_file(outputs: Path, run_id: str) -> Path:
    """The model's log of a run."""
    return run_directory(outputs, run_id) / "logs" / "run.log"


def set_aside(outputs: Path, run_id: str, attempt: int) -> None:
    """Keep what the model said in an earlier attempt as `run.<attempt>.log`: the next begins anew.

    Its size would count as the offset in the next one's log.
    """
    file = log_file(outputs, run_id)
    kept = file.with_name(f"run.{attempt}.log")
    if attempt and file.is_file() and not kept.exists():
        file.rename(kept)


class RunLog:
    """Open log files of the runs of one order; a context manager."""

    def __init__(self, outputs: Path, run_ids: Sequence[str], on_line: OnLine | None) -> None:
        self._directories = {r: log_file(outputs, r).parent for r in run_ids}
        self._on_line = on_line
        self._subject = run_ids[0] if len(run_ids) == 1 else None
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._lines = Lines()
        self._stack = ExitStack()
        self._files: list[tuple[BinaryIO, int]] = []
        self.offset = 0

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _open(self) -> None:
        key = next(iter(self._directories))
        for directory in self._directories.values():
            with room_for(directory):
                directory.mkdir(parents=True, exist_ok=True)
                file = self._stack.enter_context((directory / "run.log").open("ab"))
            self._files.append((file, file.tell()))
            sink = logger.add(
                directory / "cosmos.log",
                format="{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level} {message}",
                filter=lambda record: record["extra"].get("order") == key,
                level="DEBUG",
                catch=True,
            )
            self._stack.callback(logger.remove, sink)
        if self._on_line is not None:
            tell = self._on_line
            sink = logger.add(
                lambda message: tell(None, message.record["message"]),
                filter=lambda record: record["extra"].get("order") == key,
                level="INFO",
                format="{message}",
                catch=False,
            )
            self._stack.callback(logger.remove, sink)
        self._stack.enter_context(logger.contextualize(order=key))
        self.offset = min(size for _, size in self._files)

    def __exit__(self, *_: object) -> None:
        if self._on_line and (rest := self._lines.rest()):
            self._on_line(self._subject, rest)
        self._stack.close()

    def write(self, chunk: bytes) -> None:
        """Append the model's next bytes to every run's log and pass whole lines on.

        Raises:
            DiskFull: no room for the log.
        """
        for file, had in self._files:
            skip = max(0, had - self.offset)  # a crash may have left one file behind its mates
            if skip < len(chunk):
                with room_for(Path(file.name)):
                    file.write(chunk[skip:])
                    file.flush()
        before, self.offset = self.offset, self.offset + len(chunk)
        if before < LARGE_BYTES <= self.offset:
            logger.warning("The model's log has more than 1 GiB, and grows on both disks.")
        if self._on_line is None:
            return
        for line in self._lines.add(self._decoder.decode(chunk)):
            self._on_line(self._subject, line)

    def tail(self) -> str:
        """The end of the model's log, at most 64 KiB of it."""
        path = Path(self._files[0][0].name)
        with path.open("rb") as f:
            f.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return f.read().decode("utf-8", errors="replace")
