"""Refuse what Cosmos 3 cannot do, and note what it does without a message. Pure."""

from __future__ import annotations

from cosmos_pipelines.engines.controls import (
    become,
    computed,
    computed_notes,
    controls_of,
    given_passes,
    idle_notes,
    weight_of,
)
from cosmos_pipelines.engines.cosmos3.facts import CHUNK, MOST_GUIDANCE, SIZES
from cosmos_pipelines.engines.cosmos3.request import rate_of, size_of
from cosmos_pipelines.engines.geometry import (
    LONGEST,
    check_agrees,
    check_length,
    cropped,
)
from cosmos_pipelines.engines.separate import length_notes
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.base import CONTROL_PASS, Job, Video
from cosmos_pipelines.operations.transfer import Transfer

UNGUARDED = (
    "Cosmos 3's guardrail checks neither the prompt nor the result of a transfer: you must meet "
    "the terms of its licence yourself."
)


def check_transfer(operation: Transfer, job: Job, color: Video) -> list[str]:
    """Refuse what cannot be generated; return notes for the user. Raises InputError."""
    check_length(color, most=None if operation.max_frames else LONGEST)
    if operation.max_frames == 1:
        raise InputError("max_frames 1 would make a picture; a video has at least 2 frames.")
    for control, video in given_passes(job, controls_of(operation)).items():
        check_agrees(CONTROL_PASS[control], video, color)
    _check_settings(operation)
    _check_computed(operation, job, color)
    return [
        UNGUARDED,
        *[note for note in [cropped(color, size_of(job))] if note],
        *length_notes(operation, job, CHUNK),
        *_weight_notes(operation),
        *computed_notes(computed(job, operation)),
        *idle_notes(job, operation),
        *_rate_notes(job, color),
    ]


def _check_settings(operation: Transfer) -> None:
    if operation.guidance is not None and operation.guidance > MOST_GUIDANCE:
        raise InputError(
            f"guidance {operation.guidance:g} is too much for Cosmos 3: 0 to {MOST_GUIDANCE:g}."
        )
    if operation.resolution not in SIZES:
        raise InputError(
            f"Cosmos 3 makes no videos at {operation.resolution} lines; it has {', '.join(SIZES)}."
        )


def _check_computed(operation: Transfer, job: Job, color: Video) -> None:
    missing = computed(job, operation)
    if lacking := [control for control in missing if control not in ("vis", "edge")]:
        files = " and ".join(f"{CONTROL_PASS[c]}.mp4" for c in lacking)
        raise InputError(
            f"Cosmos 3 computes vis and edge alone, not {' and '.join(lacking)}.",
            hint=f"Add {files} to the scene.",
        )
    if not missing:
        return
    names = " or ".join(missing)
    if color.rate < 1:
        raise InputError(
            f"Cosmos 3 takes the rate from color if it computes {names}, and cannot work at "
            f"{color.fps} frames a second.",
            hint="Let the same frames play faster: `cosmos prepare` with `--fps 24`.",
        )
    if operation.fps not in (None, color.rate):
        raise InputError(
            f"Cosmos 3 takes the rate from color if it computes {names}: "
            f"{color.fps} frames a second, not {operation.fps}.",
            hint="Leave fps out, add the passes to the scene, or let the same frames play at that "
            f"rate: `cosmos prepare` with `--fps {operation.fps}`.",
        )


def _weight_notes(operation: Transfer) -> list[str]:
    weights = {control: weight_of(operation, control) for control in controls_of(operation)}
    total = sum(weights.values())
    if abs(total - 1) < 0.001:
        return []
    if len(weights) == 1:
        return [f"{next(iter(weights))} is alone and counts in full, whatever its weight."]
    return [f"The weights add up to {total:.2f}; the model divides them by that: {become(weights)}"]


def _rate_notes(job: Job, color: Video) -> list[str]:
    rate = rate_of(job)
    notes = []
    if rate != color.rate:
        notes.append(f"The same frames play at {rate} a second instead of {color.fps}.")
    if not 10 <= rate <= 30:
        shown = f"{float(rate):.5g}"
        notes.append(f"The model was made for 10 to 30 frames a second, not for {shown}.")
    return notes
