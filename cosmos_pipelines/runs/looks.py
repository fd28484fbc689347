"""What is looked at to know how a waiting run could be executed: prompt, scene, engine, places.

Everything but the last look at files is known from the catalog, so that a plan of a long queue
reads no file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cosmos_pipelines import batching
from cosmos_pipelines.batching.loads import Mode, Waiting
from cosmos_pipelines.catalog.records import Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.engines.base import Cost, Mixed
from cosmos_pipelines.errors import InputError, StateError, shown
from cosmos_pipelines.operations import Job, Video
from cosmos_pipelines.runs.estimates.model import Estimates
from cosmos_pipelines.runs.estimates.work import same_of, work_of_cost
from cosmos_pipelines.runs.jobs import job_of
from cosmos_pipelines.runs.known_places import known_places
from cosmos_pipelines.runs.locations import located
from cosmos_pipelines.runs.places_for import Needs, paused_places, places_for
from cosmos_pipelines.runs.scene_state import as_measured, scene_videos
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import AUTO

Say = Callable[[str, Exception], None]
"""Told why a run shares no load with others: a sentence, and the error."""
MOST: Final = 8
"""Runs of a load of which nothing more is known."""
UNKNOWN_S: Final = 60.0
"""Seconds that a run, and the load of a model, are taken to need where nothing is known."""


@dataclass(frozen=True)
class JobFacts:
    """What an engine says of a job; of a job that is not known yet, what is usual."""

    cost: Cost | None = None
    mixed: Mixed | None = None
    most: int = MOST
    """Runs of a load with this one."""


class Looks:
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
        self._estimates = Estimates(catalog, settings)
        self._engines: dict[str, Engine] = {}
        self._measured: dict[str, bool] = {}
        self._jobs: dict[str, Job] = {}
        self._faults: dict[str, Exception] = {}
        self._facts: dict[str, JobFacts] = {}
        self.nowhere: dict[str, str] = {}
        """By run for any place that none can take now, of those looked at: why, as a sentence."""

    def waiting(self, run: Run, alone: Collection[str] = ()) -> Waiting:
        """The run as the planner sees it, by what the catalog says. `alone`: see `next_loads`."""
        key = self._key(run)
        known = self._facts.get(run.id, JobFacts())
        gpus = known.cost.gpus if known.cost else 1
        lone = run.id in alone or run.id in self._faults
        places = self._places(run, gpus)
        seconds, load_s = self._times(run, known.cost, places)
        return Waiting(
            run.id,
            (key, run.id) if lone else key,
            run.turn or 0.0,
            run.engine,
            run.model_type,
            places,
            seconds,
            load_s,
            gpus,
            1 if lone else known.most,
            run.queued_at.timestamp() if run.queued_at else None,
            None if lone else known.mixed,
        )

    def _times(self, run: Run, cost: Cost | None, places: Sequence[str]) -> tuple[float, float]:
        """Seconds of a run and of loading its model in the first of its places (the middle)."""
        same = same_of(run, self._prompts.get(run.prompt_id or ""))
        work = work_of_cost(run.engine, run.model_type, cost.model_dump() if cost else {}, same)
        found = self._estimates.of_run(work, places[0] if places else AUTO)
        if found is None:
            return UNKNOWN_S, UNKNOWN_S
        return max(1.0, found.own.p50), found.load.p50 or UNKNOWN_S

    def _key(self, run: Run) -> Hashable:
        """Runs that may share a load have the same key, as far as the catalog knows."""
        where = (run.engine, run.model_type)
        try:
            engine = self._engine(run.engine)
            if run.source:
                return (*where, json.dumps(run.execution_config, sort_keys=True))
            job = self._job_of(run, self._known_inputs(run))
            key = (*where, engine.batch_key(job))
            hash(key)
            self._facts[run.id] = JobFacts(engine.cost(job), engine.mixed(job), _most(engine, job))
        except Exception as e:  # noqa: BLE001 - one run's fault never stops the others
            self._faults[run.id] = e
            return run.id
        self._jobs[run.id] = job
        return key

    def _places(self, run: Run, gpus: int) -> tuple[str, ...]:
        """Where a run may be executed now, the best first."""
        if not run.any_place:
            return (run.backend,)
        try:
            engine = self._engine(run.engine)
            memory = engine.memory_mib()
        except Exception:  # noqa: BLE001 - its run says what is wrong with it, wherever that is
            return tuple(self._settings.places)
        prompt = self._prompts.get(run.prompt_id or "")
        needs = Needs(engine.name, gpus=0 if engine.simulated else gpus, memory_mib=memory)
        scene = self._at.get(prompt.scene, ()) if prompt else ()
        choice = places_for(
            self._settings, needs, self._known, paused=self._paused, with_scene=scene
        )
        if not choice.places:
            self.nowhere[run.id] = choice.said
        return choice.places

    def batches(self, runs: Sequence[Run], mode: Mode) -> list[list[Run]]:
        """The runs of one planned load in batches, by their inputs as they are now."""
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
            planned = batching.plan(self._engine(runs[0].engine), jobs, mode) if jobs else []
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
            from cosmos_pipelines.media.probe import stamp_of  # as in `_glanced_at`

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


def _most(engine: Engine, job: Job) -> int:
    try:
        return max(1, engine.max_batch(job))
    except Exception:  # noqa: BLE001 - `batches` tells what is wrong with the run
        return 1


def _glanced_at(path: Path) -> Video:
    """A video by its header. It is hashed and read to its end when its run starts."""
    from cosmos_pipelines.media.probe import probe  # not for who only shows the queue

    p = probe(path)
    facts = {"size": p.size, "width": p.width, "height": p.height, "frames": p.frames}
    return Video(path=str(path), sha256="", fps=str(p.fps), **facts)
