"""Runs that failed because their host was away for too long, and whose host answers again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cosmos_pipelines.catalog.records import Run, utc_now
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.ids import attempt_of_order
from cosmos_pipelines.runs.known_places import known_places
from cosmos_pipelines.settings import Settings

KEPT_DAYS: Final = 3
"""Days after its failure for which a run is gone back to without being asked."""
ORDERED_DAYS: Final = 30
"""Days after its entry into the catalog for which that is done, so that a look reads few rows."""
MOST: Final = 3
"""Times that an order is gone back to."""


def was_given_up(run: Run) -> bool:
    """Whether a run failed since its host was away, and its order may be gone back to.

    Also one that a user wanted to stop then: if its order goes on all the same, the run says so.
    """
    return (
        run.status == "failed"
        and run.error_kind == "unreachable"
        and run.started_at is not None
        and run.batch_id is not None
        and run.attempt - attempt_of_order(run.batch_id) < MOST
    )


def may_be_gone_back_to(run: Run, settings: Settings, now: datetime) -> bool:
    """Whether a run was given up lately, and is gone back to as soon as its host answers."""
    place = settings.places.get(run.backend)
    return (
        was_given_up(run)
        and place is not None
        and place.address is not None
        and run.completed_at is not None
        and run.completed_at >= now - timedelta(days=KEPT_DAYS)
        and run.created_at >= now - timedelta(days=ORDERED_DAYS)
    )


def end_dependents(catalog: Catalog, settings: Settings) -> list[Run]:
    """Fail what waits for a run that ended without a result, and is not gone back to; return it."""
    now = utc_now()
    return catalog.end_dependents(lambda parent: may_be_gone_back_to(parent, settings, now))


def given_up_runs(catalog: Catalog, settings: Settings, now: datetime | None = None) -> list[Run]:
    """Runs that were given up lately, at hosts that have answered since. No host is asked."""
    hosts = [name for name, place in settings.places.items() if place.address is not None]
    if not hosts:
        return []
    now = now or utc_now()
    since, entered = now - timedelta(days=KEPT_DAYS), now - timedelta(days=ORDERED_DAYS)
    runs = [run for run in catalog.unreachable_runs(hosts, since, entered) if was_given_up(run)]
    known = known_places(settings, now) if runs else {}
    return [
        run
        for run in runs
        if (state := known[run.backend]).up
        and state.looked_at is not None
        and run.completed_at is not None
        and state.looked_at > run.completed_at
    ]
