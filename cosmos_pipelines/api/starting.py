"""Whether somebody is there who starts what is queued."""

from __future__ import annotations

from datetime import UTC, datetime

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.settings import Settings


def why_not_started(settings: Settings) -> str | None:
    """Return why no queued run is started now; None if they are."""
    from cosmos_pipelines.resources.daemon_side import ALIVE_S, daemon_side

    try:
        side = daemon_side(settings)
    except CosmosError as e:
        return f"Whether the daemon runs is not known: {e}"
    if side.beat is None or (datetime.now(UTC) - side.beat).total_seconds() >= ALIVE_S:
        return "Nothing is started until the daemon runs: start `cosmos ui`."
    return (
        "The queue is paused: nothing is started until it is resumed."
        if side.queue_on is False
        else None
    )
