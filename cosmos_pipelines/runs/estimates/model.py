"""What a load will take in a place, by what earlier runs took: load, runs, transfers.

The best that is known is taken, in this order: runs of the same scene and settings there; runs of
the same work there; runs of the same kind there, by chunks x steps; runs of the same kind on the
same GPU elsewhere; published figures. Three runs are enough, and where none has three, one is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final, Literal

from cosmos_pipelines.backends.registry import host_of
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.estimates.history import History, Sample
from cosmos_pipelines.runs.estimates.published import published_s
from cosmos_pipelines.runs.estimates.spread import NOTHING, Spread, spread_of, together
from cosmos_pipelines.runs.estimates.work import Work, works_of_order
from cosmos_pipelines.runs.known_places import seen_last
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import AUTO

USED: Final = 20
"""Runs that an estimate is made of, the newest."""
ENOUGH: Final = 3
JUDGED: Final = 50
"""Earlier estimates of a place that say how good its estimates are."""

Basis = Literal["place", "gpu", "published"]
"""Runs in the same place; runs elsewhere on the same GPU; figures of the model's makers."""


@dataclass(frozen=True)
class Accuracy:
    """How good the last estimates were: `within` of `of` runs took no longer than their p90."""

    within: int
    of: int


@dataclass(frozen=True)
class RunEstimate:
    """What one run will take in a place."""

    load: Spread
    """Of the model, for all runs of the load."""
    own: Spread
    download: Spread | None
    basis: Basis
    runs: int
    """Number of earlier runs that it is from; 0 for published figures."""

    @cached_property
    def whole(self) -> Spread:
        """Seconds of the run with a load of its own."""
        return self.load + self.own


@dataclass(frozen=True)
class LoadEstimate:
    """What the runs of one load will take in a place; times in seconds."""

    runs: tuple[RunEstimate, ...]
    upload: Spread | None
    waited: Spread | None
    """How long earlier runs waited in the queue for this place."""
    gpus: int
    accuracy: Accuracy

    @cached_property
    def load(self) -> Spread:
        """Seconds that the model takes to load."""
        return max((run.load for run in self.runs), key=lambda load: load.p50)

    @cached_property
    def busy(self) -> Spread:
        """Seconds for which the GPUs are held: one load, then the runs one after another."""
        return self.load + together(run.own for run in self.runs)

    @cached_property
    def download(self) -> Spread | None:
        """Seconds until the results are here, after they are made; None: not known."""
        known = [run.download for run in self.runs if run.download is not None]
        return together(known) if len(known) == len(self.runs) else None

    @property
    def basis(self) -> Basis:
        """The weakest basis of its runs."""
        order: Sequence[Basis] = ("place", "gpu", "published")
        return max((run.basis for run in self.runs), key=order.index)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values: seconds, p90_s, load_s, upload_s, download_s, waited_s, runs,
        basis, checked (within, of).
        """
        busy = self.busy
        return {
            "seconds": round(busy.p50),
            "p90_s": None if busy.p90 is None else round(busy.p90),
            "load_s": round(self.load.p50),
            "upload_s": _middle(self.upload),
            "download_s": _middle(self.download),
            "waited_s": _middle(self.waited),
            "runs": min(run.runs for run in self.runs),
            "basis": self.basis,
            "checked": {"within": self.accuracy.within, "of": self.accuracy.of},
        }


class Estimates:
    """Estimates of one plan: each engine's earlier runs are read once, whatever is asked."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._settings = settings
        self._history = History(catalog)
        self._runs: dict[tuple[Work, str], RunEstimate | None] = {}
        self._gpus: dict[str, str | None] = {}
        self._hosts: dict[str, str | None] = {}

    def of_order(self, order: Order, place: str) -> LoadEstimate | None:
        """Return what an order will take in a place; None where one of its runs is not known."""
        works = works_of_order(order)
        return None if works is None else self.of_load(works, place)

    def of_load(self, works: Iterable[Work], place: str) -> LoadEstimate | None:
        """Return what at least one run will take together; None where one of them is not known.

        `place`: `auto` for any.
        """
        works = list(works)
        runs = [self.of_run(work, place) for work in works]
        known = tuple(run for run in runs if run is not None)
        if len(known) < len(works):
            return None
        there = [s for s in self._history.of(works[0].engine, works[0].model_type)
                 if self._is_at(s, place)]  # fmt: skip
        upload, waited = _of(there, lambda s: s.upload_s), _of(there, lambda s: s.waited_s)
        return LoadEstimate(known, upload, waited, works[0].gpus, _accuracy(there))

    def of_run(self, work: Work, place: str) -> RunEstimate | None:
        """Return what a run will take; None where nothing tells. `place`: `auto` for any."""
        key = (work, place)
        if key not in self._runs:
            self._runs[key] = self._by_runs(work, place) or self._by_published(work, place)
        return self._runs[key]

    def _by_runs(self, work: Work, place: str) -> RunEstimate | None:
        samples = [s for s in self._history.of(work.engine, work.model_type) if s.own_s is not None]
        here = [s for s in samples if self._is_at(s, place)]
        kind = [s for s in here if s.work.alike(work)]
        levels: list[tuple[Basis, list[Sample]]] = [
            ("place", [s for s in here if work.same is not None and s.work.same == work.same]),
            ("place", [s for s in kind if s.work.units == work.units]),
            ("place", kind),
        ]
        if work.kind and not kind and (gpu := self._gpu_of(place)) is not None:
            levels.append(("gpu", [s for s in samples if s.gpu == gpu and s.work.alike(work)]))
        for least in (ENOUGH, 1):
            for basis, found in levels:
                if len(found) >= least:
                    return _estimate(work, basis, found[:USED])
        return None

    def _by_published(self, work: Work, place: str) -> RunEstimate | None:
        gpu = self._gpu_of(place) if work.kind else None
        unit_s = published_s(work.engine, work.gpus, work.kind or "", gpu)
        if unit_s is None:
            return None
        return RunEstimate(NOTHING, Spread(unit_s * work.units, None), None, "published", 0)

    def _is_at(self, sample: Sample, place: str) -> bool:
        if place == AUTO:
            return True
        return sample.place == place and self._host_of(place) in (None, sample.host)

    def _host_of(self, place: str) -> str | None:
        if place not in self._hosts:
            self._hosts[place] = host_of(self._settings, place)
        return self._hosts[place]

    def _gpu_of(self, place: str) -> str | None:
        """The name of a place's GPU, as the last look or a run there has told; None: not known."""
        if place not in self._gpus:
            known = self._settings.places.get(place)
            seen = (gpu.name for gpu in seen_last(self._settings, known).gpus) if known else ()
            told = (s.gpu for s in self._history.of_all() if s.gpu and self._is_at(s, place))
            self._gpus[place] = None if place == AUTO else next(chain(seen, told), None)
        return self._gpus[place]


def _estimate(work: Work, basis: Basis, found: Sequence[Sample]) -> RunEstimate:
    own = spread_of([(s.own_s or 0.0) * work.units / s.work.units for s in found])
    load = _of(found, lambda s: s.load_s) or NOTHING
    download = _of(found, lambda s: _scaled(s.download_s, work.chunks / s.work.chunks))
    return RunEstimate(load, own, download, basis, len(found))


def _middle(spread: Spread | None) -> int | None:
    return None if spread is None else round(spread.p50)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _of(samples: Iterable[Sample], what: Callable[[Sample], float | None]) -> Spread | None:
    """The spread of what the newest samples tell; None where none tells."""
    told = [value for sample in samples if (value := what(sample)) is not None][:USED]
    return spread_of(told) if told else None


def _accuracy(samples: Iterable[Sample]) -> Accuracy:
    judged = [
        s.own_s + s.load_s <= s.expected.p90
        for s in samples
        if s.expected and s.expected.p90 is not None
        and s.own_s is not None and s.load_s is not None
    ][:JUDGED]  # fmt: skip
    return Accuracy(sum(judged), len(judged))
