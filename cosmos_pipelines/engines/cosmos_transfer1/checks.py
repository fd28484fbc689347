"""Refuse what Cosmos-Transfer1 cannot do, and note what it does without a message. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cosmos_pipelines.engines.controls import (
    computed,
    computed_notes,
    controls_of,
    found_notes,
    given_passes,
    idle_notes,
    negative_of,
    weight_notes,
)
from cosmos_pipelines.engines.cosmos_transfer1.facts import CHUNK, RANDOM, REGION_CELLS, T5_TOKENS
from cosmos_pipelines.engines.cosmos_transfer1.request import pieces_of, rate_of, size_of
from cosmos_pipelines.engines.geometry import (
    aspect_of,
    check_agrees,
    check_length,
    chunk_notes,
    stretched,
)
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.base import CONTROL_PASS, Job, Video
from cosmos_pipelines.operations.transfer import Region, Transfer
from cosmos_pipelines.operations.upscale import Upscale


def check_transfer(operation: Transfer, job: Job, color: Video) -> list[str]:
    """Refuse what cannot be generated; return notes for the user. Raises InputError."""
    check_length(color)
    controls = controls_of(operation)
    for control, video in given_passes(job, controls).items():
        check_agrees(CONTROL_PASS[control], video, color)
    _check_settings(operation, controls, color)
    if negative_of(job) == "":  # torch.cat of None, world_generation_pipeline.py:448
        raise InputError(
            "Cosmos-Transfer1 crashes with an empty negative prompt.",
            hint="Leave the negative prompt out: then NVIDIA's own is used.",
        )
    notes = [n for n in [stretched(color, size_of(color))] if n]
    notes += chunk_notes(color.frames, CHUNK, 1, "short clips are reported to come out noisy")
    notes += weight_notes(operation)
    notes += _computed_notes(job, operation)
    notes += idle_notes(job, operation, ("blur_strength", "control_prompt"))
    notes += _mask_notes(operation, controls, color)
    notes += _region_notes(operation, color)
    notes += _rate_notes(color, operation.fps)
    if operation.use_distilled:
        notes.append("The distilled model takes one step; num_steps has no effect.")
    return [*notes, *_text_notes(job.text)]


def check_upscale(operation: Upscale, video: Video) -> list[str]:
    """Refuse what cannot be upscaled; return notes for the user. Raises InputError."""
    if operation.control_weight == 0:
        raise InputError(
            "control_weight 0 would make a video without any likeness to its source.",
            hint="Set control_weight above 0; 0.5 is usual.",
        )
    check_length(video, most=None)  # no limit: the video is upscaled in pieces
    width, height = size_of(video)
    notes = [f"The result is {3 * width}x{3 * height}: exactly three times {width}x{height}."]
    notes += [n for n in [stretched(video, (width, height))] if n]
    pieces = pieces_of(video.frames)
    if len(pieces) > 1:
        notes.append(
            f"{video.frames} frames are upscaled in {len(pieces)} pieces of {CHUNK}, in one model "
            "load, and joined."
        )
    elif video.frames < CHUNK:
        notes.append(f"{video.frames} frames cost as much as {CHUNK}.")
    return notes + _rate_notes(video, None)


def _check_settings(operation: Transfer, controls: Sequence[str], color: Video) -> None:
    if operation.sigma_max is not None and operation.sigma_max > 80:
        raise InputError(
            f"sigma_max {operation.sigma_max:g} is too much for Cosmos-Transfer1: 0 to 80.",
            hint="From 80 on the model would not use the input.",
        )
    if operation.use_distilled and tuple(controls) != ("edge",):
        raise InputError(
            f"The distilled model knows only the control edge, not {', '.join(controls)}.",
            hint="Give the other controls a weight of 0, or leave out use_distilled.",
        )
    if operation.mask_prompt is not None and "seg" not in controls:
        raise InputError(
            "Cosmos-Transfer1 applies mask_prompt to seg only, which has no weight here.",
            hint="Give seg a weight, or leave out mask_prompt.",
        )
    if operation.regional_prompts:
        _check_regions(operation, color)


def _check_regions(operation: Transfer, color: Video) -> None:
    """Refuse regions that would crash the model, be dropped, or change the wrong place.

    The model draws all regions on the grid of a 1280x704 video (see `REGION_CELLS`), and splits
    them over the GPUs along their 121 frames.
    """
    if operation.use_distilled:
        raise InputError(
            "The distilled model drops regional prompts without a message.",
            hint="Leave out use_distilled or the regions.",
        )
    if operation.num_gpus > 1:
        raise InputError(
            f"Cosmos-Transfer1 can use regional prompts on one GPU only, not on "
            f"{operation.num_gpus}: it would crash after loading the model.",
            hint="Leave out num_gpus or the regions.",
        )
    if color.frames < CHUNK:
        raise InputError(
            f"Regional prompts need at least {CHUNK} frames; {color.path} has {color.frames}.",
            hint="Render a longer clip, or leave the regions out.",
        )
    size, aspect = f"{color.width}x{color.height}", aspect_of(color.width, color.height)
    if aspect != "16:9":
        raise InputError(
            f"Cosmos-Transfer1 can use regional prompts for 16:9 only: at {aspect} it would crash "
            f"or change the wrong place of the picture. {color.path} is {size}.",
            hint="Render the scene at 1280x704, or leave the regions out.",
        )
    for number, region in enumerate(operation.regional_prompts, 1):
        if region.box is None and not _fits_the_grid(color):
            raise InputError(
                f"Region {number} has a mask_prompt, for which color must be 1280x704; "
                f"{color.path} is {size}, and the model would crash.",
                hint="Give the region as a box, or render the scene at 1280x704.",
            )
        if region.box is not None and _is_empty(region):
            shown = ", ".join(f"{n:g}" for n in region.box)
            raise InputError(
                f"Region {number} has the box {shown}, which covers no part of the picture.",
                hint="A box is left, top, right, bottom, as fractions of the picture; it must be "
                "at least a fortieth of the picture wide and a twentieth high.",
            )


def _fits_the_grid(color: Video) -> bool:
    """Whether the mask of this video has the cells of `REGION_CELLS`."""
    return (color.width // 8, color.height // 8) == REGION_CELLS


def _is_empty(region: Region) -> bool:
    """Whether no 2x2 cells are covered whole by a box."""
    assert region.box is not None
    left, top, right, bottom = region.box
    columns, rows = REGION_CELLS
    across = int(right * columns) // 2 - -(-int(left * columns) // 2)
    down = int(bottom * rows) // 2 - -(-int(top * rows) // 2)
    return across <= 0 or down <= 0


def _text_notes(text: str) -> list[str]:
    tokens = len(text) // 4  # a token of T5 has about four letters of English
    if tokens <= T5_TOKENS:
        return []
    return [f"The prompt has about {tokens} tokens; the model reads the first {T5_TOKENS}."]


def _computed_notes(job: Job, operation: Transfer) -> list[str]:
    notes, names = [], computed(job, operation)
    if drawn := [c for c in names if c in RANDOM]:
        files = " and ".join(f"{CONTROL_PASS[c]}.mp4" for c in drawn)
        notes.append(
            f"The model computes {' and '.join(drawn)} with random strengths, so this run shares "
            f"no model load: add {files} to the scene to change that."
        )
    notes += computed_notes(c for c in names if c not in RANDOM)
    if "keypoint" in names:
        notes.append("The first run with keypoint downloads the files that find people's poses.")
    return notes + found_notes(job, operation)


def _mask_notes(operation: Transfer, controls: Sequence[str], color: Video) -> list[str]:
    if operation.mask_prompt is None:
        return []
    notes = []
    if len(controls) > 1:
        notes.append("mask_prompt counts only for seg; the other controls count everywhere.")
    if color.frames > CHUNK:
        notes.append(f"The mask follows the picture for {CHUNK} frames; then it stands still.")
    return notes


def _region_notes(operation: Transfer, color: Video) -> list[str]:
    if color.frames <= CHUNK or not any(r.mask_prompt for r in operation.regional_prompts):
        return []
    return [
        f"The mask of a region follows the picture for {CHUNK} frames; then each chunk has the "
        "same mask again."
    ]


def _rate_notes(video: Video, fps: int | None) -> list[str]:
    rate = rate_of(video, fps)
    if rate == video.rate:
        return []
    return [f"The same {video.frames} frames play at {rate} a second instead of {video.fps}."]
