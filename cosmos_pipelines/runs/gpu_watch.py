"""How much of its GPUs a run takes at most, looked at now and then while it runs."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import Any, Final, Self

from loguru import logger

from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.gpu import GpuState, Peak

SAMPLE_S: Final = 2.0
IDLE_PERCENT: Final = 2
"""Load of a GPU, at most, that does nothing."""


class GpuWatch:
    """Looks at an order's GPUs from a thread of its own; a context manager.

    An order without GPUs is not looked at. A look that fails is left out. That a GPU fails is a
    warning in the order's log, once.
    """

    def __init__(self, backend: Backend, order: Order, every_s: float = SAMPLE_S) -> None:
        self._backend, self._order, self._every_s = backend, order, every_s
        self._peak, self._names = Peak(), dict[str, None]()
        self._ended = threading.Event()
        self._watched, self._told, self._failed = False, list[str](), False
        self._gap_s = 10 + 5 * every_s
        self._idle: tuple[float, float] | None = None
        """Since when, and until when as far as was looked, all its GPUs have done nothing."""

    def __enter__(self) -> Self:
        if self._order.gpus:
            order_log = contextvars.copy_context()  # the warning belongs into the order's log
            threading.Thread(
                target=order_log.run, args=(self._watch,), name="gpu-watch", daemon=True
            ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()  # not waited for: a host that is gone may take its time

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
            except CosmosError as e:
                logger.debug("No look at the GPUs: {error}", error=e)
                self._idle = None
            except Exception:  # noqa: BLE001 - a thread of its own; the next look may be better
                if not self._failed:
                    logger.exception("The GPUs of the order were not looked at.")
                self._failed, self._idle = True, None
            self._ended.wait(self._every_s)

    def _look(self) -> None:
        state = self._backend.gpus(self._order)
        self._note_load(state)
        self._peak.add(state)
        self._names |= dict.fromkeys(gpu.name for gpu in state.gpus)
        self._warn(state)

    def _note_load(self, state: GpuState) -> None:
        loads = [gpu.load_percent for gpu in state.gpus]
        idle = len(loads) >= self._order.gpus and all(
            load is not None and load <= IDLE_PERCENT for load in loads
        )
        now, before = time.monotonic(), self._idle
        if not idle:
            self._idle = None
        elif before is None or now - before[1] > self._gap_s:  # we, or the host, stood still
            self._idle = (now, now)
        else:
            self._idle = (before[0], now)

    def idle_s(self) -> float | None:
        """Seconds for which every look has found all GPUs of the order idle; None: not known."""
        seen = self._idle
        if seen is None or time.monotonic() - seen[1] > self._gap_s:
            return None
        return seen[1] - seen[0]

    def _warn(self, state: GpuState) -> None:
        faults = [f"GPU {gpu.index}: {gpu.fault}" for gpu in state.gpus if gpu.fault]
        if self._watched and not state.gpus and state.problem:
            faults.append(state.problem)
        self._watched = self._watched or bool(state.gpus)
        if faults and faults != self._told:
            self._told = faults
            logger.warning("The GPUs of the run's host: {faults}", faults="; ".join(faults))

    def peak(self) -> dict[str, Any]:
        """`gpu`: name, peak_memory_mib (all its GPUs), peak_load_percent; empty if nobody told."""
        if not self._names:
            return {}
        found = {
            "name": ", ".join(self._names),
            "peak_memory_mib": self._peak.memory_mib,
            "peak_load_percent": self._peak.load_percent,
        }
        return {"gpu": {k: v for k, v in found.items() if v is not None}}
