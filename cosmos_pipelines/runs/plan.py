"""Runs enter the catalog here, checked before anything is written.

A run is planned first (everything that the engine would refuse is refused) and then entered; a dry
run stops after the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cosmos_pipelines import batching
from cosmos_pipelines.backends.registry import is_remote, place_of
from cosmos_pipelines.catalog.records import ACTIVE, Prompt, Recipe, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import InputError, StateError, shown
from cosmos_pipelines.foreign import absolute, is_utf8
from cosmos_pipelines.ids import new_run_id, order_id
from cosmos_pipelines.operations import (
    Enhance,
    Job,
    Operation,
    Order,
    Transfer,
    Upscale,
    Video,
    operation_from,
)
from cosmos_pipelines.runs.engine_choice import engine_for
from cosmos_pipelines.runs.estimates.model import Estimates
from cosmos_pipelines.runs.estimates.money import priced
from cosmos_pipelines.runs.expected_video import expected_video
from cosmos_pipelines.runs.inputs import measured
from cosmos_pipelines.runs.locations import as_stored, located
from cosmos_pipelines.runs.scenes import Looking, current_scene, scene_videos
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
        _negative(operation, prompt),
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
            inputs = {"video": _video_to_come(catalog, settings, parent)}
        else:
            inputs = {"video": _finished_video(settings, parent)}
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


def plan_upscale_of(settings: Settings, planned: Planned) -> Planned:
    """The 4K, with its usual settings, of the video that a planned transfer is expected to make.

    Raises:
        InputError: the engine would refuse it.
    """
    return _planned(
        engine_for(settings, "upscale"),
        Upscale(),
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


def job_of(
    catalog: Catalog,
    settings: Settings,
    run: Run,
    prompt: Prompt | None,
    looking: Looking = "renew",
    inputs: Mapping[str, Video] | None = None,
) -> Job:
    """The job that a stored run of this prompt describes, with its inputs as they are now.

    `looking`: how its scene is looked at. `inputs`: those that the caller knows; no file is looked
    at then.

    Raises:
        InputError: an input is gone or unusable.
        StateError: the parent's video is not there any more.
    """
    operation = operation_from(run.model_type, run.execution_config)
    if inputs is None:
        inputs = _inputs_now(catalog, settings, run, prompt, looking)
    return Job(
        run_id=run.id,
        operation=operation,
        text=prompt.text if prompt else "",
        negative_prompt=_negative(operation, prompt),
        inputs=inputs,
    )


def _negative(operation: Operation, prompt: Prompt | None) -> str | None:
    """What to avoid: the run's own words, also "" (nothing), else those of its prompt."""
    if isinstance(operation, Transfer) and operation.negative_prompt is not None:
        return operation.negative_prompt
    return prompt.negative_prompt if prompt else None


def _inputs_now(
    catalog: Catalog, settings: Settings, run: Run, prompt: Prompt | None, looking: Looking
) -> Mapping[str, Video]:
    if run.parent_run_id:
        return {"video": _finished_video(settings, catalog.get_run(run.parent_run_id))}
    if run.source:
        return {"video": measured(located(settings, run.source["video"]))}
    assert prompt is not None
    return scene_videos(settings, current_scene(catalog, settings, prompt.scene, looking))


def as_orders(
    catalog: Catalog, settings: Settings, planned: Iterable[Planned], backend: str | None
) -> list[dict[str, Any]]:
    """The orders that planned runs would become, batched, as plain data."""
    where, estimates = backend_name(settings, backend), Estimates(catalog, settings)
    planned = list(planned)
    names = catalog.find_prompts(p.row["prompt_id"] for p in planned if p.row.get("prompt_id"))
    by_engine: dict[str, list[Planned]] = {}
    for plan in planned:
        by_engine.setdefault(plan.engine.name, []).append(plan)
    orders = []
    for mine in by_engine.values():
        engine = mine[0].engine
        notes = {plan.job.run_id: (_called(names, plan), plan.notes) for plan in mine}
        for batch in batching.plan(engine, [plan.job for plan in mine]):
            ids = tuple(job.run_id for job in batch)
            order = compiled(settings, engine, batch, order_id(ids, 1))
            orders.append(
                {
                    "engine": engine.label,
                    "simulated": engine.simulated,
                    "backend": where,
                    "order": order.model_dump(mode="json"),
                    "expected": [e.model_dump(mode="json") for e in order.expected],
                    "estimate": priced(settings, where, estimates.of_order(order, where)),
                    "notes": _notes([notes[run_id] for run_id in ids]),
                }
            )
    return orders


def _called(prompts: Mapping[str, Prompt], plan: Planned) -> str:
    """What a user calls a planned run: by its prompt."""
    prompt = prompts.get(plan.row.get("prompt_id") or "")
    return prompt.name if prompt else "the video"


def _notes(runs: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Each sentence once; with whom it concerns, if not all of them."""
    said: dict[str, list[str]] = {}
    for name, notes in runs:
        for note in notes:
            said.setdefault(note, []).append(name)
    return [
        note if len(names) == len(runs) else f"{', '.join(dict.fromkeys(names))}: {note}"
        for note, names in said.items()
    ]


def compiled(settings: Settings, engine: Engine, jobs: Sequence[Job], name: str) -> Order:
    """The order for `jobs`, with the time that they may take together."""
    seconds = sum(settings.timeout_s(engine, job) for job in jobs)
    costs = {job.run_id: cost.model_dump() for job in jobs if (cost := engine.cost(job))}
    more = {"timeout_s": seconds, "costs": costs, "added": batching.added_controls(engine, jobs)}
    return engine.compile(jobs, name).model_copy(update=more)


def _video_to_come(catalog: Catalog, settings: Settings, run: Run) -> Video:
    """The video that a run which waits or runs is expected to make. Raises StateError: none."""
    if run.model_type == "enhance":
        raise StateError(f"Run {run.id} makes no video, so there is nothing to upscale.")
    prompt = catalog.find_prompts([run.prompt_id]).get(run.prompt_id) if run.prompt_id else None
    parent = catalog.find_run(run.parent_run_id) if run.parent_run_id else None
    inputs = None
    if parent is not None and parent.status != "completed":
        inputs = {"video": _video_to_come(catalog, settings, parent)}
    job = job_of(catalog, settings, run, prompt, "foresee", inputs)
    return expected_video(settings, settings.engine(run.engine), job)


def _finished_video(settings: Settings, run: Run) -> Video:
    """The video of a completed run, which is the one that was verified when the run completed.

    Raises:
        StateError: there is none, or another file is in its place.
        MediaError: it cannot be read.
    """
    if run.status != "completed" or "video" not in run.outputs:
        made = "makes no video" if run.model_type == "enhance" else f"is {run.status}"
        hint = f"See `cosmos why {run.id}`." if run.status == "failed" else None
        raise StateError(f"Run {run.id} {made}, so there is nothing to upscale.", hint=hint)
    path = settings.home / str(run.outputs["video"])
    video = measured(path)
    if video.sha256 != run.outputs.get("sha256", video.sha256):
        raise StateError(
            f"{path} is not the video that run {run.id} made: its hash is another.",
            hint=f"`cosmos run --again {run.id}` makes it again; "
            f"`cosmos upscale --video {path}` takes the file as it is.",
        )
    return video


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
