"""The jobs that stored runs describe, with their inputs, and the orders of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cosmos_pipelines import batching
from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.operations import (
    Job,
    Operation,
    Order,
    Transfer,
    Video,
    operation_from,
)
from cosmos_pipelines.runs.expected_video import expected_video
from cosmos_pipelines.runs.inputs import measured
from cosmos_pipelines.runs.locations import located
from cosmos_pipelines.runs.scene_state import scene_videos
from cosmos_pipelines.runs.scenes import Looking, current_scene
from cosmos_pipelines.settings import Settings


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
        negative_prompt=negative_of(operation, prompt),
        inputs=inputs,
    )


def negative_of(operation: Operation, prompt: Prompt | None) -> str | None:
    """What to avoid: the run's own words, also "" (nothing), else those of its prompt."""
    if isinstance(operation, Transfer) and operation.negative_prompt is not None:
        return operation.negative_prompt
    return prompt.negative_prompt if prompt else None


def _inputs_now(
    catalog: Catalog, settings: Settings, run: Run, prompt: Prompt | None, looking: Looking
) -> Mapping[str, Video]:
    if run.parent_run_id:
        return {"video": finished_video(settings, catalog.get_run(run.parent_run_id))}
    if run.source:
        return {"video": measured(located(settings, run.source["video"]))}
    assert prompt is not None
    return scene_videos(settings, current_scene(catalog, settings, prompt.scene, looking))


def compiled(settings: Settings, engine: Engine, jobs: Sequence[Job], name: str) -> Order:
    """The order for `jobs`, with the time that they may take together."""
    seconds = sum(settings.timeout_s(engine, job) for job in jobs)
    costs = {job.run_id: cost.model_dump() for job in jobs if (cost := engine.cost(job))}
    more = {"timeout_s": seconds, "costs": costs, "added": batching.added_controls(engine, jobs)}
    return engine.compile(jobs, name).model_copy(update=more)


def video_to_come(catalog: Catalog, settings: Settings, run: Run) -> Video:
    """The video that a run which waits or runs is expected to make. Raises StateError: none."""
    if run.model_type == "enhance":
        raise StateError(f"Run {run.id} makes no video, so there is nothing to upscale.")
    prompt = catalog.find_prompts([run.prompt_id]).get(run.prompt_id) if run.prompt_id else None
    parent = catalog.find_run(run.parent_run_id) if run.parent_run_id else None
    inputs = None
    if parent is not None and parent.status != "completed":
        inputs = {"video": video_to_come(catalog, settings, parent)}
    job = job_of(catalog, settings, run, prompt, "foresee", inputs)
    return expected_video(settings, settings.engine(run.engine), job)


def finished_video(settings: Settings, run: Run) -> Video:
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
