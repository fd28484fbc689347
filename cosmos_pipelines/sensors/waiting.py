"""Waiting in a tick until the catalog has something for it, where that holds up no other sensor."""

import time
from collections.abc import Callable
from typing import Final

import dagster as dg

from cosmos_pipelines.catalog.store import Catalog

TICK_S: Final = 4.5
"""How long a tick waits, if there is nothing to ask for."""
LOOK_S: Final = 0.2
"""Between two looks: each reads one number of the catalog."""


def wait_until(
    context: dg.SensorEvaluationContext, catalog: Catalog, there: Callable[[], bool]
) -> bool:
    """Return True when `there` says so, which is asked after each change of the catalog.

    False: it did not for `TICK_S`; where sensors are no threads of the daemon it is asked once.
    """
    threaded = bool((context.instance.get_sensor_settings() or {}).get("use_threads"))
    end = time.monotonic() + (TICK_S if threaded else 0)
    while True:
        seen = catalog.newest_revision()
        if there():
            return True
        while catalog.newest_revision() == seen:
            if time.monotonic() >= end:
                return False
            time.sleep(LOOK_S)
