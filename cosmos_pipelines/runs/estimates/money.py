"""Money: the time for which GPUs are held, by the price of a GPU for an hour in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosmos_pipelines.runs.estimates.model import LoadEstimate
from cosmos_pipelines.runs.estimates.spread import Spread
from cosmos_pipelines.runs.estimates.words import said_of
from cosmos_pipelines.settings import Settings


@dataclass(frozen=True)
class Price:
    """What a GPU of a place costs."""

    gpu_hour: float
    currency: str

    def of(self, held: Spread, gpus: int) -> Spread:
        """Return the money for holding so many GPUs for a time (seconds)."""
        return held.scaled(self.gpu_hour * gpus / 3600)


def paid(timing: Mapping[str, Any]) -> tuple[float, str] | None:
    """Return what a run has cost, and the currency; None where nobody told time or price.

    Its own time, and its share of the load of the model, at the price at that time.
    """
    try:
        gpu_hour, own_s = float(timing["gpu_hour"]), float(timing["seconds"])
        load_s = float(timing["load_s"]) / int(timing["load_runs"])
        gpus = int(timing.get("gpus", 1))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (own_s + load_s) * gpus * gpu_hour / 3600, str(timing.get("currency", ""))


def priced(settings: Settings, place: str, estimate: LoadEstimate | None) -> dict[str, Any] | None:
    """Return an estimate as plain data, with `money`, `p90_money`, `currency`, and `said` in words.

    The money is None where the place has no price, or is not chosen yet.
    """
    if estimate is None:
        return None
    price = price_of(settings, place)
    cost = price.of(estimate.busy, estimate.gpus) if price else None
    told = {
        **estimate.as_dict(),
        "money": None if cost is None else round(cost.p50, 2),
        "p90_money": None if cost is None or cost.p90 is None else round(cost.p90, 2),
        "currency": price.currency if price else None,
    }
    return told | {"said": said_of(told)}


def price_of(settings: Settings, place: str) -> Price | None:
    """Return the price of a GPU in a place; None: the settings name none."""
    known = settings.places.get(place)
    if known is None or known.gpu_hour is None:
        return None
    return Price(known.gpu_hour, settings.queue.currency)
