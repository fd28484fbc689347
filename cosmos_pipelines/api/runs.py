"""The part of the API for runs: plan, register and execute them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cosmos_pipelines.api.arguments import Fields, Id, Place, Record, Step, Words
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.operations import Enhance, Transfer, Upscale

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.records import Run
    from cosmos_pipelines.runs.plan import Planned
    from cosmos_pipelines.runs.scenes import Looking

OnLine = Callable[[str | None, str], None]

_WHERE = ("engine", "backend")
_RUN = ("recipe", *_WHERE, "tags", "batch_name", "queue", "priority")
Transfers = Annotated[Any, Fields(Transfer)]
Inference = Annotated[Any, Fields(Transfer, _RUN)]
Enhances = Annotated[Any, Fields(Enhance)]
Enhancement = Annotated[Any, Fields(Enhance, (*_WHERE, "queue", "priority", "on_line"))]
Upscales = Annotated[Any, Fields(Upscale)]
Upscaling = Annotated[Any, Fields(Upscale, ("video", *_WHERE))]


class Runs(Project):
    """Inference, enhancement and upscaling of one project."""

    def create_run(
        self,
        prompt_id: Id,
        *,
        recipe: Id | None = None,
        engine: str | None = None,
        backend: str | None = None,
        queue: bool = False,
        priority: Step = 0,
        tags: Words = (),
        **fields: Transfers,
    ) -> Record:
        """Register a pending transfer run; with `queue` the daemon will execute the run.

        `priority`: -100 to 100; each step is worth an hour of waiting in the queue.
        """
        (planned,) = self._plan_transfers([prompt_id], fields, recipe, engine)
        where = {"backend": backend, "queued": queue, "priority": priority}
        return self._enter(planned, **where, tags=tags)

    def execute_runs(self, run_ids: Words, *, on_line: OnLine | None = None) -> list[Record]:
        """Execute pending runs, retry failed runs, adopt lost runs; batched where possible."""
        from cosmos_pipelines.materialize import materialize_runs

        runs = materialize_runs(self.catalog, self.settings, run_ids, on_line=on_line)
        return [run.as_dict() for run in runs]

    def run_again(
        self,
        run_ids: Words | None = None,
        *,
        queue: bool = False,
        on_line: OnLine | None = None,
    ) -> list[Record]:
        """Make the results of runs again: new runs with the same settings; the old runs are kept.

        Without `run_ids`: of all runs that are out of date (`list_runs(outdated=True)`) and were
        not asked for again since. Before a 4K run the run of its video is made again, if that is
        out of date. If one run is refused, no run is registered. With `queue` the daemon executes
        the runs, and a 4K run waits there for its video.
        """
        from cosmos_pipelines.runs.again import plan_all_again, to_make_again, with_parents

        project = self.catalog, self.settings
        wanted = self.catalog.get_runs(run_ids) if run_ids is not None else to_make_again(*project)
        wanted, new = with_parents(*project, wanted)
        if queue:
            return self._enter_again(wanted, plan_all_again(*project, wanted, new), queued=True)
        videos = [run for run in wanted if run.model_type != "upscale"]
        larger = [run for run in wanted if run.model_type == "upscale"]
        runs = self._make_again(videos, new, on_line)
        failed = {old.id for old, run in zip(videos, runs, strict=True) if _failed(run)}
        larger = [run for run in larger if run.parent_run_id not in failed]
        return runs + self._make_again(larger, new, on_line)

    def _make_again(
        self, runs: Sequence[Run], new: dict[str, str], on_line: OnLine | None
    ) -> list[Record]:
        """Execute new runs for these, in their order; `new` gets their ids, by those of the old."""
        from cosmos_pipelines.runs.again import plan_again

        project = self.catalog, self.settings
        planned = [plan_again(*project, run, new.get(run.parent_run_id or "")) for run in runs]
        made = self._enter_again(runs, planned, queued=False)
        new.update({old.id: run["id"] for old, run in zip(runs, made, strict=True)})
        return self.execute_runs([run["id"] for run in made], on_line=on_line) if made else made

    def _enter_again(
        self, runs: Sequence[Run], planned: Sequence[Planned], *, queued: bool
    ) -> list[Record]:
        """Enter what is planned in the place of these runs, all or nothing."""
        from cosmos_pipelines.catalog.new_run import without_verdict
        from cosmos_pipelines.runs.enter import Asked, enter_together

        asked = [
            Asked(plan, run.backend, without_verdict(run.tags), None)
            for run, plan in zip(runs, planned, strict=True)
        ]
        made = enter_together(self.catalog, self.settings, asked, queued=queued)
        return [run.as_dict() for run in made]

    def execute_run(self, run_id: Id, *, on_line: OnLine | None = None) -> Record:
        """Execute one run and return its record (a failed run raises no error)."""
        return self.execute_runs([run_id], on_line=on_line)[0]

    def quick_inference(
        self,
        prompt_id: Id,
        *,
        upscale: bool = False,
        on_line: OnLine | None = None,
        **settings: Inference,
    ) -> Record:
        """Register and execute a transfer run; with `upscale` also its 4K run.

        `settings`: recipe, engine, backend, tags and the fields of Transfer.
        """
        return self.batch_inference([prompt_id], upscale=upscale, on_line=on_line, **settings)[0]

    def batch_inference(
        self,
        prompt_ids: Words,
        *,
        recipe: Id | None = None,
        engine: str | None = None,
        backend: str | None = None,
        tags: Words = (),
        batch_name: str | None = None,
        upscale: bool = False,
        queue: bool = False,
        priority: Step = 0,
        on_line: OnLine | None = None,
        **fields: Transfers,
    ) -> list[Record]:
        """Register and execute a transfer run for each prompt; share model loads where possible.

        If one run is refused, no run is registered. With `queue` the daemon executes the runs, and
        a 4K run waits there for its video.
        """
        from cosmos_pipelines.runs.engine_choice import engine_for
        from cosmos_pipelines.runs.plan import plan_upscale_of

        if upscale:
            engine_for(self.settings, "upscale")  # raises before the transfer uses a GPU
        if batch_name:
            tags = [*tags, f"batch:{batch_name}"]
        planned = self._plan_transfers(prompt_ids, fields, recipe, engine)
        if queue and upscale:
            planned += [plan_upscale_of(self.settings, plan) for plan in planned]
        where = {"backend": backend, "queued": queue, "priority": priority}
        runs = self._enter_all(planned, **where, tags=tags)
        if queue:
            return runs
        runs = self.execute_runs([run["id"] for run in runs], on_line=on_line)
        if upscale:
            done = [run["id"] for run in runs if run["status"] == "completed"]
            larger = [self.create_upscale(run_id, backend=backend)["id"] for run_id in done]
            runs += self.execute_runs(larger, on_line=on_line)
        return runs

    def enhance_prompt(self, prompt_id: Id, **settings: Enhancement) -> Record:
        """Make a better prompt from a prompt; return the enhance run."""
        return self.enhance_prompts([prompt_id], **settings)[0]

    def enhance_prompts(
        self,
        prompt_ids: Words,
        *,
        engine: str | None = None,
        backend: str | None = None,
        queue: bool = False,
        priority: Step = 0,
        on_line: OnLine | None = None,
        **fields: Enhances,
    ) -> list[Record]:
        """Make better prompts in one model load; if one prompt is refused, no run is registered."""
        planned = self._plan_enhance(prompt_ids, fields, engine)
        where = {"backend": backend, "queued": queue, "priority": priority}
        runs = self._enter_all(planned, **where)
        if queue:
            return runs
        return self.execute_runs([run["id"] for run in runs], on_line=on_line)

    def create_upscale(
        self,
        run_id: Id | None = None,
        *,
        video: Place | None = None,
        engine: str | None = None,
        backend: str | None = None,
        queue: bool = False,
        priority: Step = 0,
        **fields: Upscales,
    ) -> Record:
        """Register an upscale of a run's video, or of a video file.

        With `queue` the run may also wait or run now: the 4K waits for its video.
        """
        planned = self._plan_upscale(run_id, video, fields, engine, queued=queue)
        return self._enter(planned, backend=backend, queued=queue, priority=priority)

    def upscale_run(
        self, run_id: Id | None = None, *, on_line: OnLine | None = None, **settings: Upscaling
    ) -> Record:
        """Register and execute an upscale; `settings` as for `create_upscale`."""
        return self.execute_run(self.create_upscale(run_id, **settings)["id"], on_line=on_line)

    def plan_inference(
        self,
        prompt_ids: Words,
        *,
        recipe: Id | None = None,
        engine: str | None = None,
        backend: str | None = None,
        upscale: bool = False,
        **fields: Transfers,
    ) -> list[Record]:
        """Return the orders of `batch_inference`; register no run.

        With `upscale` those of the 4K too, of the videos as they are expected to be.
        """
        from cosmos_pipelines.runs.dry_run import as_orders
        from cosmos_pipelines.runs.plan import plan_upscale_of

        planned = self._plan_transfers(prompt_ids, fields, recipe, engine, looking="foresee")
        if upscale:
            planned += [plan_upscale_of(self.settings, plan) for plan in planned]
        return as_orders(self.catalog, self.settings, planned, backend)

    def plan_enhance(
        self,
        prompt_ids: Words,
        *,
        engine: str | None = None,
        backend: str | None = None,
        **fields: Enhances,
    ) -> list[Record]:
        """Return the orders of `enhance_prompts`; register no run."""
        from cosmos_pipelines.runs.dry_run import as_orders

        planned = self._plan_enhance(prompt_ids, fields, engine, looking="foresee")
        return as_orders(self.catalog, self.settings, planned, backend)

    def plan_upscale(
        self,
        run_id: Id | None = None,
        *,
        video: Place | None = None,
        engine: str | None = None,
        backend: str | None = None,
        **fields: Upscales,
    ) -> list[Record]:
        """Return the order of `upscale_run`; register no run."""
        from cosmos_pipelines.runs.dry_run import as_orders

        planned = self._plan_upscale(run_id, video, fields, engine)
        return as_orders(self.catalog, self.settings, [planned], backend)

    def _plan_transfers(
        self,
        prompt_ids: Sequence[str],
        fields: Mapping[str, Any],
        recipe: str | None,
        engine: str | None,
        looking: Looking = "renew",
    ) -> list[Planned]:
        from cosmos_pipelines.runs.sweep import plan_each, plans_of

        recipes = [] if recipe is None else [recipe]
        given = self.catalog, self.settings, prompt_ids, recipes, (), fields
        return plans_of(plan_each(*given, engine=engine, looking=looking))

    def _plan_enhance(
        self,
        prompt_ids: Sequence[str],
        fields: Mapping[str, Any],
        engine: str | None,
        looking: Looking = "renew",
    ) -> list[Planned]:
        from cosmos_pipelines.runs.sweep import plan_enhancements

        project = self.catalog, self.settings
        return plan_enhancements(*project, prompt_ids, fields, engine=engine, looking=looking)

    def _plan_upscale(
        self,
        run_id: str | None,
        video: Path | str | None,
        fields: Mapping[str, Any],
        engine: str | None,
        *,
        queued: bool = False,
    ) -> Planned:
        from cosmos_pipelines.runs.plan import plan_upscale

        file = None if video is None else Path(video)
        project = self.catalog, self.settings
        return plan_upscale(*project, run_id, fields, video=file, engine=engine, queued=queued)

    def _enter(self, planned: Planned, **where: Any) -> Record:
        from cosmos_pipelines.runs.enter import enter

        return enter(self.catalog, self.settings, planned, **where).as_dict()

    def _enter_all(self, planned: Sequence[Planned], **where: Any) -> list[Record]:
        from cosmos_pipelines.runs.enter import enter_all

        runs = enter_all(self.catalog, self.settings, planned, **where)
        return [run.as_dict() for run in runs]


def _failed(run: Record) -> bool:
    """Whether a run that was executed has no result."""
    return bool(run["status"] != "completed")
