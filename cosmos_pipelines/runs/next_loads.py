"""The next loads of the queue, which a dispatcher takes out of it.

All waiting runs at which it looks are grouped by what the catalog says of them. Files are looked
at only for the runs whose turn has come, and none is read to its end: its run does that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cosmos_pipelines import batching
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import InputError, StateError, shown
from cosmos_pipelines.media.probe import probe, stamp_of
from cosmos_pipelines.operations import Job, Video
from cosmos_pipelines.runs.budget import keep_budget
from cosmos_pipelines.runs.known_places import known_places
from cosmos_pipelines.runs.locations import located
from cosmos_pipelines.runs.places_for import Needs, paused_places, places_for
from cosmos_pipelines.runs.plan import job_of
from cosmos_pipelines.runs.scenes import as_measured, scene_videos
from cosmos_pipelines.settings import Settings

LOOKED_AT: Final = 200
"""Waiting runs from which the next loads are made."""

Say = Callable[[str, Exception], None]
"""Told why a run shares no load with others: a sentence, and the error."""


def next_loads(
    catalog: Catalog,
    settings: Settings,
    room: Mapping[str, int],
    say: Say,
    alone: Collection[str] = (),
) -> list[NewLoad]:
    """The loads that may be taken out of the queue now, in the order of their first runs.

    `room`: how many GPUs each place has for more loads; `alone`: runs that share no load, by id.

    A run whose inputs cannot be used, or are no longer as they were measured, is alone: when it
    starts, its scene is made anew, or it fails and says why. So is a run whose engine raises an
    error; `say` is told.
    """
    left = {place: number for place, number in room.items() if number > 0}
    if left and (settings.budget.of_a_day or settings.budget.of_a_batch):
        keep_budget(catalog, settings)  # which pauses the queue when it is used up
    if not left or not (waiting := catalog.ready_runs(LOOKED_AT, places=[*left])):
        return []
    looks = _Looks(catalog, settings, waiting, say)
    order = {run.id: number for number, run in enumerate(waiting)}
    groups: dict[Hashable, list[Run]] = {}
    for run in waiting:
        key = looks.rough_key(run)
        groups.setdefault((key, run.id) if run.id in alone else key, []).append(run)
    loads: list[NewLoad] = []
    while groups and any(number > 0 for number in left.values()):
        key = min(groups, key=lambda key: order[groups[key][0].id])
        members = groups.pop(key)
        most = looks.max_batch(members[0])
        if members[most:]:
            groups[key] = members[most:]
        for runs in looks.batches(members[:most]):
            gpus = looks.gpus(runs[0])
            place = looks.place(runs[0], gpus, left)
            if place is None:
                groups.pop(key, None)
                break
            left[place] -= gpus
            ids = tuple(run.id for run in runs)
            loads.append(NewLoad(place, runs[0].engine, runs[0].model_type, ids, gpus))
    return sorted(loads, key=lambda load: order[load.run_ids[0]])


class _Looks:
    """The looks of one time at waiting runs: each prompt, scene and engine is looked at once."""

    def __init__(
        self, catalog: Catalog, settings: Settings, waiting: Sequence[Run], say: Say
    ) -> None:
        self._catalog, self._settings, self._say = catalog, settings, say
        self._prompts = catalog.find_prompts(run.prompt_id for run in waiting if run.prompt_id)
        self._scenes = catalog.find_scenes(prompt.scene for prompt in self._prompts.values())
        self._parents = catalog.find_runs(run.parent_run_id for run in waiting if run.parent_run_id)
        if any(run.any_place for run in waiting):
            self._known, self._paused = known_places(settings), paused_places(catalog)
            self._at = catalog.places_of_scenes(p.scene for p in self._prompts.values())
        self._engines: dict[str, Engine] = {}
        self._measured: dict[str, bool] = {}
        self._jobs: dict[str, Job] = {}
        self._faults: dict[str, Exception] = {}

    def rough_key(self, run: Run) -> Hashable:
        """Runs that may share a load have the same key, as far as the catalog knows."""
        place = (run.engine, run.backend, run.model_type)
        try:
            engine = self._engine(run.engine)
            if run.source:
                return (*place, json.dumps(run.execution_config, sort_keys=True))
            job = self._job_of(run, self._known_inputs(run))
            key = (*place, engine.batch_key(job))
            hash(key)
        except Exception as e:  # noqa: BLE001 - one run's fault never stops the others
            self._faults[run.id] = e
            return run.id
        self._jobs[run.id] = job
        return key

    def max_batch(self, run: Run) -> int:
        """How many runs its engine allows in a batch with this run first."""
        try:
            return max(1, self._engine(run.engine).max_batch(self._job(run)))
        except Exception:  # noqa: BLE001 - `batches` tells what is wrong with the run
            return 1

    def gpus(self, run: Run) -> int:
        """How many GPUs the load of a run needs."""
        job = self._jobs.get(run.id)
        cost = self._engine(run.engine).cost(job) if job else None
        return cost.gpus if cost else 1

    def place(self, run: Run, gpus: int, left: Mapping[str, int]) -> str | None:
        """The place of a run's load: its own, or the best with room if any will do; None: none."""
        if not run.any_place:
            return run.backend if left.get(run.backend, 0) > 0 else None
        engine, prompt = self._engine(run.engine), self._prompts.get(run.prompt_id or "")
        needs = Needs(
            engine.name, gpus=0 if engine.simulated else gpus, memory_mib=engine.memory_mib()
        )
        scene = self._at.get(prompt.scene, ()) if prompt else ()
        choice = places_for(
            self._settings, needs, self._known, paused=self._paused, with_scene=scene
        )
        return next((name for name in choice.places if left.get(name, 0) > 0), None)

    def batches(self, runs: Sequence[Run]) -> list[list[Run]]:
        """These runs of one rough key in batches, by their inputs as they are now."""
        alone: list[list[Run]] = []
        jobs = []
        for run in runs:
            try:
                jobs.append(self._job(run))
            except Exception as e:  # noqa: BLE001 - one run's fault never stops the others
                self._say(f"{run.id} shares no load with others: {e}", e)
                alone.append([run])
        by_id = {run.id: run for run in runs}
        try:
            planned = batching.plan(self._engine(runs[0].engine), jobs) if jobs else []
        except Exception as e:  # noqa: BLE001 - an engine of another package may raise anything
            self._say(f"{jobs[0].run_id} shares no load with others: {e}", e)
            planned = [[job] for job in jobs]
        return [*alone, *([by_id[job.run_id] for job in batch] for batch in planned)]

    def _job(self, run: Run) -> Job:
        """The run as a job, if its files are as they were measured. Nothing is made here."""
        if fault := self._faults.get(run.id):
            raise fault
        if run.source and run.id not in self._jobs:
            video = located(self._settings, run.source["video"])
            self._jobs[run.id] = self._job_of(run, {"video": _glanced_at(video)})
        job = self._jobs[run.id]
        if run.source:
            return job
        if run.parent_run_id:
            video = Path(job.inputs["video"].path)
            if stamp_of(video).size != job.inputs["video"].size:
                raise StateError(f"{shown(video)} has changed since it was made.")
            return job
        scene = self._scene(run)
        if scene.key not in self._measured:
            self._measured[scene.key] = as_measured(self._settings, scene)
        if not self._measured[scene.key]:
            raise StateError(f"The scene {shown(scene.key)} has changed since it was measured.")
        return job

    def _job_of(self, run: Run, inputs: Mapping[str, Video]) -> Job:
        prompt = self._prompts.get(run.prompt_id or "")
        return job_of(self._catalog, self._settings, run, prompt, inputs=inputs)

    def _known_inputs(self, run: Run) -> Mapping[str, Video]:
        """The inputs of a run by what the catalog says of them."""
        if not run.parent_run_id:
            return scene_videos(self._settings, self._scene(run))
        parent = self._parents.get(run.parent_run_id)
        if parent is None or parent.status != "completed":
            raise StateError(f"The video of run {run.parent_run_id} is not made yet.")
        facts = {name: parent.outputs[name] for name in Video.model_fields if name != "path"}
        return {"video": Video(path=str(self._settings.home / parent.outputs["video"]), **facts)}

    def _scene(self, run: Run) -> SceneRow:
        prompt = self._prompts.get(run.prompt_id or "")
        scene = self._scenes.get(prompt.scene) if prompt else None
        if scene is None:
            raise InputError(f"The prompt or the scene of run {run.id} is not in the catalog.")
        return scene

    def _engine(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = self._settings.engine(name)
        return self._engines[name]


def _glanced_at(path: Path) -> Video:
    """A video by its header. It is hashed and read to its end when its run starts."""
    p = probe(path)
    facts = {"size": p.size, "width": p.width, "height": p.height, "frames": p.frames}
    return Video(path=str(path), sha256="", fps=str(p.fps), **facts)
