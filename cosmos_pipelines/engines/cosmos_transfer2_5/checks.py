"""Refuse what Cosmos-Transfer2.5 cannot do, and note what it does without a message. Pure."""

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
from cosmos_pipelines.engines.cosmos_transfer2_5.facts import (
    CHUNK,
    DEPTH_FILE,
    DISTILLED_STEPS,
    MOST_GUIDANCE,
    SIZES,
)
from cosmos_pipelines.engines.cosmos_transfer2_5.request import rate_of, size_of
from cosmos_pipelines.engines.geometry import (
    LONGEST,
    aspect_of,
    check_agrees,
    check_length,
)
from cosmos_pipelines.engines.guardrail import check_asterisks
from cosmos_pipelines.engines.separate import frames_of, length_notes
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.base import CONTROL_PASS, Job, Video
from cosmos_pipelines.operations.transfer import Transfer


def check_transfer(operation: Transfer, job: Job, color: Video) -> list[str]:
    """Refuse what cannot be generated; return notes for the user. Raises InputError."""
    controls = controls_of(operation)
    _check_lengths(operation, color)
    for control, video in given_passes(job, controls).items():
        check_agrees(CONTROL_PASS[control], video, color)
    _check_settings(operation, color)
    if operation.use_distilled:
        _check_distilled(controls, frames_of(job))
    else:
        check_asterisks("negative prompt", negative_of(job))
        if negative_of(job) == "":
            raise InputError(
                "Cosmos-Transfer2.5's guardrail blocks an empty negative prompt.",
                hint="Leave the negative prompt out: then NVIDIA's own is used.",
            )
    return [
        *_size_notes(operation, color),
        *length_notes(operation, job, CHUNK),
        *weight_notes(operation),
        *_computed_notes(computed(job, operation)),
        *found_notes(job, operation),
        *idle_notes(job, operation),
        *_rate_notes(color),
        *_setting_notes(operation, job),
    ]


def _check_lengths(operation: Transfer, color: Video) -> None:
    overlap = operation.num_conditional_frames or 0
    check_length(color, max(2, overlap + 1), None if operation.max_frames else LONGEST)
    if operation.max_frames is not None and operation.max_frames <= max(1, overlap):
        raise InputError(
            f"max_frames {operation.max_frames} leaves too few frames for a video: "
            f"at least {max(2, overlap + 1)} are needed."
        )


def _check_settings(operation: Transfer, color: Video) -> None:
    if color.rate < 1:
        raise InputError(f"{color.path} plays at {color.fps} frames a second, less than one.")
    guidance = operation.guidance
    if guidance is not None and (guidance > MOST_GUIDANCE or guidance != int(guidance)):
        raise InputError(
            f"guidance {guidance:g} does not fit Cosmos-Transfer2.5: it takes whole numbers from 0 "
            f"to {MOST_GUIDANCE}."
        )
    if operation.resolution not in SIZES:
        raise InputError(
            f"Cosmos-Transfer2.5 has no resolution {operation.resolution}; it has "
            f"{', '.join(SIZES)}."
        )


def _check_distilled(controls: Sequence[str], frames: int) -> None:
    if tuple(controls) != ("edge",):
        raise InputError(
            f"The distilled model knows only the control edge, not {', '.join(controls)}.",
            hint="Give the other controls a weight of 0, or leave out use_distilled.",
        )
    if frames != CHUNK:
        raise InputError(
            f"The distilled model makes clips of {CHUNK} frames exactly, not of {frames}.",
            hint=f"Set max_frames to {CHUNK}, or leave out use_distilled."
            if frames > CHUNK
            else "Render a longer clip, or leave out use_distilled.",
        )


def _size_notes(operation: Transfer, color: Video) -> list[str]:
    notes = []
    own = SIZES[str(operation.resolution)][aspect_of(color.width, color.height)]
    back = size_of(color)
    if (color.width, color.height) != own:
        notes.append(
            f"The model works at {own[0]}x{own[1]}, to which {color.width}x{color.height} is "
            f"resized; the result is resized to {back[0]}x{back[1]}."
        )
    if operation.resolution == "480":
        notes.append("The model was trained at 720: results at 480 are reported to be worse.")
    if operation.resolution == "1080":
        notes.append("The model was trained at 720; how much memory 1080 takes is not known.")
    return notes


def _computed_notes(names: Sequence[str]) -> list[str]:
    notes = computed_notes(names)
    if "depth" in names:
        notes.append(
            f"Depth is computed with {DEPTH_FILE} below the host's Hugging Face cache: this file "
            "must be there, since runs are offline."
        )
    return notes


def _rate_notes(color: Video) -> list[str]:
    rate = rate_of(color)
    if rate == color.rate:
        return []
    return [
        f"The same frames play at {rate} a second instead of {color.fps}: the model cuts the "
        "fraction off."
    ]


def _setting_notes(operation: Transfer, job: Job) -> list[str]:
    notes = []
    if operation.mask_prompt is not None:
        notes.append("If mask_prompt finds nothing at all, controls count everywhere.")
    if operation.use_distilled:
        negative = " and no negative prompt" if negative_of(job) else ""
        notes.append(f"The distilled model has no guidance{negative}.")
        if operation.num_steps != DISTILLED_STEPS:
            notes.append(f"The distilled model was made for {DISTILLED_STEPS} steps.")
    return notes
