"""Runs enter the catalog here, checked before anything is written.

A run is planned first (everything that the engine would refuse is refused) and then entered; a dry
run stops after the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cosmos_pipelines.backends.registry import is_remote, place_of
from cosmos_pipelines.catalog.records import ACTIVE, Prompt, Recipe, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import InputError, shown
from cosmos_pipelines.foreign import absolute, is_utf8
from cosmos_pipelines.ids import new_run_id
from cosmos_pipelines.operations import (
    Enhance,
    Job,
    Operation,
    Transfer,
    Upscale,
    Video,
)
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.runs.expected_video import expected_video
from cosmos_pipelines.runs.inputs import measured
from cosmos_pipelines.runs.jobs import finished_video, negative_of, video_to_come
from cosmos_pipelines.runs.locations import as_stored
from cosmos_pipelines.runs.scene_state import scene_videos
from cosmos_pipelines.runs.scenes import Looking, current_scene
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import AUTO


@dataclass(frozen=True)
class Planned:
    """A run that has been checked and can be entered."""

    job: Job
    engine: Engine
    notes: list[str]
    """Sentences worth knowing that do not prevent the run."""
    row: Mapping[str, Any] = field(default_factory=dict)
    """What else its row says: prompt, recipe, parent run, source file."""


def plan_transfer(
    catalog: Catalog,
    settings: Settings,
    prompt_id: str,
    fields: Mapping[str, Any],
    *,
    recipe: str | None = None,
    engine: str | None = None,
    looking: Looking = "renew",
) -> Planned:
    """A transfer of a prompt; `fields` override the recipe's settings.

    `looking`: how its scene is looked at; `foresee` writes nothing.

    Raises:
        InputError: a field, weight or input that the engine would refuse, an unknown id or recipe.
    """
    prompt = catalog.get_prompt(prompt_id)
    known = None if recipe is None else catalog.get_recipe(recipe)
    look = partial(current_scene, catalog, settings, prompt.scene, looking)
    row = {"prompt_id": prompt.id, "recipe": recipe}
    return transfer_of(settings, prompt, known, fields, engine, look, row)


def transfer_of(
    settings: Settings,
    prompt: Prompt,
    recipe: Recipe | None,
    fields: Mapping[str, Any],
    engine: str | None,
    look: Callable[[], SceneRow],
    row: Mapping[str, Any],
) -> Planned:
    """A transfer of a prompt and a recipe that the caller has; `look` gives its scene.

    Raises:
        InputError: as `plan_transfer`.
    """
    base: dict[str, Any] = {}
    if recipe is not None:
        base, engine = dict(recipe.config), engine or recipe.engine
    given = Transfer.parse({**base, **Transfer.named(fields)}, what="inference")
    scene = look()
    chosen = engine_for(settings, "transfer", engine)
    steered = "weights" in chosen.uses.get("transfer", ())
    operation = given.for_scene(scene.facts.keys(), chosen.computes) if steered else given
    return _planned(
        chosen,
        operation,
        prompt.text,
        negative_of(operation, prompt),
        scene_videos(settings, scene),
        row,
    )


def plan_enhance(
    catalog: Catalog,
    settings: Settings,
    prompt_id: str,
    fields: Mapping[str, Any],
    *,
    engine: str | None = None,
    looking: Looking = "renew",
) -> Planned:
    """An enhancement of a prompt. `looking` and errors as for `plan_transfer`."""
    prompt = catalog.get_prompt(prompt_id)
    look = partial(current_scene, catalog, settings, prompt.scene, looking)
    return enhancement_of(settings, prompt, fields, engine, look)


def enhancement_of(
    settings: Settings,
    prompt: Prompt,
    fields: Mapping[str, Any],
    engine: str | None,
    look: Callable[[], SceneRow],
) -> Planned:
    """An enhancement of a prompt that the caller has; `look` gives its scene.

    Raises:
        InputError: as `plan_enhance`.
    """
    return _planned(
        engine_for(settings, "enhance", engine),
        Enhance.parse(fields, what="prompt-enhance"),
        prompt.text,
        prompt.negative_prompt,
        scene_videos(settings, look()),
        {"prompt_id": prompt.id},
    )


def plan_upscale(
    catalog: Catalog,
    settings: Settings,
    parent_run_id: str | None,
    fields: Mapping[str, Any],
    *,
    video: Path | None = None,
    engine: str | None = None,
    queued: bool = False,
) -> Planned:
    """An upscale of a run's video, or of any video file.

    `queued`: in the queue it waits for a run that is not completed yet; so it is planned with the
    video that this run is expected to make, and checked again when it starts.

    Raises:
        InputError: neither or both of run and file given, or an unusable file.
        StateError: the parent run has no finished video, and will not have one.
    """
    operation = Upscale.parse(fields, what="upscale")
    chosen = engine_for(settings, "upscale", engine)
    if parent_run_id is not None and video is None:
        parent = catalog.get_run(parent_run_id)
        if queued and parent.status in ("pending", *ACTIVE):
            inputs = {"video": video_to_come(catalog, settings, parent)}
        else:
            inputs = {"video": finished_video(settings, parent)}
        prompt = catalog.get_prompt(parent.prompt_id) if parent.prompt_id else None
        return _planned(
            chosen,
            operation,
            prompt.text if prompt else "",
            prompt.negative_prompt if prompt else None,
            inputs,
            {"parent_run_id": parent.id, "prompt_id": parent.prompt_id},
        )
    if video is None or parent_run_id is not None:
        raise InputError("Give either a run or --video FILE to upscale.")
    source = absolute(video)
    if not is_utf8(source):
        raise InputError(f"The name of {shown(source)} is no UTF-8.", hint="Rename it.")
    inputs = {"video": measured(source)}
    row = {"source": {"video": as_stored(settings, source)}}
    return _planned(chosen, operation, "", None, inputs, row)


def plan_upscale_of(
    settings: Settings,
    planned: Planned,
    fields: Mapping[str, Any] | None = None,
    engine: str | None = None,
) -> Planned:
    """The 4K of the video that a planned transfer is expected to make.

    `fields`, `engine`: by default the usual ones.

    Raises:
        InputError: the engine would refuse it.
    """
    return _planned(
        engine_for(settings, "upscale", engine),
        Upscale.parse(fields or {}, what="upscale"),
        planned.job.text,
        planned.job.negative_prompt,
        {"video": expected_video(settings, planned.engine, planned.job)},
        {"parent_run_id": planned.job.run_id, "prompt_id": planned.row.get("prompt_id")},
    )


def backend_name(settings: Settings, backend: str | None) -> str:
    """Return the name of a backend, or `auto`; by default that of new runs.

    Raises:
        SettingsError: there is none of this name, or no host is set for it.
    """
    name = backend or settings.execution.backend
    if name == AUTO:
        return name
    if is_remote(settings, name):
        settings.ssh_target(place_of(settings, name))
    return name


def _planned(
    engine: Engine,
    operation: Operation,
    text: str,
    negative_prompt: str | None,
    inputs: Mapping[str, Video],
    row: Mapping[str, Any],
) -> Planned:
    job = Job(
        run_id=new_run_id(),
        operation=engine.settled(operation),
        text=text,
        negative_prompt=negative_prompt,
        inputs=inputs,
    )
    return Planned(job, engine, engine.check(job), row)
