"""Read the log of a run, also while the log grows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cosmos_pipelines.catalog.records import ACTIVE
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.runs.log import log_file
from cosmos_pipelines.runs.lost import is_lost
from cosmos_pipelines.settings import Settings

LOG_POLL_S = 0.05


def log_lines(
    catalog: Catalog, settings: Settings, run_id: str, *, follow: bool = False
) -> Iterator[str]:
    """Yield the lines of the model's log, or of `cosmos.log` if the model never started.

    With `follow`, also new lines, until the run has ended or no process executes it any more.
    """
    run = catalog.get_run(run_id)
    path = log_file(settings.outputs, run.id)
    if not follow and (not path.exists() or not path.stat().st_size):
        path = path.with_name("cosmos.log")
        if not path.exists():
            raise StateError(f"Run {run.id} is {run.status} and has no log yet.")
    return _lines(catalog, run.id, path, follow)


def _lines(catalog: Catalog, run_id: str, path: Path, follow: bool) -> Iterator[str]:
    position, pending = 0, b""
    while True:
        run = catalog.get_run(run_id) if follow else None
        ended = run is None or run.status not in (*ACTIVE, "pending")
        if path.exists():
            with path.open("rb") as f:
                f.seek(position)
                while chunk := f.read(1 << 16):
                    position += len(chunk)
                    *lines, pending = (pending + chunk).split(b"\n")
                    yield from (line.decode("utf-8", errors="replace") for line in lines)
        if run is None or ended:
            break
        if is_lost(catalog, run):
            raise StateError(
                f"The process that executed {run_id} is gone.",
                hint=f"`cosmos run {run_id}` continues the run.",
            )
        time.sleep(LOG_POLL_S)
    if pending:
        yield pending.decode("utf-8", errors="replace")
