"""The part of the API for orders: told before they are queued, queued once, undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from cosmos_pipelines.api.arguments import Count, Fields, Id, Record, Step, Words, listed
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.api.starting import why_not_started
from cosmos_pipelines.operations import Enhance, Transfer

Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
"""The key of an order: 8 to 64 letters, digits, - and _, new for each order."""
Seeds = Annotated[Sequence[Annotated[int, Field(ge=0, le=2**31 - 1)]], BeforeValidator(listed)]
Settings = Annotated[Any, Fields(Transfer)]
Enhances = Annotated[Any, Fields(Enhance)]


class Orders(Project):
    """Order videos of prompts x recipes x seeds."""

    def plan_order(
        self,
        prompt_ids: Words,
        *,
        recipes: Words = (),
        seeds: Seeds = (),
        engine: str | None = None,
        backend: str | None = None,
        upscale: bool = False,
        **fields: Settings,
    ) -> Record:
        """Return what `queue_order` would queue; register no run.

        Returns: runs (that are possible), upscales (those of them that are 4K), refused (videos,
        none of which has a 4K), chunks, seconds and p90_s (by earlier runs: half
        and nine of ten such orders hold the GPUs no longer), money, p90_money and currency (where
        the place has a price), total (all of that in words), loads (engine, simulated, backend,
        runs, chunks, notes, and its estimate: seconds, p90_s, load_s, upload_s, download_s,
        waited_s, basis, money, p90_money, currency, and `said`, all of it in words), and cells
        (prompt_id, prompt_name, recipe, seed, engine, chunks, steps, notes, upscale (None, or
        engine, chunks and notes of its 4K), refusal, hint).
        """
        from cosmos_pipelines.runs.orders import describe_cells
        from cosmos_pipelines.runs.sweep import plan_cells

        project = self.catalog, self.settings
        cells = plan_cells(
            *project,
            prompt_ids,
            recipes,
            seeds,
            fields,
            engine=engine,
            upscale=upscale,
            looking="foresee",
        )
        return describe_cells(*project, cells, backend)

    def queue_order(
        self,
        prompt_ids: Words,
        *,
        key: Key,
        recipes: Words = (),
        seeds: Seeds = (),
        engine: str | None = None,
        backend: str | None = None,
        batch_name: str | None = None,
        tags: Words = (),
        shown: Count | None = None,
        priority: Step = 0,
        upscale: bool = False,
        **fields: Settings,
    ) -> Record:
        """Queue a transfer of each prompt x recipe x seed for the daemon; all possible, or none.

        A cell that is refused is left out. `key`: the same order sent again with the same key, at
        any time or at the same moment, is given the runs that are there. `shown`: how many runs the
        person has seen; if another number is possible by now, nothing is queued. `priority`: -100
        to 100; an hour earlier in the queue for each step. `upscale`: also the 4K of each video,
        which waits in the queue for it.

        Returns: runs (ids, those of videos first), new (how many of them were queued now), statuses
        (of the others, by status), starts (None, or why the daemon will not start them).
        Raises StateError.
        """
        from cosmos_pipelines.runs.orders import queue_cells
        from cosmos_pipelines.runs.sweep import plan_cells

        project = self.catalog, self.settings
        if batch_name:
            tags = [*tags, f"batch:{batch_name}"]
        cells = plan_cells(
            *project, prompt_ids, recipes, seeds, fields, engine=engine, upscale=upscale
        )
        made = queue_cells(
            *project,
            cells,
            key=key,
            shown=shown,
            backend=backend,
            tags=tags,
            priority=priority,
        )
        return {**made, "starts": why_not_started(self.catalog, self.settings)}

    def queue_enhancement(
        self,
        prompt_id: Id,
        *,
        key: Key,
        engine: str | None = None,
        backend: str | None = None,
        **fields: Enhances,
    ) -> Record:
        """Queue an enhancement of a prompt; `key` and the answer as of `queue_order`."""
        from cosmos_pipelines.runs.orders import queue_once
        from cosmos_pipelines.runs.plan import plan_enhance

        project = self.catalog, self.settings
        planned = plan_enhance(*project, prompt_id, fields, engine=engine)
        made = queue_once(*project, [planned], key=key, backend=backend)
        return {**made, "starts": why_not_started(self.catalog, self.settings)}

    def cancel_waiting(self, run_ids: Words) -> Record:
        """Cancel those of the runs that have not begun; the others go on.

        Returns: cancelled (ids), statuses (number of the others, by status).
        """
        from cosmos_pipelines.runs.orders import cancel_waiting

        return cancel_waiting(self.catalog, run_ids)
