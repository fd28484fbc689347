"""An order of a person: the cells of a sweep told before they are queued, queued once, and undone.

Whoever sends an order twice (a double click, a second tab) is given the runs of the first time: the
order has a key, which becomes the request key of its runs (see enter.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError, StateError
from cosmos_pipelines.runs.dry_run import as_orders
from cosmos_pipelines.runs.enter import enter_all
from cosmos_pipelines.runs.estimates.spread import NOTHING, Spread
from cosmos_pipelines.runs.estimates.words import total_words
from cosmos_pipelines.runs.plan import Planned
from cosmos_pipelines.runs.sweep import Cell
from cosmos_pipelines.settings import Settings

_OF_ESTIMATE: Final = (
    "seconds", "p90_s", "load_s", "upload_s", "download_s", "waited_s", "basis",
    "money", "p90_money", "currency",
)  # fmt: skip
"""What a load tells of its estimate."""


def describe_cells(
    catalog: Catalog, settings: Settings, cells: Sequence[Cell], backend: str | None
) -> dict[str, Any]:
    """What the cells would become, as plain data; see `CosmosAPI.plan_order`."""
    videos, larger = _videos(cells), _larger(cells)
    orders = as_orders(catalog, settings, [*videos, *larger], backend)
    loads = [_load(one) for one in orders]
    return {
        "runs": len(videos) + len(larger),
        "upscales": len(larger),
        "refused": len(cells) - len(videos),
        "chunks": sum(load["chunks"] or 0 for load in loads) or None,
        **totals([load["estimate"] for load in orders]),
        "loads": loads,
        "cells": [_cell(cell) for cell in cells],
    }


def queue_cells(
    catalog: Catalog,
    settings: Settings,
    cells: Sequence[Cell],
    *,
    key: str,
    shown: int | None,
    backend: str | None,
    tags: Sequence[str],
    priority: int = 0,
) -> dict[str, Any]:
    """Enter the cells that are not refused, all in one transaction; see `CosmosAPI.queue_order`.

    Raises:
        InputError: all cells are refused.
        StateError: another number of runs was shown to the person.
    """
    possible = [*_videos(cells), *_larger(cells)]
    if not possible:
        first = next(cell.refusal for cell in cells if cell.refusal is not None)
        raise InputError(f"All {len(cells)} videos are refused. {first.message}", hint=first.hint)
    if shown is not None and shown != len(possible):
        raise StateError(
            f"{shown} runs were shown, but {len(possible)} of {_all(cells)} are possible now: "
            "nothing was queued.",
            hint="Look at the plan again.",
        )
    return queue_once(
        catalog, settings, possible, key=key, backend=backend, tags=tags, priority=priority
    )


def queue_once(
    catalog: Catalog,
    settings: Settings,
    planned: Sequence[Planned],
    *,
    key: str,
    backend: str | None = None,
    tags: Sequence[str] = (),
    priority: int = 0,
) -> dict[str, Any]:
    """Queue planned runs under the key of an order.

    Returns: runs (ids, in the order of the plans), new (how many were entered now), and statuses
    (number of the others by status: they were queued with this key before).
    """
    runs = enter_all(
        catalog,
        settings,
        planned,
        backend=backend,
        queued=True,
        tags=tags,
        request=f"order/{key}",
        priority=priority,
    )
    known = [r for r, p in zip(runs, planned, strict=True) if r.id != p.job.run_id]
    return {
        "runs": [run.id for run in runs],
        "new": len(runs) - len(known),
        "statuses": _statuses(known),
    }


def cancel_waiting(catalog: Catalog, run_ids: Sequence[str]) -> dict[str, Any]:
    """Cancel those of the runs that no process has begun; the others go on.

    Returns: cancelled (ids), and statuses (number of the others by status).
    """
    cancelled = catalog.cancel_queued(run_ids)
    known = catalog.find_runs(run_ids)
    others = [run for run in known.values() if run.id not in cancelled]
    return {
        "cancelled": [run_id for run_id in known if run_id in cancelled],
        "statuses": _statuses(others),
    }


def _videos(cells: Sequence[Cell]) -> list[Planned]:
    return [cell.plan for cell in cells if cell.plan is not None]


def _larger(cells: Sequence[Cell]) -> list[Planned]:
    return [cell.larger for cell in cells if cell.larger is not None]


def _all(cells: Sequence[Cell]) -> int:
    """The runs of an order if no cell were refused; if one has a 4K, all have."""
    return len(cells) * (2 if _larger(cells) else 1)


def _statuses(runs: Sequence[Run]) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in runs:
        found[run.status] = found.get(run.status, 0) + 1
    return found


def totals(estimates: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """Return the sum of the estimates of loads (see `priced`), and `total`: all of it in words.

    `seconds`, `p90_s`, `money`, `p90_money`, `currency`; None where one of them is not known.
    """
    known = [one for one in estimates if one is not None]
    if len(known) < len(estimates):
        known = []
    total = _total(known, "seconds", "p90_s") | _total(known, "money", "p90_money")
    total["currency"] = known[0]["currency"] if total.get("money") is not None else None
    return total | {"total": total_words(total)}


def _total(known: Sequence[dict[str, Any]], middle: str, high: str) -> dict[str, Any]:
    """The sum of an amount, by its two names; None where one is not known."""
    if not known or any(one[middle] is None for one in known):
        return {middle: None, high: None}
    total = NOTHING
    for one in known:
        total += Spread(one[middle], one[high])
    return {
        middle: round(total.p50, 2),
        high: None if total.p90 is None else round(total.p90, 2),
    }


def _load(order: dict[str, Any]) -> dict[str, Any]:
    costs, expected = order["order"]["costs"], order["estimate"] or {}
    return {
        "engine": order["engine"],
        "simulated": order["simulated"],
        "backend": order["backend"],
        "runs": len(order["order"]["run_ids"]),
        "chunks": sum(cost["chunks"] for cost in costs.values()) or None,
        **{name: expected.get(name) for name in _OF_ESTIMATE},
        "said": expected.get("said", {}),
        "notes": order["notes"],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    plan, refusal = cell.plan, cell.refusal
    cost = plan.engine.cost(plan.job) if plan else None
    return {
        "prompt_id": cell.prompt_id,
        "prompt_name": cell.prompt_name,
        "recipe": cell.recipe,
        "seed": cell.seed
        if cell.seed is not None
        else plan and plan.job.operation.config()["seed"],
        "engine": plan.engine.label if plan else None,
        "chunks": cost.chunks if cost else None,
        "steps": cost.steps if cost else None,
        "notes": plan.notes if plan else [],
        "upscale": _upscale(cell.larger),
        "refusal": refusal.message if refusal else None,
        "hint": refusal.hint if refusal else None,
    }


def _upscale(plan: Planned | None) -> dict[str, Any] | None:
    """The 4K of a cell, as plain data."""
    if plan is None:
        return None
    cost = plan.engine.cost(plan.job)
    return {
        "engine": plan.engine.label,
        "chunks": cost.chunks if cost else None,
        "notes": plan.notes,
    }
