"""Whether somebody is there who starts what is queued."""

from __future__ import annotations

from datetime import UTC, datetime

from cosmos_pipelines.catalog.pauses import ALL
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.settings import Settings


def why_not_started(catalog: Catalog, settings: Settings) -> str | None:
    """Return why no queued run is started now; None if they are."""
    whole = [pause for pause in catalog.list_pauses() if pause.scope == ALL]
    if whole:
        reason = f" ({whole[0].reason})" if whole[0].reason else ""
        return f"The queue is paused by {whole[0].paused_by}{reason}: nothing is started."
    return why_nobody_starts(catalog, settings)


def why_nobody_starts(catalog: Catalog, settings: Settings) -> str | None:
    """Return why nobody works on the queue: no daemon, and no worker; None if somebody does."""
    from cosmos_pipelines.operate.workers import living_workers
    from cosmos_pipelines.resources.daemon_side import ALIVE_S, daemon_side

    if living_workers(catalog):
        return None
    try:
        side = daemon_side(settings)
    except CosmosError as e:
        return f"Whether the daemon runs is not known: {e}"
    if side.beat is None or (datetime.now(UTC) - side.beat).total_seconds() >= ALIVE_S:
        return "Nothing is started until the daemon runs: start `cosmos ui`."
    if side.queue_on is False:
        return "The sensor dispatch_queue is switched off on Dagster's page: it starts nothing."
    return None
