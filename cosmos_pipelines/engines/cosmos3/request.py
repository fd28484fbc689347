"""The documents that Cosmos 3 reads for a transfer, and the expected result. Pure."""

from __future__ import annotations

from typing import Any

from cosmos_pipelines.engines.controls import (
    computed,
    controls_of,
    given_passes,
    negative_of,
    transfer_of,
    used_videos,
    weight_of,
)
from cosmos_pipelines.engines.cosmos import Placed
from cosmos_pipelines.engines.cosmos3.facts import (
    CHUNK,
    CONTROL_GUIDANCE,
    HINTS,
    SEG_GUIDANCE,
    SHIFT,
    SIZES,
)
from cosmos_pipelines.engines.geometry import Size, aspect_of
from cosmos_pipelines.engines.separate import frames_of
from cosmos_pipelines.operations.base import CONTROL_PASS, Expected, Job
from cosmos_pipelines.operations.transfer import Transfer


def rate_of(job: Job) -> int:
    """Return the frames a second of the result; the model takes only whole numbers."""
    return transfer_of(job).fps or max(1, round(job.inputs["color"].rate))


def size_of(job: Job) -> Size:
    """Return width and height of the result."""
    color = job.inputs["color"]
    return SIZES[str(transfer_of(job).resolution)][aspect_of(color.width, color.height)]


def spec_of(job: Job, placed: Placed) -> dict[str, Any]:
    """Return a sample's document. The model refuses every unknown key.

    Left out: `num_frames`, which limits nothing; the colour pass if no control is computed from it,
    since the pass's rate would count instead of `fps`.
    """
    operation, color = transfer_of(job), job.inputs["color"]
    controls = controls_of(operation)
    spec: dict[str, Any] = {
        "name": job.run_id,
        "model_mode": "video2video",
        "prompt": job.text,
        "negative_prompt": negative_of(job) or "",
        # the defaults would put the picture's own length and size into the negative prompt
        "negative_metadata_mode": "none",
        "negative_prompt_keep_metadata": False,
        "seed": operation.seed,
        "num_steps": operation.num_steps,
        "guidance": operation.guidance,
        "control_guidance": SEG_GUIDANCE if controls == ("seg",) else CONTROL_GUIDANCE,
        "shift": SHIFT,
        "resolution": operation.resolution,
        "aspect_ratio": aspect_of(color.width, color.height).replace(":", ","),
        "fps": rate_of(job),
        "num_video_frames_per_chunk": CHUNK,
        "num_conditional_frames": operation.num_conditional_frames,
    }
    if operation.max_frames is not None:
        spec["max_frames"] = frames_of(job)
    if computed(job, operation):
        spec["vision_path"] = placed.path("color", color)
    hints = {c: hint for c, hint in HINTS.items() if c in controls}
    return spec | {hint: _hint(job, operation, placed, c) for c, hint in hints.items()}


def _hint(job: Job, operation: Transfer, placed: Placed, control: str) -> dict[str, Any]:
    hint: dict[str, Any] = {}
    passes = given_passes(job, [control])
    if control in passes:
        hint["control_path"] = placed.path(CONTROL_PASS[control], passes[control])
    elif control == "edge":
        hint["preset_edge_threshold"] = operation.canny_threshold
    elif control == "vis":
        hint["preset_blur_strength"] = operation.blur_strength
    weights = {weight_of(operation, c) for c in controls_of(operation)}
    if len(weights) > 1:  # equal weights change nothing, and older versions refuse the key
        hint["weight"] = weight_of(operation, control)
    return hint


def expected_of(job: Job) -> Expected:
    """Return the expected video."""
    used = used_videos(job)
    if not computed(job, transfer_of(job)):
        del used["color"]
    return Expected.video(job.run_id, size_of(job), frames_of(job), str(rate_of(job)), used)
