"""The files that Cosmos-Transfer1 reads, and the expected results. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from cosmos_pipelines.engines.controls import (
    computed,
    given_passes,
    negative_of,
    transfer_of,
    used_videos,
    weight_of,
)
from cosmos_pipelines.engines.cosmos import Placed
from cosmos_pipelines.engines.cosmos_transfer1.facts import (
    CHUNK,
    CONTROL_FILE,
    DISTILLED_FILE,
    HUB_DEPTH,
    HUB_SEG,
    PLAIN_PROMPT,
)
from cosmos_pipelines.engines.geometry import SIZES_720, Size, aspect_of
from cosmos_pipelines.operations.base import (
    CONTROL_PASS,
    RUN_FOLDER,
    Expected,
    Job,
    Video,
    as_document,
)
from cosmos_pipelines.operations.transfer import Region, Transfer
from cosmos_pipelines.operations.upscale import Upscale


def pieces_of(frames: int) -> list[tuple[int, int]]:
    """Return first frame and end of each piece of a clip for the upscaler: at most 121 frames.

    The upscaler fails at a second chunk. All pieces of a longer clip are full: a short piece would
    be filled up, cost the same and be noisier. So the last piece begins earlier.
    """
    if frames <= CHUNK:
        return [(0, frames)]
    starts = [*range(0, frames - CHUNK, CHUNK), frames - CHUNK]
    return [(start, start + CHUNK) for start in starts]


def keep_of(frames: int) -> list[int]:
    """Return the number of used frames at the end of each piece: together, every frame once."""
    return [end - before for before, end in pairwise([0, *(e for _, e in pieces_of(frames))])]


def rate_of(video: Video, fps: int | None) -> int:
    """Return the frames a second of the result: the model takes only whole numbers."""
    return fps or max(1, round(video.rate))


def size_of(video: Video) -> Size:
    """Return the model's working size for a video."""
    return SIZES_720[aspect_of(video.width, video.height)]


def shared_spec(job: Job, operation: Transfer) -> dict[str, Any]:
    """Return the values of the spec, which are the same for all lines of a batch."""
    spec: dict[str, Any] = {
        "seed": operation.seed,
        "num_steps": operation.num_steps,
        "guidance": operation.guidance,
        "fps": rate_of(job.inputs["color"], operation.fps),
        "blur_strength": operation.blur_strength,
    }
    if (negative := negative_of(job)) is not None:
        spec["negative_prompt"] = negative
    if operation.sigma_max is not None:
        spec["sigma_max"] = operation.sigma_max
    if operation.regional_prompts:
        spec["regional_prompts"] = [_region(r) for r in operation.regional_prompts]
    return spec


def _region(region: Region) -> dict[str, Any]:
    if region.box is not None:
        return {"prompt": region.prompt, "region_definitions_path": list(region.box)}
    return {"prompt": region.prompt, "mask_prompt": region.mask_prompt}


def sections(
    job: Job, operation: Transfer, placed: Placed, controls: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return a section for each of the `controls`; their order is the order of the model's weights.

    A control without a weight gets the colour pass as its file: the file is loaded, without effect.
    """
    passes = given_passes(job, controls)
    made: dict[str, dict[str, Any]] = {}
    for control in controls:
        weight = weight_of(operation, control)
        section: dict[str, Any] = {"control_weight": weight}
        if weight == 0:  # not the control's pass, which is not checked: a short pass cuts the clip
            section["input_control"] = placed.path("color", job.inputs["color"])
        elif control in passes:
            section["input_control"] = placed.path(CONTROL_PASS[control], passes[control])
        elif control == "seg" and operation.control_prompt is not None:
            section["input_control_prompt"] = operation.control_prompt
        if control == "seg" and operation.mask_prompt is not None:
            section["control_weight_prompt"] = operation.mask_prompt
        made[control] = section
    return made


def transfer_line(job: Job, placed: Placed, controls: Sequence[str]) -> dict[str, Any]:
    """Return a line of a batch; null: the model computes the control, despite the spec's file."""
    own = sections(job, transfer_of(job), placed, controls)
    return {
        "visual_input": placed.path("color", job.inputs["color"]),
        "prompt": job.text,
        "control_overrides": {c: {"input_control": None, **section} for c, section in own.items()},
    }


def upscale_lines(job: Job, placed: Placed) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a run's sample for `model_run.py`, and a line of a batch for each of its pieces."""
    video, text = job.inputs["video"], job.text if job.text.strip() else PLAIN_PROMPT
    source, pieces = placed.path("video", video), pieces_of(video.frames)
    sample = sample_of(job, len(pieces)) | {"prompt": text}
    if len(pieces) == 1:
        return sample, [{"visual_input": source, "prompt": text}]
    sample |= {
        "source": source.removeprefix(f"{RUN_FOLDER}/"),
        "pieces": pieces,
        "keep": keep_of(video.frames),
        "frames": video.frames,
        "fps": str(rate_of(video, None)),
    }
    paths = [f"{RUN_FOLDER}/pieces/{job.run_id}.{k:03}.mp4" for k in range(len(pieces))]
    return sample, [{"visual_input": path, "prompt": text} for path in paths]


def sample_of(job: Job, chunks: int) -> dict[str, Any]:
    """Return a run's sample for `model_run.py`."""
    facts = {"run_id": job.run_id, "prompt": job.text, "chunks": chunks, "spec": None}
    return {**facts, "output": f"outputs/{expected_of(job).name}"}


def json_lines(lines: Sequence[object] | None) -> dict[str, str]:
    """Return the document of a batch, without blank lines: a blank line would end the model."""
    if lines is None:
        return {}
    return {"batch.jsonl": "".join(as_document(line, indent=None) for line in lines)}


def control_files(operation: Transfer, controls: Sequence[str]) -> list[str]:
    """Return the checkpoints of the controls."""
    if operation.use_distilled:
        return [DISTILLED_FILE]
    return [CONTROL_FILE.format(control) for control in controls]


def hub_of(jobs: Sequence[Job]) -> list[str]:
    """Return the models that compute the controls and masks of all jobs."""
    names: set[str] = set()
    for job in jobs:
        operation = transfer_of(job)
        missing = computed(job, operation)
        found = operation.mask_prompt or any(r.mask_prompt for r in operation.regional_prompts)
        names |= {HUB_DEPTH} if "depth" in missing else set()
        names |= set(HUB_SEG) if "seg" in missing or found else set()
    return sorted(names)


def expected_of(job: Job) -> Expected:
    """Return the expected result."""
    if isinstance(job.operation, Upscale):
        source, fps, used = job.inputs["video"], None, {"video": job.inputs["video"]}
        width, height = size_of(source)
        size = (3 * width, 3 * height)
    elif isinstance(job.operation, Transfer):
        source, fps, used = job.inputs["color"], job.operation.fps, used_videos(job)
        size = size_of(source)
    else:
        return Expected.answer(job.run_id, {"color": job.inputs["color"]})
    return Expected.video(job.run_id, size, source.frames, str(rate_of(source, fps)), used)
