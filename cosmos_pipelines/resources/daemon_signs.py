"""Whether Dagster's daemon lives: without it no queued run is started."""

from __future__ import annotations

import time
from typing import Final

from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings

SILENT_S: Final = 90.0
"""Seconds; the daemon gives a sign every 30 (DEFAULT_HEARTBEAT_INTERVAL_SECONDS of Dagster)."""


def daemon_is_alive(settings: Settings) -> bool:
    """Whether the part of the daemon that starts queued runs gave a sign not long ago.

    Raises:
        CosmosError: Dagster's records cannot be read.
    """
    if not (settings.dagster_dir / "dagster.yaml").exists():
        return False
    with open_instance(settings) as instance:
        sign = instance.get_daemon_heartbeats().get("SENSOR")
    return sign is not None and time.time() - sign.timestamp < SILENT_S
