"""The places of runs, followed: one look for all who want to know, with a short history of GPUs.

Each place is looked at by a thread of its own, which keeps its connection: a host that does not
answer holds up nobody, and is asked ever later.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from loguru import logger

from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.backends.registry import backend_for, host_of
from cosmos_pipelines.catalog.records import Run, iso
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operate.places import BackendState, ask_place, places_of
from cosmos_pipelines.operate.status import left_in
from cosmos_pipelines.remote.gpu import GpuState
from cosmos_pipelines.runs.lost import looks_lost
from cosmos_pipelines.settings import Settings

EVERY_S: Final = 5.0
"""Seconds between two looks at a place that answers."""
LONGEST_S: Final = 60.0
"""Seconds between two looks at one that does not."""
KEPT: Final = 120
"""Looks that are kept of each GPU: ten minutes."""
ENDING_S: Final = 3.0
"""Seconds for which looks that are under way are waited for at the end, not longer."""
NEWS_S: Final = 0.5
"""Seconds after which `news` returns although nothing has come."""

Sample = tuple[float, int | None, int | None, int | None]
"""Seconds since 1970, load in percent, memory in MiB, degrees Celsius."""


@dataclass
class _Watched:
    """What is known of one place."""

    place: BackendState
    before: Sequence[Run] = ()
    """The runs that were active when it was asked last."""
    answered_at: datetime | None = None
    silent_since: datetime | None = None
    history: dict[int, deque[Sample]] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def as_dict(self) -> dict[str, Any]:
        known = self.place.as_dict()
        for gpu in known["gpus"]:
            gpu["history"] = list(self.history.get(gpu["index"], ()))
        return known | {
            "orders": None if self.place.orders is None else len(self.place.orders),
            "answered_at": self.answered_at and iso(self.answered_at),
            "silent_since": self.silent_since and iso(self.silent_since),
        }


class HostWatch:
    """Follows the places of new and active runs; a context manager, which ends the threads."""

    def __init__(self, catalog: Catalog, settings: Settings, every_s: float = EVERY_S) -> None:
        self._catalog, self._settings, self._every_s = catalog, settings, every_s
        self._watched: dict[str, _Watched] = {}
        self._threads: list[threading.Thread] = []
        self._news = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for watched in self._watched.values():
            watched.ended.set()
        end = time.monotonic() + ENDING_S
        for thread in self._threads:
            thread.join(max(0, end - time.monotonic()))

    def news(self) -> dict[str, Any]:
        """Wait for an answer of a place, for half a second at most; return what is known.

        Returns: `places` (as in `status`, with `history` of each GPU, `orders`, `answered_at`,
        `silent_since`) and `left` (what was left behind, as in `status`).
        """
        active = self._catalog.active_runs()
        names = places_of(self._settings, active)
        self._follow(names)
        if self._news.wait(NEWS_S):
            self._news.clear()
        return {
            "places": [self._watched[name].as_dict() for name in names],
            "left": self._left(names),
        }

    def _left(self, names: Sequence[str]) -> list[dict[str, Any]]:
        watched = {name: self._watched[name] for name in names}
        before = [r for name, w in watched.items() for r in w.before if r.backend == name]
        found = {name: w.place for name, w in watched.items() if w.silent_since is None}
        active = self._catalog.active_runs()
        lost = {run.id for run in active if looks_lost(run)}
        return [left.as_dict() for left in left_in(self._catalog, found, before, active, lost)]

    def _follow(self, names: Sequence[str]) -> None:
        for name in self._watched.keys() - set(names):
            self._watched.pop(name).ended.set()
        for name in names:
            if name not in self._watched:
                watched = _Watched(BackendState(name, host_of(self._settings, name)))
                self._watched[name] = watched
                thread = threading.Thread(
                    target=self._keep_looking, args=(watched,), name=f"watch-{name}", daemon=True
                )
                self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
                thread.start()

    def _keep_looking(self, watched: _Watched) -> None:
        pause = self._every_s
        while not watched.ended.is_set():
            try:
                with closing(backend_for(self._settings, watched.place.backend)) as backend:
                    while not watched.ended.is_set():
                        self._look(backend, watched)
                        if watched.silent_since is not None:
                            break  # the connection may be to blame: the next look makes another
                        pause = self._every_s
                        watched.ended.wait(pause)
            except CosmosError as e:
                self._silent(watched, str(e))
            except Exception as e:  # noqa: BLE001 - a thread of its own; the next look may be better
                logger.exception("{place} was not looked at.", place=watched.place.backend)
                self._silent(watched, f"{type(e).__name__}: {e}")
            watched.ended.wait(pause)
            pause = min(2 * pause, LONGEST_S)

    def _look(self, backend: Backend, watched: _Watched) -> None:
        place = BackendState(watched.place.backend, watched.place.host)
        before = self._catalog.active_runs()
        ask_place(backend, place)
        if place.orders is None and place.gpus == GpuState(()):  # it did not answer at all
            self._silent(watched, place.problem or "It did not say what runs there.")
            return
        watched.place, watched.before = place, before
        watched.answered_at, watched.silent_since = datetime.now(UTC), None
        for gpu in place.gpus.gpus:
            kept = watched.history.setdefault(gpu.index, deque(maxlen=KEPT))
            kept.append((time.time(), gpu.load_percent, gpu.memory_used_mib, gpu.temperature_c))
        self._news.set()

    def _silent(self, watched: _Watched, problem: str) -> None:
        """What was seen of a silent place is old: its GPUs are not shown as if they were now."""
        watched.silent_since = watched.silent_since or datetime.now(UTC)
        watched.place = BackendState(watched.place.backend, watched.place.host, problem=problem)
        self._news.set()
