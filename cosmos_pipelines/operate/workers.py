"""Who works on the queue without a daemon, as far as can be seen from here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cosmos_pipelines.backends.owner import owner_holds
from cosmos_pipelines.catalog.records import iso
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.catalog.workers import SIGN_S


def living_workers(catalog: Catalog) -> list[dict[str, Any]]:
    """Return `person`, `machine`, `since` and `said` (all in a line) of each worker that lives.

    One whose process has died without a word is gone at once where that can be seen from here;
    elsewhere its last sign of life counts for a minute.
    """
    living = []
    for worker in catalog.list_workers():
        if not owner_holds(worker.owner, worker.seen_at + timedelta(seconds=SIGN_S)):
            continue
        there = worker.person.endswith(f"@{worker.machine}")
        where = "" if there else f" on {worker.machine}"
        said = f"{worker.person} works on the queue{where}"
        began = {"since": iso(worker.began_at), "said": said}
        living.append({"person": worker.person, "machine": worker.machine, **began})
    return living
