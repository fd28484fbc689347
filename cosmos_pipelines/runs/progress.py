"""How far runs are, read from their log and kept in the catalog."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from loguru import logger

from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.runs.context import RunContext
from cosmos_pipelines.runs.log import RunLog

EVERY_S: Final = 1.0
"""Seconds between two entries of a run; a step of a model takes longer mostly."""


class WatchedLog(RunLog):
    """The logs of an order's runs, of which the lines are read as they come, and passed on."""

    def __init__(self, context: RunContext, engine: Engine, run_ids: Sequence[str]) -> None:
        super().__init__(context.settings.outputs, run_ids, self._line)
        self._work, self._engine = context, engine
        self._waiting: dict[str, dict[str, Any] | None] = {}
        self._why: str | None = None
        self._run_ids = run_ids
        self._kept_at: dict[str, float] = {}
        self._made: list[str] = []

    def newly_made(self) -> list[str]:
        """Runs that were told to be made since this was asked last; the catalog knows it too."""
        if self._made:
            self.keep_progress()
        made, self._made = self._made, []
        return made

    def show_wait(self, why: str | None) -> None:
        """Show why the order has not begun, if that is another reason now; None: it has."""
        if why == self._why:
            return
        self._why = why
        progress = None if why is None else {"done": 0, "total": 0, "text": why}
        self._waiting.update(dict.fromkeys(self._run_ids, progress))
        self.keep_progress()

    def keep_progress(self) -> None:
        """Put what has come last into the catalog too."""
        for run_id in list(self._waiting):
            self._keep(run_id)

    def _line(self, run_id: str | None, text: str) -> None:
        if self._work.on_line is not None:
            self._work.on_line(run_id, text)
        step = self._engine.progress(text)
        if step is None:
            return
        subject = step.run_id or run_id
        if subject is None:
            return
        self._why = None
        if step.made:
            self._made.append(subject)
        self._waiting[subject] = {"done": step.done, "total": step.total, "text": step.text}
        if time.monotonic() - self._kept_at.get(subject, -EVERY_S) >= EVERY_S:
            self._keep(subject)

    def _keep(self, run_id: str) -> None:
        """One that is not running by us any more, or whose id a program made up, stays as it is."""
        self._kept_at[run_id] = time.monotonic()
        progress = self._waiting.pop(run_id)
        try:
            self._work.catalog.advance(
                run_id, self._work.owner, "running", "running", progress=progress
            )
        except CosmosError as e:  # a note that is missing is no reason to stop a model
            logger.warning("{run}: its progress was not kept: {error}", run=run_id, error=e)
