"""A hang is not a run: the model writes nothing and its GPUs do nothing, both for a long time.

Seen with Cosmos-Transfer2.5, which can stand at a chunk for ever with its memory held and 0 % load.
Silence alone is no stall (a chunk may take many minutes), nor are idle GPUs (weights are loading).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from loguru import logger

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.runs.context import RunContext
from cosmos_pipelines.runs.finish import LaunchedOrder
from cosmos_pipelines.runs.gpu_watch import SAMPLE_S, GpuWatch

LOOKS = 4
"""Looks at the GPUs, at least, in the time after which a stall is told."""


class StallWatch:
    """Tells that an order stalls, and says when it is to be stopped: see `[execution]`."""

    def __init__(
        self,
        context: RunContext,
        launched: LaunchedOrder,
        gpus: GpuWatch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context, self._launched, self._gpus, self._clock = context, launched, gpus, clock
        self._tell_s = context.settings.execution.stall_s
        self._end_s = context.settings.execution.stall_end_s
        self._heard_at = clock()
        self._said = self._ended = False
        self._told: dict[str, Run] = {}
        """The runs that seem to hang, as they were before this was told."""

    def look(self, chunk: bytes) -> bool:
        """Take the next bytes of the log (none: silence); return True when the order must end.

        True comes once. Where the GPUs cannot be read, nothing is a stall.
        """
        if chunk:
            self._heard_at = self._clock()
        if self._ended:
            return False
        idle_s = self._gpus.idle_s()
        stalled_s = 0.0 if idle_s is None else min(idle_s, self._clock() - self._heard_at)
        try:
            if self._tell_s and stalled_s >= self._tell_s and not self._said:
                self._tell(stalled_s)
            elif self._said and stalled_s < self._tell_s:
                self._take_back()
        except CosmosError as e:  # a note that is missing is no reason to stop a model
            logger.warning("It was not noted: {error}", error=e)
        self._ended = bool(self._end_s) and stalled_s >= self._end_s
        if self._ended:
            logger.warning(
                "Stopping {id}: no log line and no load on its GPUs for {n:.0f} s",
                id=self._launched.order.id, n=stalled_s,
            )  # fmt: skip
        return self._ended

    def _tell(self, seconds: float) -> None:
        since = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        text = f"seems to hang: no log line and no load on its GPUs for {seconds:.0f} s"
        logger.warning("{id} {text}", id=self._launched.order.id, text=text)
        self._said = True
        self._told = self._running()
        for run_id, run in self._told.items():
            self._show(run_id, {"done": 0, "total": 0, **(run.progress or {}), "text": text})
            self._context.catalog.note(run_id, f"Attempt {run.attempt} {text} ({since}).")

    def _take_back(self) -> None:
        logger.info("{id} goes on", id=self._launched.order.id)
        self._said = False
        for run_id, run in self._running().items():
            if run_id in self._told and "seems to hang" in (run.progress or {}).get("text", ""):
                self._show(run_id, self._told[run_id].progress)
        self._told = {}

    def _running(self) -> dict[str, Run]:
        runs = self._context.catalog.find_runs(self._launched.mine)
        return {run_id: run for run_id, run in runs.items() if run.status == "running"}

    def _show(self, run_id: str, progress: dict[str, Any] | None) -> None:
        owner = self._context.owner
        self._context.catalog.advance(run_id, owner, "running", "running", progress=progress)


def watch_every_s(context: RunContext) -> float:
    """Seconds between two looks at the GPUs of an order."""
    execution = context.settings.execution
    limits = [s for s in (execution.stall_s, execution.stall_end_s) if s]
    return min([SAMPLE_S, *(limit / LOOKS for limit in limits)])


def may_start_again(run: Run) -> bool:
    """Whether a run that has just stalled is started again: once, not after a second stall."""
    stalled = run.status == "failed" and run.error_kind == "stalled"
    return stalled and _again(run.attempt - 1) not in run.notes


def note_again(context: RunContext, run: Run) -> None:
    """Record that a stalled run is started again, where `may_start_again` finds it."""
    context.catalog.note(run.id, _again(run.attempt))


def _again(attempt: int) -> str:
    return f"Attempt {attempt} stalled, and the run was started again."
