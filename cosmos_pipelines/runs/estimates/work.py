"""What a run asks of its place, as far as its time depends on it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loguru import logger

from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.operations import Job, Video, operation_from
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.scene_state import scene_videos
from cosmos_pipelines.settings import Settings


@dataclass(frozen=True)
class Work:
    """The work of one run; runs of equal work take about the same time in the same place."""

    engine: str
    model_type: str
    gpus: int = 1
    kind: str | None = None
    """As of `Cost`; None: the engine does not count in chunks and steps."""
    chunks: int = 1
    steps: int = 1
    same: Hashable = None
    """Scene and all settings but the seed; None: not known."""

    @property
    def units(self) -> int:
        """Chunks x steps, to which the time is proportional."""
        return self.chunks * self.steps

    def alike(self, other: Work) -> bool:
        """Whether the time of `other` says that of this one, by their units."""
        mine = (self.engine, self.model_type, self.gpus, self.kind)
        theirs = (other.engine, other.model_type, other.gpus, other.kind)
        return self.kind is not None and mine == theirs


def work_of_cost(
    engine: str, model_type: str, cost: Mapping[str, Any], same: Hashable = None
) -> Work:
    """Return the work of a cost, or of the record of one; of a record without one, by `same`."""
    counts = [cost.get(name) for name in ("chunks", "steps", "gpus")]
    chunks, steps, gpus = (n if type(n) is int and n > 0 else None for n in counts)
    if chunks is None or steps is None:
        return Work(engine, model_type, gpus or 1, same=same)
    return Work(engine, model_type, gpus or 1, str(cost.get("kind", "")), chunks, steps, same)


def works_of_order(order: Order) -> list[Work] | None:
    """Return the work of each run of an order; None where its engine does not count."""
    if not order.costs:
        return None
    return [work_of_cost(order.engine, order.model_type, cost) for cost in order.costs.values()]


class Works:
    """The works of runs in the catalog, from what the catalog knows of their inputs.

    Reads the prompts, scenes and parent runs of all of them at once, and no file.
    """

    def __init__(self, catalog: Catalog, settings: Settings, runs: Iterable[Run]) -> None:
        runs = list(runs)
        self._settings = settings
        self._prompts = catalog.find_prompts({r.prompt_id for r in runs if r.prompt_id})
        self._scenes = catalog.find_scenes({p.scene for p in self._prompts.values()})
        self._parents = catalog.find_runs({r.parent_run_id for r in runs if r.parent_run_id})
        self._known: dict[Hashable, Work] = {}

    def of(self, run: Run) -> Work:
        """Return the work of a run."""
        scene, parent = self._scene_of(run), self._parents.get(run.parent_run_id or "")
        same = same_of(run, self._prompt_of(run))
        frames = parent.outputs.get("frames") if parent else None
        key = (same, scene.digest if scene else None, frames)
        if key not in self._known:
            cost = self._cost(run, scene, parent) or {}
            self._known[key] = work_of_cost(run.engine, run.model_type, cost, same)
        return self._known[key]

    def _prompt_of(self, run: Run) -> Prompt | None:
        return self._prompts.get(run.prompt_id or "")

    def _scene_of(self, run: Run) -> SceneRow | None:
        prompt = self._prompt_of(run)
        return self._scenes.get(prompt.scene) if prompt else None

    def _cost(self, run: Run, scene: SceneRow | None, parent: Run | None) -> dict[str, Any] | None:
        """The cost that its engine gives; None if it gives none, or the inputs are not known."""
        prompt = self._prompt_of(run)
        try:
            engine = self._settings.engine(run.engine)
            passes = scene_videos(self._settings, scene) if scene else {}
            inputs = _video_of(parent, passes) if run.parent_run_id else passes
            if not inputs:
                return None
            operation = operation_from(run.model_type, run.execution_config)
            text = prompt.text if prompt else ""
            cost = engine.cost(Job(run_id=run.id, operation=operation, text=text, inputs=inputs))
        except Exception as e:  # noqa: BLE001 - an engine of another package may raise anything
            unexpected = None if isinstance(e, CosmosError) else e
            logger.opt(exception=unexpected).debug("{id}: its work is unknown: {e}", id=run.id, e=e)
            return None
        return cost.model_dump() if cost else None


def same_of(run: Run, prompt: Prompt | None) -> Hashable:
    """Return a key: equal for runs of one scene (or file) with equal settings but the seed."""
    settings = {name: value for name, value in run.execution_config.items() if name != "seed"}
    about = prompt.scene if prompt else str((run.source or {}).get("video"))
    return (run.engine, run.model_type, about, content_hash(settings))


def _video_of(parent: Run | None, scene: Mapping[str, Video]) -> dict[str, Video]:
    """The video of a run: as it recorded it, or before its end as long as its scene."""
    if parent is None:
        return {}
    if parent.status != "completed":
        return {"video": scene["color"]} if "color" in scene else {}
    facts = {name: parent.outputs.get(name) for name in Video.model_fields if name != "path"}
    return {"video": Video(path=str(parent.outputs.get("video")), **facts)}
