"""Whether somebody is there who starts what is queued."""

from __future__ import annotations

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.settings import Settings


def why_not_started(settings: Settings) -> str | None:
    """Return why no queued run is started now; None if they are."""
    from cosmos_pipelines.resources.daemon_signs import daemon_is_alive

    try:
        alive = daemon_is_alive(settings)
    except CosmosError as e:
        return f"Whether the daemon runs is not known: {e}"
    return None if alive else "Nothing is started until the daemon runs: start `cosmos ui`."
