"""The part of the API for a run's logs by offset: pieces, lines by blocks, what is added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from cosmos_pipelines.api.arguments import Id, Record
from cosmos_pipelines.api.project import Project

Offset = Annotated[int, Field(ge=0, le=2**53)]
"""Bytes; a log may have more than a number of four bytes can say."""


class Logs(Project):
    """Look at parts of the logs of runs; `stream_logs` reads a log from its beginning.

    `name`: of a log in `logs_of_run`. Raises UnknownId: the run has no such log, or not yet.
    """

    def logs_of_run(self, run_id: Id) -> Record:
        """Return `files` (name, size, about), `chosen` (the one to begin with), and `growing`.

        `growing`: a process executes the run, or will; the model's log may get more.
        """
        from cosmos_pipelines.catalog.records import ACTIVE
        from cosmos_pipelines.operate.log_ranges import chosen_log, log_files
        from cosmos_pipelines.runs.lost import is_lost

        run = self.catalog.get_run(run_id)
        growing = run.status in (*ACTIVE, "pending") and not is_lost(self.catalog, run)
        return {
            "files": log_files(self.settings, run),
            "chosen": chosen_log(self.settings, run),
            "growing": growing,
        }

    def log_range(self, run_id: Id, name: str, offset: Offset, size: Offset) -> Record:
        """Return `data`: the bytes of a log from `offset`, at most `size` and 1 MiB.

        Besides: `size` of the whole log, and `generation`, which is another for another file of the
        same name (of the next attempt).
        """
        from cosmos_pipelines.operate.log_ranges import log_range

        return log_range(self.log_path(run_id, name), offset, size)

    def log_index(self, run_id: Id, name: str) -> Record:
        """Return where the lines of a log are: `block` (bytes), `starts`, `size`, `generation`.

        `starts`: how many lines have ended before each block. A line ends with LF, CR LF or CR.
        Counted once and kept, so that only what is new is read again.
        """
        from cosmos_pipelines.operate.log_ranges import log_index

        return log_index(self.log_path(run_id, name))

    def log_path(self, run_id: Id, name: str) -> Path:
        """Return where a log is, byte for byte as it was written."""
        from cosmos_pipelines.operate.log_ranges import log_path

        return log_path(self.settings, self.catalog.get_run(run_id), name)

    def log_growth(
        self, run_id: Id, offset: Offset = 0, generation: int | None = None
    ) -> Iterator[bytes]:
        """Yield what the model's log has from `offset` on, as it is written, until the run's end.

        b"" comes ten times a second while nothing is written. It ends too if the log is another one
        than `generation`.
        """
        from cosmos_pipelines.operate.log_ranges import log_growth

        run = self.catalog.get_run(run_id)
        return log_growth(self.catalog, self.settings, run, offset, generation)

    def log_rules(self) -> Record:
        """Return the expressions that tell a line's level and time; see operate/log_rules.py."""
        from cosmos_pipelines.operate.log_rules import log_rules

        return log_rules()
