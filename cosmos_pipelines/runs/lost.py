"""Runs in work, and loads, whose process is gone."""

from __future__ import annotations

from cosmos_pipelines.backends.owner import owner_holds, owner_state
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog


def lost_runs(catalog: Catalog) -> list[Run]:
    """Runs in work whose process has died or let its lease run out."""
    return [run for run in catalog.active_runs() if looks_lost(run)]


def end_lost_loads(catalog: Catalog) -> None:
    """End the loads whose claim is over, or whose process is seen to be gone.

    The process tells at once, and also where a clock was set back since the claim.
    """
    catalog.end_dead_loads()
    for load in catalog.open_loads():
        if load.claimed_by is not None and owner_state(load.claimed_by) == "gone":
            catalog.end_load(load.id, "The process that had it has died.")


def is_lost(catalog: Catalog, run: Run) -> bool:
    """Whether a run is in work and its process gone.

    A row that looks so is read again: its process may have ended the run since `run` was read.
    """
    return looks_lost(run) and (now := catalog.find_run(run.id)) is not None and looks_lost(now)


def looks_lost(run: Run) -> bool:
    """Whether a row that was just read says that the run is in work, and its process is gone."""
    return run.status in ACTIVE and not owner_holds(run.leased_by, run.leased_until)


def may_be_taken(catalog: Catalog, run: Run, owner: str) -> bool:
    """Whether no living process but `owner` holds a run; the lease of one that is gone is given up.

    Of a process that cannot be seen from here the catalog tells: its lease must have ended.
    """
    if run.leased_by is None or run.leased_by == owner:
        return True
    state = owner_state(run.leased_by)
    if state == "gone":
        catalog.release(run.id, run.leased_by)
    return state != "alive"
