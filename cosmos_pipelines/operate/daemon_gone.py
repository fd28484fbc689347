"""Whether Dagster's daemon is seen to be dead, without Dagster, whose import takes a second."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from cosmos_pipelines.settings import Settings

SILENT_S: Final = 90.0
"""Seconds without a sign of life, which the daemon writes each 30 s."""
RECORDS: Final = ("runs.db", "runs.db-wal")
"""The files in which Dagster keeps it on SQLite."""


def daemon_is_gone(settings: Settings) -> bool:
    """Whether no daemon has ever run here, or none has written a sign of life for `SILENT_S`.

    False where only a look into Dagster's records tells, as on PostgreSQL.
    """
    if not (settings.dagster_dir / "dagster.yaml").exists():
        return True
    written = []
    for name in RECORDS:
        with suppress(OSError):
            written.append((settings.dagster_dir / "history" / name).stat().st_mtime)
    return bool(written) and time.time() - max(written) > SILENT_S
