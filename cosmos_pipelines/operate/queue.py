"""What runs, by order, and what waits, in the order of its start: as one looks at it."""

from __future__ import annotations

from typing import Any

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.runs.cards import cards_of
from cosmos_pipelines.runs.estimates.money import priced
from cosmos_pipelines.runs.lost import looks_lost
from cosmos_pipelines.runs.remaining import Remaining
from cosmos_pipelines.settings import Settings


def queue_now(catalog: Catalog, settings: Settings, limit: int, offset: int) -> dict[str, Any]:
    """Return the active runs and a page of the waiting ones; see `CosmosAPI.look_at_queue`."""
    active = catalog.active_runs()
    waiting = catalog.queued_runs(limit, offset=offset)
    remaining = Remaining(catalog, settings, (*active, *waiting))
    shares: dict[str, list[str]] = {}
    for run in active:
        shares.setdefault(run.batch_id or run.id, []).append(run.id)
    running = [
        card
        | {
            "left_s": remaining.left_s(run),
            "lost": looks_lost(run),
            "shares": [other for other in shares[run.batch_id or run.id] if other != run.id],
        }
        for run, card in zip(active, cards_of(catalog, active), strict=True)
    ]
    later = [
        card | {"position": offset + number} | _whole(settings, remaining, run)
        for number, (run, card) in enumerate(
            zip(waiting, cards_of(catalog, waiting), strict=True), start=1
        )
    ]
    return {"running": running, "waiting": later, "waiting_in_all": catalog.count_queued()}


def _whole(settings: Settings, remaining: Remaining, run: Run) -> dict[str, Any]:
    """What a waiting run will take with a load of its own: `whole_s`, `whole_p90_s`, `estimate`."""
    found = priced(settings, run.backend, remaining.whole(run))
    seconds, high = (found["seconds"], found["p90_s"]) if found else (None, None)
    return {"whole_s": seconds, "whole_p90_s": high, "estimate": found}
