"""When each waiting run will start and end, and what it will cost: a plan with estimates. Pure.

The middle of each time is the plan's own. What may come later than planned adds up from load to
load on the same GPUs, as independent times do (see `Spread`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cosmos_pipelines.runs.estimates.model import RunEstimate
from cosmos_pipelines.runs.estimates.money import Price
from cosmos_pipelines.runs.estimates.spread import NOTHING, Spread, together


class PlannedLoad(Protocol):
    """What is read of a load of a plan."""

    @property
    def run_ids(self) -> Sequence[str]:
        """Its runs, in the order in which they are made."""

    @property
    def place(self) -> str:
        """Where it is executed."""

    @property
    def gpus(self) -> int:
        """The number of its GPUs."""

    @property
    def slots(self) -> Sequence[int]:
        """Positions of its slots among those of the plan."""

    @property
    def start_s(self) -> float:
        """Seconds from now."""

    @property
    def load_s(self) -> float:
        """Seconds of loading the model."""

    @property
    def ends(self) -> Mapping[str, float]:
        """By run: seconds from now."""


@dataclass(frozen=True)
class ForecastRun:
    """What is expected of a waiting run; times in seconds from now."""

    run_id: str
    place: str
    slots: tuple[int, ...]
    load: int
    """Number of its load in the plan, from 0; runs of one load have the same."""
    start: Spread
    """Of its load."""
    end: Spread
    money: Spread | None
    """Of its own time and its share of the load; None: the place has no price."""


def forecast(
    loads: Iterable[PlannedLoad],
    estimates: Mapping[str, RunEstimate],
    prices: Mapping[str, Price],
    late: Mapping[int, Spread] | None = None,
) -> list[ForecastRun]:
    """Return the runs of a plan's loads, in the order of the loads.

    `estimates`: by run, in the place where it is planned. `prices`: by place. `late`: by slot, how
    much later than planned it may become free, as `Spread(0, seconds)`; None: on time.
    """
    behind = dict(late or {})
    found: list[ForecastRun] = []
    for number, load in enumerate(sorted(loads, key=lambda load: load.start_s)):
        start = _latest(behind.get(slot, NOTHING) for slot in load.slots)
        model = max((estimates[r].load for r in load.run_ids), key=lambda one: one.p50)
        before, price = start + _more(model), prices.get(load.place)
        made = delay = NOTHING
        for run_id in load.run_ids:
            own = estimates[run_id].own
            made = together([made, _more(own)])
            delay = before + made
            held = own + model.scaled(1 / len(load.run_ids))
            found.append(
                ForecastRun(
                    run_id,
                    load.place,
                    tuple(load.slots),
                    number,
                    _at(load.start_s, start),
                    _at(load.ends[run_id], delay),
                    price.of(held, max(1, load.gpus)) if price else None,
                )
            )
        behind |= dict.fromkeys(load.slots, delay)
    return found


def _at(planned: float, delay: Spread) -> Spread:
    return Spread(planned, None if delay.p90 is None else planned + delay.p90)


def _more(spread: Spread) -> Spread:
    """How much longer than in the middle it may take."""
    return Spread(0.0, None if spread.p90 is None else spread.p90 - spread.p50)


def _latest(delays: Iterable[Spread]) -> Spread:
    """The largest of delays; unknown if one is."""
    high = 0.0
    for delay in delays:
        if delay.p90 is None:
            return delay
        high = max(high, delay.p90)
    return Spread(0.0, high)
