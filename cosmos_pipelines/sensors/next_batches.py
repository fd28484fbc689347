"""The next batches of the queue, which the sensor `dispatch_queue` requests.

All waiting runs at which it looks are grouped by what the catalog says of them. Files are looked
at only for the runs whose turn has come, and none is read to its end: its run does that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Mapping, Sequence
from logging import Logger
from pathlib import Path

from cosmos_pipelines import batching
from cosmos_pipelines.catalog.records import Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import CosmosError, InputError, StateError, shown
from cosmos_pipelines.media.probe import probe, stamp_of
from cosmos_pipelines.operations import Job, Video
from cosmos_pipelines.runs.locations import located
from cosmos_pipelines.runs.plan import job_of
from cosmos_pipelines.runs.scenes import as_measured, scene_videos
from cosmos_pipelines.settings import Settings


def next_batches(
    catalog: Catalog,
    settings: Settings,
    waiting: Sequence[Run],
    room: int,
    log: Logger,
    alone: Collection[str] = (),
) -> list[list[Run]]:
    """At most `room` batches of the waiting runs, in the order of their first runs.

    `alone`: runs that share no batch, by id.

    A run whose inputs cannot be used, or are no longer as they were measured, is alone: when it
    starts, its scene is made anew, or it fails and says why. So is a run whose engine raises an
    error; the log has the error.
    """
    if room <= 0 or not waiting:
        return []
    order = {run.id: number for number, run in enumerate(waiting)}
    looks = _Looks(catalog, settings, waiting, log)
    groups: dict[Hashable, list[Run]] = {}
    for run in waiting:
        key = looks.rough_key(run)
        groups.setdefault((key, run.id) if run.id in alone else key, []).append(run)
    batches: list[list[Run]] = []
    while groups and len(batches) < room:
        key = min(groups, key=lambda key: order[groups[key][0].id])
        members = groups.pop(key)
        most = looks.max_batch(members[0])
        batches += looks.batches(members[:most])
        if members[most:]:
            groups[key] = members[most:]
    return sorted(batches, key=lambda batch: order[batch[0].id])[:room]


class _Looks:
    """One tick's looks at waiting runs: each prompt, scene and engine is looked at once."""

    def __init__(
        self, catalog: Catalog, settings: Settings, waiting: Sequence[Run], log: Logger
    ) -> None:
        self._catalog, self._settings, self._log = catalog, settings, log
        self._prompts = catalog.find_prompts(run.prompt_id for run in waiting if run.prompt_id)
        self._scenes = catalog.find_scenes(prompt.scene for prompt in self._prompts.values())
        self._parents = catalog.find_runs(run.parent_run_id for run in waiting if run.parent_run_id)
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

    def batches(self, runs: Sequence[Run]) -> list[list[Run]]:
        """These runs of one rough key in batches, by their inputs as they are now."""
        alone: list[list[Run]] = []
        jobs = []
        for run in runs:
            try:
                jobs.append(self._job(run))
            except Exception as e:  # noqa: BLE001 - one run's fault never stops the others
                self._say(run, e)
                alone.append([run])
        by_id = {run.id: run for run in runs}
        try:
            planned = batching.plan(self._engine(runs[0].engine), jobs) if jobs else []
        except Exception as e:  # noqa: BLE001 - an engine of another package may raise anything
            self._say(by_id[jobs[0].run_id], e)
            planned = [[job] for job in jobs]
        return [*alone, *([by_id[job.run_id] for job in batch] for batch in planned)]

    def _job(self, run: Run) -> Job:
        """The run as a job, if its files are as they were measured. Nothing is made in a tick."""
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

    def _say(self, run: Run, error: Exception) -> None:
        self._log.warning(
            f"{run.id} is in no batch with others: {error}",
            exc_info=None if isinstance(error, CosmosError) else error,
        )


def _glanced_at(path: Path) -> Video:
    """A video by its header. It is hashed and read to its end when its run starts."""
    p = probe(path)
    facts = {"size": p.size, "width": p.width, "height": p.height, "frames": p.frames}
    return Video(path=str(path), sha256="", fps=str(p.fps), **facts)
