"""The GPUs of all places as rows of a plan, and the loads that have them now."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cosmos_pipelines.batching import Slot
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.runs.estimates.money import Price
from cosmos_pipelines.runs.estimates.spread import NOTHING, Spread, together
from cosmos_pipelines.runs.known_places import known_places
from cosmos_pipelines.runs.looks import UNKNOWN_S
from cosmos_pipelines.runs.remaining import Remaining
from cosmos_pipelines.runs.room import slots_of
from cosmos_pipelines.settings import Settings


@dataclass(frozen=True)
class ActiveLoad:
    """Runs of one order that have GPUs now, or are sent to a place while its GPUs are in use."""

    run_ids: list[str]
    place: str
    engine: str
    model_type: str
    gpus: int
    lanes: list[int]
    """Positions in the lanes of the plan. Which GPUs of its place it has, only the host knows."""
    started: bool
    start: Spread | None
    """Seconds until its GPUs are free for it; None: nothing tells."""
    end: Spread | None
    cost: float | None
    """Of its runs that have not ended, with the load; None: no price, or nothing tells."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "run_ids": self.run_ids,
            "place": self.place,
            "engine": self.engine,
            "model_type": self.model_type,
            "gpus": self.gpus,
            "lanes": self.lanes,
            "started": self.started,
            **_times("start", self.start),
            **_times("end", self.end),
            "cost": self.cost,
        }


@dataclass
class Lanes:
    """A slot for each GPU of each place, in the order of the places, and what has it now."""

    slots: list[Slot] = field(default_factory=list)
    active: list[ActiveLoad] = field(default_factory=list)
    unsure: set[int] = field(default_factory=set)
    """Positions of the slots that become free at an unknown time."""
    late: dict[int, Spread] = field(default_factory=dict)
    """By position: how much later than expected it may become free."""

    def as_dicts(self) -> list[dict[str, Any]]:
        """Of each slot: place, number (from 1) and `of` (the slots of its place)."""
        of = Counter(slot.place for slot in self.slots)
        return [{"place": s.place, "number": s.gpus[0] + 1, "of": of[s.place]} for s in self.slots]


def lanes_of(
    settings: Settings,
    active: Sequence[Run],
    waiting: Sequence[Run],
    remaining: Remaining,
    prices: Mapping[str, Price],
) -> Lanes:
    """Return the lanes of all places of the settings, and of those that runs wait for or are in."""
    lanes, known, orders = Lanes(), known_places(settings), _orders(active)
    wanted = (run.backend for run in waiting if not run.any_place)
    for name in dict.fromkeys([*settings.places, *wanted, *orders]):
        here = [_Order(runs, remaining) for runs in orders.get(name, ())]
        here.sort(key=lambda order: not order.started)
        busy = sum(order.gpus for order in here if order.started)
        gpus = _Gpus(max(slots_of(settings, name, known.get(name)), busy))
        first = len(lanes.slots)
        for order in here:
            positions, start, end = gpus.give(order)
            at = [first + position for position in positions]
            lanes.active.append(order.load(at, start, end, prices.get(name)))
        for number, free in enumerate(gpus.free):
            late = None if free is None or free.p90 is None else free.p90 - free.p50
            lanes.late[first + number] = Spread(0.0, late)
            if free is None:
                lanes.unsure.add(first + number)
            lanes.slots.append(Slot(name, (number,), free.p50 if free else UNKNOWN_S))
    return lanes


class _Order:
    """The active runs of one order."""

    def __init__(self, runs: Sequence[Run], remaining: Remaining) -> None:
        self._runs = runs
        self._expected = [remaining.of_run(run) for run in runs]
        self.started = any(run.status == "running" for run in runs)
        self.gpus = max(remaining.gpus_of(run) for run in runs)
        self.left = remaining.order_left(runs)

    def load(
        self, lanes: list[int], start: Spread | None, end: Spread | None, price: Price | None
    ) -> ActiveLoad:
        first = self._runs[0]
        return ActiveLoad(
            [run.id for run in self._runs],
            first.backend,
            first.engine,
            first.model_type,
            self.gpus,
            lanes,
            self.started,
            start,
            end,
            self._cost(price),
        )

    def _cost(self, price: Price | None) -> float | None:
        known = [one for one in self._expected if one is not None]
        if price is None or len(known) < len(self._expected):
            return None
        load = max((one.load for one in known), key=lambda load: load.p50)
        return round(price.of(load + together(one.own for one in known), self.gpus).p50, 4)


class _Gpus:
    """The GPUs of one place, and when each is free; None: nobody knows."""

    def __init__(self, number: int) -> None:
        self.free: list[Spread | None] = [NOTHING] * number

    def give(self, order: _Order) -> tuple[list[int], Spread | None, Spread | None]:
        """Give an order the GPUs that are free first: their positions, its start and its end."""
        soonest = sorted(range(len(self.free)), key=lambda at: _middle(self.free[at]))
        positions = sorted(soonest[: order.gpus])
        start = max((self.free[at] for at in positions), key=_middle)
        end = start + order.left if start is not None and order.left is not None else None
        for at in positions:
            self.free[at] = end
        return positions, start, end


def _orders(active: Sequence[Run]) -> dict[str, list[list[Run]]]:
    """The active runs by place and order; one that is downloaded has no GPU any more."""
    orders: dict[tuple[str, str], list[Run]] = {}
    for run in active:
        if run.status != "downloading":
            order = run.batch_id or run.load_id or run.id
            orders.setdefault((run.backend, order), []).append(run)
    places: dict[str, list[list[Run]]] = {}
    for (place, _), runs in orders.items():
        places.setdefault(place, []).append(runs)
    return places


def _middle(free: Spread | None) -> float:
    return math.inf if free is None else free.p50


def _times(name: str, at: Spread | None) -> dict[str, float | None]:
    p50, p90 = (at.p50, at.p90) if at else (None, None)
    return {
        f"{name}_s": None if p50 is None else round(p50, 1),
        f"{name}_p90_s": None if p90 is None else round(p90, 1),
    }
