"""The budget: what GPUs were used for today, and the pause of the queue when that is enough.

A load counts once, however many runs shared it, and so does an attempt that failed or whose run was
deleted. Prices are those of the settings now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cosmos_pipelines.catalog.gpu_times import GpuTime
from cosmos_pipelines.catalog.queue import ALL
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.settings import Settings, is_told

BUDGET: Final = "budget"
"""Who has paused the queue, and the kind of the notice."""


@dataclass(frozen=True)
class Used:
    """What GPUs were used for since a moment."""

    since: datetime
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
    since = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return use_of(catalog.gpu_times(since), settings, since, now)


def use_of(times: Iterable[GpuTime], settings: Settings, since: datetime, now: datetime) -> Used:
    """Return what these orders have used between two moments."""
    hours = money = unpriced = 0.0
    for time in times:
        one = _gpu_hours(time, since, now)
        hours += one
        place = settings.places.get(time.backend)
        if place is None or place.gpu_hour is None:
            unpriced += one
        else:
            money += one * place.gpu_hour
    return Used(since, hours, money, unpriced)


def _gpu_hours(time: GpuTime, since: datetime, now: datetime) -> float:
    if time.engine in ENGINES and ENGINES[time.engine].simulated:
        return 0.0  # on the CPU
    seconds = ((time.ended_at or now) - max(time.started_at, since)).total_seconds()
    return max(seconds, 0.0) / 3600 * max(time.gpus, 0)


def keep_budget(catalog: Catalog, settings: Settings, now: datetime | None = None) -> str | None:
    """Pause the queue if today's budget is used up; return why, or None if it is not.

    The pause ends with the day, or when the settings allow more. If somebody resumes the queue
    before, it goes on for the rest of the day.
    """
    reached = _reached(catalog, settings, now or datetime.now(UTC))
    begun = catalog.open_notices(BUDGET)
    key = reached and reached[0]
    for other in begun.keys() - {key}:
        catalog.close_notice(other)
    if reached is None:
        if any(p.scope == ALL and p.paused_by == BUDGET for p in catalog.list_pauses()):
            catalog.resume(ALL)
        return None
    key, said = reached
    if key not in begun:
        catalog.pause(ALL, BUDGET, said)
        resumes = "It goes on at 00:00 UTC, or with `cosmos queue resume`."
        told = is_told(settings, "budget")
        catalog.open_notice(key, BUDGET, f"{said} The queue is paused. {resumes}", told=told)
    return said


def _reached(catalog: Catalog, settings: Settings, now: datetime) -> tuple[str, str] | None:
    """The limit that is reached: what it is known by, and a sentence; None: no limit is."""
    limits = settings.budget
    if not limits.limited:
        return None
    used = used_today(catalog, settings, now)
    day = used.since.date().isoformat()
    hours, money, currency = limits.gpu_hours_a_day, limits.money_a_day, settings.queue.currency
    if hours is not None and used.gpu_hours >= hours:
        said = f"The budget of {hours:g} GPU hours for {day} is used up: {used.gpu_hours:.2f}."
        return f"{BUDGET}:{day}:gpu_hours:{hours:g}", said
    if money is not None and used.money >= money:
        said = f"The budget of {money:g} {currency} for {day} is used up: {used.money:.2f}."
        return f"{BUDGET}:{day}:money:{money:g}", said
    return None
