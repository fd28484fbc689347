"""The documents that Cosmos 3 reads for a transfer, and the expected result. Pure."""

from __future__ import annotations

from fractions import Fraction
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
    SIZES,
)
from cosmos_pipelines.engines.geometry import Size, aspect_of
from cosmos_pipelines.engines.separate import frames_of
from cosmos_pipelines.operations.base import CONTROL_PASS, Expected, Job
from cosmos_pipelines.operations.transfer import Transfer


def rate_of(job: Job) -> Fraction:
    """Return the frames a second of the result.

    The document's `fps` is a whole number. The rate of the colour pass, if the model reads the
    pass, stays as it is (`output_fps` of inference/transfer.py): 30000/1001 is written as 29.97.
    Below 1 the model would divide by 0.
    """
    operation, color = transfer_of(job), job.inputs["color"]
    if computed(job, operation) or (operation.fps is None and color.rate >= 1):
        return color.rate
    return Fraction(operation.fps or 1)


def reads_color(job: Job) -> bool:
    """Whether the model reads the colour pass: to compute a control, or for a broken rate."""
    return bool(computed(job, transfer_of(job))) or rate_of(job).denominator != 1


def size_of(job: Job) -> Size:
    """Return width and height of the result."""
    color = job.inputs["color"]
    return SIZES[str(transfer_of(job).resolution)][aspect_of(color.width, color.height)]


def spec_of(job: Job, placed: Placed) -> dict[str, Any]:
    """Return a sample's document. The model refuses every unknown key.

    Left out: `num_frames`, which limits nothing; `negative_prompt` if nobody gave one, since any
    text, also an empty one, replaces NVIDIA's own of 14,850 characters (neg_prompts.json); the
    colour pass unless it is read, since its rate counts instead of `fps`.
    """
    operation, color = transfer_of(job), job.inputs["color"]
    controls = controls_of(operation)
    spec: dict[str, Any] = {
        "name": job.run_id,
        "model_mode": "video2video",
        "prompt": job.text,
        # as in NVIDIA's own transfers; the defaults would put length and size into the negative one
        "negative_metadata_mode": "none",
        "negative_prompt_keep_metadata": False,
        "seed": operation.seed,
        "num_steps": operation.num_steps,
        "guidance": operation.guidance,
        "control_guidance": SEG_GUIDANCE if controls == ("seg",) else CONTROL_GUIDANCE,
        "resolution": operation.resolution,
        "aspect_ratio": aspect_of(color.width, color.height).replace(":", ","),
        "fps": max(1, round(rate_of(job))),
        "num_video_frames_per_chunk": CHUNK,
        "num_conditional_frames": operation.num_conditional_frames,
    }
    if (negative := negative_of(job)) is not None:
        spec["negative_prompt"] = negative
    if operation.max_frames is not None:
        spec["max_frames"] = frames_of(job)
    if reads_color(job):
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
    if not reads_color(job):
        del used["color"]
    return Expected.video(job.run_id, size_of(job), frames_of(job), str(rate_of(job)), used)
