"""The budget: what GPUs were used for, and the pause of the queue when that is enough.

A load counts once, however many runs shared it, and so does an attempt that failed or whose run was
deleted. Of a load that several batches shared, each counts the part of its runs. Prices are those
of the settings now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cosmos_pipelines.catalog.gpu_times import BATCH, GpuTime
from cosmos_pipelines.catalog.pauses import ALL
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.settings import Settings, is_told

BUDGET: Final = "budget"
"""Who has paused the queue, and the kind of the notice."""
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Used:
    """What GPUs were used for."""

    gpu_hours: float
    money: float
    unpriced_gpu_hours: float
    """Of places without a price; `money` does not have them."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "gpu_hours": round(self.gpu_hours, 3),
            "money": round(self.money, 2),
            "unpriced_gpu_hours": round(self.unpriced_gpu_hours, 3),
        }


def used_today(catalog: Catalog, settings: Settings, now: datetime | None = None) -> Used:
    """Return what GPUs were used for since the day began (UTC), what still works included."""
    now = now or datetime.now(UTC)
    since = _midnight(now)
    return use_of(catalog.gpu_times(since), settings, since, now)


def not_counted(settings: Settings) -> str | None:
    """Return which hosts a limit of money does not count, since they have no price; None: none."""
    limits = settings.budget
    if limits.money_a_day is None and limits.money_a_batch is None:
        return None
    there = [p for p in settings.places.values() if p.address is not None and p.gpu_hour is None]
    if not there:
        return None
    names = ", ".join(place.name for place in there)
    tables = [place.table for place in there if place.table != "[remote]"]
    where = f"in {', '.join(tables)}" if tables else "in a table [hosts.NAME] for the host"
    have = "has" if len(there) == 1 else "have"
    return (
        f"The limit of money in [budget] does not count runs on {names}, which {have} no price: "
        f"set price_per_gpu_hour {where}."
    )


def use_of(
    times: Iterable[GpuTime],
    settings: Settings,
    since: datetime,
    now: datetime,
    batch: str | None = None,
) -> Used:
    """Return what these attempts have used between two moments; of one batch alone, its part."""
    orders: dict[str, list[GpuTime]] = {}
    for time in times:
        orders.setdefault(time.order_id, []).append(time)
    hours = money = unpriced = 0.0
    for parts in orders.values():
        mine = len(parts) if batch is None else sum(part.batch == batch for part in parts)
        one = _gpu_hours(parts, since, now) * mine / len(parts)
        hours += one
        place = settings.places.get(parts[0].backend)
        if place is None or place.gpu_hour is None:
            unpriced += one
        else:
            money += one * place.gpu_hour
    return Used(hours, money, unpriced)


def _gpu_hours(parts: Sequence[GpuTime], since: datetime, now: datetime) -> float:
    """GPU hours of one order, from the start of its first run to the end of its last one."""
    engine = parts[0].engine
    if engine in ENGINES and ENGINES[engine].simulated:
        return 0.0  # on the CPU
    start = max(min(part.started_at for part in parts), since)
    seconds = (max(part.ended_at or now for part in parts) - start).total_seconds()
    return max(seconds, 0.0) / 3600 * max(0, *(part.gpus for part in parts))


def keep_budget(catalog: Catalog, settings: Settings, now: datetime | None = None) -> str | None:
    """Pause the queue if a budget is used up; return which, or None.

    The pause ends with the day, when nothing of the batch waits any more, or when the settings
    allow more. If somebody resumes the queue before, it goes on: each budget pauses it once.
    """
    reached = _reached(catalog, settings, now or datetime.now(UTC))
    begun = catalog.open_notices(BUDGET)
    for other in begun.keys() - reached.keys():
        catalog.close_notice(other)
    pauses = [p for p in catalog.list_pauses() if p.scope == ALL and p.paused_by == BUDGET]
    if pauses and pauses[0].reason not in reached.values():
        catalog.resume(ALL)
    for key, said in reached.items():
        if key not in begun:
            catalog.pause(ALL, BUDGET, said)
            until = "until 00:00 UTC" if key.startswith(f"{BUDGET}:day:") else "now"
            text = f"{said} The queue is paused {until}; `cosmos queue resume` lets it go on."
            catalog.open_notice(key, BUDGET, text, told=is_told(settings, "budget"))
    return next(iter(reached.values()), None)


def _reached(catalog: Catalog, settings: Settings, now: datetime) -> dict[str, str]:
    """The limits that are reached: a sentence for each, by what it is known by."""
    limits = settings.budget
    found: dict[str, str] = {}

    def compare(used: Used, hours: float | None, money: float | None, key: str, of: str) -> None:
        if hours is not None and used.gpu_hours >= hours:
            said = f"The budget of {hours:g} GPU hours for {of} is used up."
            found[f"{BUDGET}:{key}:gpu_hours:{hours:g}"] = said
        if money is not None and used.money >= money:
            said = f"The budget of {money:g} {settings.queue.currency} for {of} is used up."
            found[f"{BUDGET}:{key}:money:{money:g}"] = said

    if limits.of_a_day:
        day = _midnight(now).date().isoformat()
        used = used_today(catalog, settings, now)
        compare(used, limits.gpu_hours_a_day, limits.money_a_day, f"day:{day}", day)
    if limits.of_a_batch and (batches := catalog.waiting_batches()):
        times = catalog.gpu_times_of(batches)
        for batch in sorted(batches):
            used = use_of(times, settings, _EVER, now, batch)
            of = f"the batch {batch.removeprefix(BATCH)}"
            compare(used, limits.gpu_hours_a_batch, limits.money_a_batch, batch, of)
    return found


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
