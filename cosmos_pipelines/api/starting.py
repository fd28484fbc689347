"""Whether somebody is there who starts what is queued."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cosmos_pipelines.catalog.records import Pause
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.settings import Settings


def why_not_started(settings: Settings, pauses: Sequence[Pause] = ()) -> str | None:
    """Return why no queued run is started now; None if they are. `pauses`: those of the queue."""
    from cosmos_pipelines.resources.daemon_side import ALIVE_S, daemon_side

    if whole := [pause for pause in pauses if pause.scope == "all"]:
        reason = f" ({whole[0].reason})" if whole[0].reason else ""
        return f"The queue is paused by {whole[0].paused_by}{reason}: nothing is started."
    try:
        side = daemon_side(settings)
    except CosmosError as e:
        return f"Whether the daemon runs is not known: {e}"
    if side.beat is None or (datetime.now(UTC) - side.beat).total_seconds() >= ALIVE_S:
        return "Nothing is started until the daemon runs: start `cosmos ui`."
    if side.queue_on is False:
        return "The sensor dispatch_queue is switched off on Dagster's page: it starts nothing."
    return None
