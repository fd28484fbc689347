"""The part of the API for the queue: its order, what is to come, pauses, and why a run waits."""

from __future__ import annotations

from cosmos_pipelines.api.arguments import Count, Id, Record, Step
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.api.starting import why_nobody_starts
from cosmos_pipelines.errors import InputError, StateError


class Queueing(Project):
    """Look at the queue of one project, and change it."""

    def look_at_queue(self, limit: Count = 100, offset: Count = 0) -> Record:
        """Return what runs, and a part of what waits in the order of its start.

        `running`: cards (see `cards`) with `left_s` (seconds, or None), `lost` (its process is
        gone) and `shares` (ids of the active runs in the same model load). `waiting`: cards with
        `position` from 1, `shares` (of its load), `whole_s` and `whole_p90_s` (seconds with a load
        of its own: half, and nine of ten such runs take no longer), `estimate` (as that of a load
        in `plan_order`, with its money), `start_s`, `start_p90_s`, `end_s`, `end_p90_s` (seconds
        from now, as the queue is planned) and `cost` (with its part of the load); each None where
        nothing tells. `waiting_in_all`, `pauses` (scope, paused_at, paused_by, reason),
        `workers` (who works on the queue without a daemon: person, machine, since, and `said`),
        `daemon_gone` (Dagster's daemon has given no sign of life for 90 s, or never ran; False also
        where only `daemon_state` can tell),
        `not_counted` (as in `budget_today`), `currency`.
        """
        from cosmos_pipelines.operate.queue import queue_now

        return queue_now(self.catalog, self.settings, limit, offset)

    def plan_queue(self) -> Record:
        """Return the loads to come, in the order of their starts, and those that run.

        `lanes`: the GPUs of all places: place, number (from 1), of (how many the place has).
        `active`: run_ids, place, engine, model_type, gpus, lanes (positions in `lanes`), started
        (False: it is sent to its place), start_s, start_p90_s, end_s, end_p90_s, cost. Which of its
        GPUs a place gives to a load, the host decides. `loads`: the same without `started`, and
        mode, prepared, saved_s (GPU seconds, against a load for each run), why and added
        (by run: controls with weight 0 of a mixed load, which may change its pixels). `unplaced`:
        by run, why no place can take it now. `ends_s`, `saved_s`, `cost` of all; `not_planned`:
        runs behind those of the loads; `currency`. Seconds from now; None: nothing tells.
        """
        from cosmos_pipelines.operate.queue import planned_loads

        return planned_loads(self.catalog, self.settings)

    def why_queued(self, run_id: Id) -> Record:
        """Return why a run has not started yet; a host that it waits for is asked.

        `run_id`, `status`, `position` (in the queue, from 1; None: it does not wait there) and
        `reasons`: `said` and `do` (a command that helps, or None). `workers`: as in
        `look_at_queue`.
        """
        from cosmos_pipelines.operate.queue_why import why_waiting
        from cosmos_pipelines.operate.workers import living_workers

        answer = why_waiting(self.catalog, self.settings, run_id)
        answer["workers"] = living_workers(self.catalog)
        alone = answer["position"] is not None and not answer["workers"]
        if alone and (said := why_nobody_starts(self.catalog, self.settings)):
            answer["reasons"].append({"said": said, "do": "cosmos queue work"})
        if not answer["reasons"]:
            answer["reasons"].append({"said": "It is the next one: it starts now.", "do": None})
        return answer

    def move_run(
        self,
        run_id: Id,
        *,
        first: bool = False,
        before: Id | None = None,
        priority: Step | None = None,
    ) -> Record:
        """Move a waiting run: first, before another one, or to another priority (-100 to 100).

        Returns: the run's record, with `position` in the queue from 1.

        Raises:
            InputError, UnknownId: not one of the three, or an impossible one.
            StateError: the run, or the other one, does not wait in the queue.
        """
        moved = self.catalog.move_run(run_id, first=first, before=before, priority=priority)
        return {**moved.as_dict(), "position": self.catalog.position_of(moved)}

    def pause_queue(
        self, *, host: str | None = None, engine: str | None = None, reason: str | None = None
    ) -> Record:
        """Start nothing more that waits, until `resume_queue`; what runs goes on.

        `host`: only in this place; `engine`: only of this engine. Returns the pause (scope,
        paused_at, paused_by, reason); one that is there already stays as it is.

        Raises:
            InputError, UnknownId, SettingsError: both of them, or an unknown one.
        """
        from cosmos_pipelines.operations.text import clean_name
        from cosmos_pipelines.person import person

        said = None if reason is None else clean_name(reason, "reason")
        return self.catalog.pause(self._scope(host, engine), person(), said).as_dict()

    def resume_queue(self, *, host: str | None = None, engine: str | None = None) -> Record:
        """Start what waits again after `pause_queue`; return the `pauses` that are left.

        Raises:
            StateError: that was not paused.
            InputError, UnknownId, SettingsError: as in `pause_queue`.
        """
        scope = self._scope(host, engine)
        if not self.catalog.resume(scope):
            left = ", ".join(pause.scope for pause in self.catalog.list_pauses())
            what = "The queue" if scope == "all" else scope.replace(":", " ")
            raise StateError(f"{what} is not paused.", hint=f"Paused: {left}." if left else None)
        return {"pauses": [pause.as_dict() for pause in self.catalog.list_pauses()]}

    def _scope(self, host: str | None, engine: str | None) -> str:
        from cosmos_pipelines.backends.registry import place_of
        from cosmos_pipelines.catalog.pauses import ALL, engine_scope, place_scope

        if host is not None and engine is not None:
            raise InputError("Give either a host or an engine.")
        if host is not None:
            return place_scope(place_of(self.settings, host).name)
        if engine is not None:
            return engine_scope(self.settings.engine(engine).name)
        return ALL
