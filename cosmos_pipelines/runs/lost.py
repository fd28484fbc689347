"""Runs in work whose process is gone."""

from __future__ import annotations

from cosmos_pipelines.backends.owner import owner_holds
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog


def lost_runs(catalog: Catalog) -> list[Run]:
    """Runs in work whose process has died or let its lease run out."""
    return [run for run in catalog.active_runs() if looks_lost(run)]


def is_lost(catalog: Catalog, run: Run) -> bool:
    """Whether a run is in work and its process gone.

    A row that looks so is read again: its process may have ended the run since `run` was read.
    """
    return looks_lost(run) and (now := catalog.find_run(run.id)) is not None and looks_lost(now)


def looks_lost(run: Run) -> bool:
    """Whether a row that was just read says that the run is in work, and its process is gone."""
    return run.status in ACTIVE and not owner_holds(run.leased_by, run.leased_until)
