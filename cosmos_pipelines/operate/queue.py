"""What runs, by order, and what waits, in the order of its start: as one looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate.daemon_gone import daemon_is_gone
from cosmos_pipelines.operate.queue_plan import MOST, QueuePlan, plan_queue
from cosmos_pipelines.operate.workers import living_workers
from cosmos_pipelines.runs.budget import not_counted
from cosmos_pipelines.runs.cards import cards_of
from cosmos_pipelines.runs.estimates.money import priced
from cosmos_pipelines.runs.lost import looks_lost
from cosmos_pipelines.runs.remaining import Remaining
from cosmos_pipelines.settings import Settings


def queue_now(catalog: Catalog, settings: Settings, limit: int, offset: int) -> dict[str, Any]:
    """Return the active runs and a page of the waiting ones; see `CosmosAPI.look_at_queue`."""
    active, first = catalog.active_runs(), catalog.queued_runs(min(MOST, offset + limit))
    shown = first[offset:] if offset + limit <= MOST else catalog.queued_runs(limit, offset=offset)
    remaining = Remaining(catalog, settings, (*active, *first, *shown))
    plan = plan_queue(catalog, settings, active, first, remaining)
    return {
        "running": _running(catalog, active, remaining),
        "waiting": _waiting(catalog, settings, shown, offset, remaining, plan),
        "waiting_in_all": catalog.count_queued(),
        "pauses": [pause.as_dict() for pause in catalog.list_pauses()],
        "workers": living_workers(catalog),
        "daemon_gone": daemon_is_gone(settings),
        "not_counted": not_counted(settings),
        "currency": settings.queue.currency,
    }


def planned_loads(catalog: Catalog, settings: Settings) -> dict[str, Any]:
    """Return the loads to come; see `CosmosAPI.plan_queue`."""
    active, waiting = catalog.active_runs(), catalog.queued_runs(MOST)
    remaining = Remaining(catalog, settings, (*active, *waiting))
    plan = plan_queue(catalog, settings, active, waiting, remaining)
    in_all = catalog.count_queued() if len(waiting) == MOST else len(waiting)
    return {
        **plan.as_dict(),
        "not_planned": max(0, in_all - len(waiting)),
        "currency": settings.queue.currency,
    }


def _running(catalog: Catalog, active: Sequence[Run], remaining: Remaining) -> list[dict[str, Any]]:
    shares: dict[str, list[str]] = {}
    for run in active:
        shares.setdefault(run.batch_id or run.id, []).append(run.id)
    return [
        card
        | {
            "left_s": remaining.left_s(run),
            "lost": looks_lost(run),
            "shares": [other for other in shares[run.batch_id or run.id] if other != run.id],
        }
        for run, card in zip(active, cards_of(catalog, active), strict=True)
    ]


def _waiting(
    catalog: Catalog,
    settings: Settings,
    shown: Sequence[Run],
    offset: int,
    remaining: Remaining,
    plan: QueuePlan,
) -> list[dict[str, Any]]:
    return [
        card
        | {"position": number, "shares": plan.mates_of(run.id)}
        | _whole(settings, remaining, run)
        | plan.times_of(run.id)
        for number, (run, card) in enumerate(
            zip(shown, cards_of(catalog, shown), strict=True), start=offset + 1
        )
    ]


def _whole(settings: Settings, remaining: Remaining, run: Run) -> dict[str, Any]:
    """What a waiting run will take with a load of its own: `whole_s`, `whole_p90_s`, `estimate`."""
    found = priced(settings, run.backend, remaining.whole(run))
    seconds, high = (found["seconds"], found["p90_s"]) if found else (None, None)
    return {"whole_s": seconds, "whole_p90_s": high, "estimate": found}
