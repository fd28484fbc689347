"""The documents that Cosmos-Transfer2.5 reads, and the expected result. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cosmos_pipelines.engines.controls import (
    given_passes,
    negative_of,
    transfer_of,
    used_videos,
    weight_of,
)
from cosmos_pipelines.engines.cosmos import Placed
from cosmos_pipelines.engines.geometry import Size
from cosmos_pipelines.engines.separate import frames_of
from cosmos_pipelines.operations.base import CONTROL_PASS, CONTROLS, Expected, Job, Video
from cosmos_pipelines.operations.transfer import Transfer


def rate_of(video: Video) -> int:
    """Return the frames a second of the result: the input's rate without its fraction."""
    return int(video.rate)


def size_of(video: Video) -> Size:
    """Return width and height of the result: the input's size, made even."""
    return video.width // 2 * 2, video.height // 2 * 2


def spec_of(job: Job, placed: Placed, controls: Sequence[str]) -> dict[str, Any]:
    """Return a sample's document. The model refuses unknown keys, and numbers instead of texts.

    `controls`: the controls of the whole process. If there are several, every sample names all four
    branches: a missing branch is reported to spoil the picture.
    """
    operation = transfer_of(job)
    spec: dict[str, Any] = {
        "name": job.run_id,
        "prompt": job.text,
        "video_path": placed.path("color", job.inputs["color"]),
        "seed": operation.seed,
        "guidance": int(operation.guidance or 0),
        "num_steps": operation.num_steps,
        "resolution": operation.resolution,
        "num_conditional_frames": operation.num_conditional_frames,
    }
    if (negative := negative_of(job)) is not None:
        spec["negative_prompt"] = negative
    if operation.sigma_max is not None:
        spec["sigma_max"] = repr(operation.sigma_max).removesuffix(".0")
    if operation.max_frames is not None:
        spec["max_frames"] = frames_of(job)
    branches = CONTROLS if len(controls) > 1 else controls
    return spec | {control: _section(job, operation, placed, control) for control in branches}


def _section(job: Job, operation: Transfer, placed: Placed, control: str) -> dict[str, Any]:
    weight = weight_of(operation, control)
    section: dict[str, Any] = {"control_weight": weight}
    if weight == 0:  # the model does not compute a control that has any existing file
        return section | {"control_path": placed.path("color", job.inputs["color"])}
    passes = given_passes(job, [control])
    if control in passes:
        section["control_path"] = placed.path(CONTROL_PASS[control], passes[control])
    elif control == "edge":
        section["preset_edge_threshold"] = operation.canny_threshold
    elif control == "vis":
        section["preset_blur_strength"] = operation.blur_strength
    elif control == "seg" and operation.control_prompt is not None:
        section["control_prompt"] = operation.control_prompt
    if operation.mask_prompt is not None:
        section["mask_prompt"] = operation.mask_prompt
    return section


def expected_of(job: Job) -> Expected:
    """Return the expected video."""
    color = job.inputs["color"]
    rate = str(rate_of(color))
    return Expected.video(job.run_id, size_of(color), frames_of(job), rate, used_videos(job))
