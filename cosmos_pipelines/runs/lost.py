"""Runs in work whose process is gone."""

from __future__ import annotations

from datetime import UTC, datetime

from cosmos_pipelines.backends.owner import owner_gone
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog


def orphans(catalog: Catalog) -> list[Run]:
    """Runs in work whose process has died or let its lease run out."""
    now = datetime.now(UTC)
    return [
        run
        for run in catalog.active_runs()
        if run.leased_by is None
        or run.leased_until is None
        or run.leased_until < now
        or owner_gone(run.leased_by)
    ]
