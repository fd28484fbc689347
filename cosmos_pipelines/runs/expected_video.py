"""The video that a run is expected to make, before it is made."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.engines import Engine
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.ids import order_id
from cosmos_pipelines.operations import Job, Video
from cosmos_pipelines.settings import Settings


def expected_video(settings: Settings, engine: Engine, job: Job) -> Video:
    """Size, length and rate of a job's video as its engine predicts them; no file, no hash.

    Raises:
        InputError: the engine does not predict them.
    """
    for file in engine.compile([job], order_id((job.run_id,), 1)).expected:
        if file.run_id != job.run_id or file.kind != "video":
            continue
        if file.width and file.height and file.frames and file.fps:
            return Video(
                path=str(settings.outputs / f"run_{job.run_id}" / Path(file.name).name),
                sha256="",
                size=0,
                width=file.width,
                height=file.height,
                frames=file.frames,
                fps=file.fps,
            )
    raise InputError(
        f"{engine.label} does not say what video run {job.run_id} will be.",
        hint="Order its 4K when the video is there.",
    )
