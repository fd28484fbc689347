"""The preview engine: every operation simulated on a CPU, to rehearse a batch before paying. Pure.

The programs `gpu_scripts/preview/preview_<operation>.py` need Python, numpy, PyAV and Pillow. One
request file holds all samples of an order; each sample is made alone, so a batch never changes a
pixel. The label and a corner of every frame say that the result is simulated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Final

from cosmos_pipelines.engines.base import Engine, RunProgress
from cosmos_pipelines.errors import ErrorKind, InputError
from cosmos_pipelines.labels import LABELS
from cosmos_pipelines.operations.base import (
    CONTROL_PASS,
    Expected,
    Job,
    ModelType,
    Order,
    Outcome,
    Verdict,
    Video,
    as_document,
)
from cosmos_pipelines.operations.enhance import Enhance
from cosmos_pipelines.operations.transfer import ControlWeights, Transfer
from cosmos_pipelines.operations.upscale import Upscale

LONGEST_SIDE: Final = 3840
"""Longest side of an upscaled frame, in pixels."""
SHORTEST_SIDE: Final = 16
"""Shortest side of a source frame, in pixels: H.264 codes blocks of 16 x 16."""
MAX_TEXT: Final = 9_500
"""Most characters of a prompt to enhance: the longer result may have at most 10,000."""

_PROGRESS: Final = re.compile(
    r"\[([0-9]{1,9})/([0-9]{1,9})\] (rs_\w+) (\w+): frame ([0-9]{1,9})/([0-9]{1,9})"
)
_MADE: Final = re.compile(r"\[([0-9]{1,9})/([0-9]{1,9})\] (rs_\w+) (\w+): done, ")
_ERROR: Final = re.compile(r"^ERROR: (.+)$", re.MULTILINE)


class Preview(Engine):
    """Composes control passes into a video, rewrites prompts by rule, resamples to 4K."""

    name: ClassVar[str] = "preview"
    label: ClassVar[str] = LABELS["preview"]
    simulated: ClassVar[bool] = True
    version: ClassVar[str] = "1"
    operations: ClassVar[frozenset[ModelType]] = frozenset({"transfer", "enhance", "upscale"})
    defaults: ClassVar[Mapping[ModelType, Mapping[str, Any]]] = {
        "transfer": {"num_steps": 35, "guidance": 5.0}
    }
    uses: ClassVar[Mapping[ModelType, Collection[str]]] = {
        "transfer": {
            "weights", "num_steps", "guidance", "seed", "fps", "blur_strength", "canny_threshold",
            "negative_prompt",
        },
        "enhance": {"resolution", "seed"},
        "upscale": {"control_weight"},
    }  # fmt: skip
    # Refuses no field: a run for another engine is rehearsed with that engine's settings.
    ignores: ClassVar[Mapping[ModelType, Collection[str]]] = {
        "transfer": {
            "sigma_max", "control_prompt", "mask_prompt", "keypoint_weight", "regional_prompts",
            "use_distilled", "resolution", "max_frames", "num_conditional_frames", "num_gpus",
        },
        "upscale": {"num_steps", "seed", "num_gpus"},
    }  # fmt: skip

    def _check(self, job: Job) -> list[str]:
        """Check that the inputs exist, fit together, and have a usable size."""
        operation = job.operation
        if isinstance(operation, Upscale):
            return _check_upscale(_source(job, "video"))
        color = _source(job, "color")
        if not job.text.strip():
            raise InputError(f"The prompt of run {job.run_id} has no text.")
        if isinstance(operation, Enhance):
            return _check_enhance(job.text)
        assert isinstance(operation, Transfer)
        return _check_transfer(operation, job, color)

    def batch_key(self, job: Job) -> Hashable:
        """See `Engine.batch_key`: each sample is made alone; only the program must be the same."""
        return (self.name, job.operation.model_type)

    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """See `Engine.compile`: one request file; a scene of several jobs is placed once."""
        keys = {self.batch_key(job) for job in jobs}
        if len(keys) != 1:
            raise ValueError(f"Jobs of {len(keys)} batch keys cannot be one order.")
        kind = jobs[0].operation.model_type
        jobs = [job.model_copy(update={"operation": self.settled(job.operation)}) for job in jobs]
        inputs: dict[str, Video] = {}
        samples = []
        for job in jobs:
            placed = {name: (_file_name(name, v), v) for name, v in _used(job).items()}
            inputs.update(placed.values())
            samples.append(_sample(job, {name: f"inputs/{f}" for name, (f, _) in placed.items()}))
        request = {
            "engine": self.name,
            "operation": kind,
            "samples": samples,
            "version": self.version,
        }
        return Order(
            id=order_id,
            run_ids=tuple(job.run_id for job in jobs),
            engine=self.name,
            model_type=kind,
            argv=("{python}", f"{{scripts}}/preview/preview_{kind}.py", "{run}/request.json"),
            env={"PYTHONPATH": "{scripts}/model"},  # has the writer of finished.json
            inputs=inputs,
            documents={"request.json": as_document(request)},
            expected=tuple(_expected(job) for job in jobs),
            gpus=0,
        )

    def progress(self, line: str) -> RunProgress | None:
        """See `Engine.progress`: frames of a sample, `[1/3] rs_... transfer: frame 24/48`."""
        if made := _MADE.search(line):
            n, of, run_id, kind = made.groups()
            text = f"{kind} {n} of {of}: made"
            return RunProgress(done=1, total=1, run_id=run_id, text=text, made=True)
        found = _PROGRESS.search(line)
        if found is None:
            return None
        sample, samples, run_id, kind, frame, frames = found.groups()
        text = f"{kind} {sample} of {samples}: frame {frame} of {frames}"
        return RunProgress(done=int(frame), total=int(frames), run_id=run_id, text=text)

    def diagnose(self, outcome: Outcome, log_tail: str, run_id: str | None = None) -> Verdict:
        """See `Engine.diagnose`: `FAILED rs_...: reason` of a sample counts more than its order."""
        failed = (
            re.findall(rf"^FAILED {re.escape(run_id)}: (.+)$", log_tail, re.M) if run_id else []
        )
        if failed:
            return Verdict(kind=_kind_of(failed[-1]), message=failed[-1])
        errors = _ERROR.findall(log_tail)
        if outcome.stopped is None and outcome.exit_code == 2 and errors:
            return Verdict(kind="validation", message=errors[-1])
        return super().diagnose(outcome, log_tail, run_id)


def upscaled_size(width: int, height: int) -> tuple[int, int]:
    """Return width and height with the longest side at 3840, the other in proportion and even."""
    scale = LONGEST_SIDE / max(width, height)
    return _even(width * scale), _even(height * scale)


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))


def _source(job: Job, name: str) -> Video:
    video = job.inputs.get(name)
    if video is None:
        given = ", ".join(sorted(job.inputs)) or "nothing"
        raise InputError(f"Run {job.run_id} needs the input {name!r}; it has {given}.")
    if video.frames < 1:
        raise InputError(f"{video.path} has no frames.")
    if min(video.width, video.height) < SHORTEST_SIDE:
        raise InputError(
            f"{video.path} is {video.width}x{video.height}; "
            f"each side must have at least {SHORTEST_SIDE} pixels."
        )
    return video


def _check_upscale(video: Video) -> list[str]:
    if max(video.width, video.height) >= LONGEST_SIDE:
        raise InputError(
            f"{video.path} is {video.width}x{video.height}: it has 4K already "
            f"(the longest side becomes {LONGEST_SIDE})."
        )
    return []


def _check_enhance(text: str) -> list[str]:
    if len(text) > MAX_TEXT:
        raise InputError(
            f"The prompt has {len(text):,} characters; at most {MAX_TEXT:,} can be enhanced."
        )
    return []


def _check_transfer(operation: Transfer, job: Job, color: Video) -> list[str]:
    weights = _weights(operation)
    for control in weights.active:
        needed = CONTROL_PASS[control]
        if control in ("depth", "seg") and needed not in job.inputs:
            raise InputError(
                f"The weight {control} {getattr(weights, control):g} needs the pass {needed!r}.",
                hint=f"Set {control} to 0 or add {needed}.mp4.",
            )
    for name, video in sorted(_used(job).items()):
        _check_agrees(name, video, color)
    notes = []
    if color.width % 2 or color.height % 2:
        size = f"{color.width - color.width % 2}x{color.height - color.height % 2}"
        notes.append(f"The result is {size}: H.264 needs even sides.")
    if operation.fps is not None and operation.fps != color.rate:
        notes.append(
            f"The result plays the same {color.frames} frames at {operation.fps} a second "
            f"instead of {color.fps}."
        )
    return notes


def _check_agrees(name: str, video: Video, color: Video) -> None:
    if video.frames != color.frames:
        raise InputError(
            f"The pass {name!r} has {video.frames} frames, color has {color.frames}: {video.path}."
        )
    if (video.width, video.height) != (color.width, color.height):
        raise InputError(
            f"The pass {name!r} is {video.width}x{video.height}, "
            f"color is {color.width}x{color.height}: {video.path}."
        )


def _weights(operation: Transfer) -> ControlWeights:
    if operation.weights is None:
        raise InputError("The control weights are not settled: give vis, edge, depth and seg.")
    return operation.weights


def _used(job: Job) -> dict[str, Video]:
    """Return the inputs that this engine reads for `job`, by pass."""
    operation = job.operation
    if isinstance(operation, Upscale):
        wanted = ["video"]
    elif isinstance(operation, Transfer):
        wanted = ["color", *(CONTROL_PASS[c] for c in _weights(operation).active)]
    else:
        wanted = ["color"]
    return {name: job.inputs[name] for name in wanted if name in job.inputs}


def _file_name(name: str, video: Video) -> str:
    return f"{name}-{video.sha256[:16]}.mp4"


def _sample(job: Job, inputs: dict[str, str]) -> dict[str, Any]:
    """Return one run for the request file: its settings by their names, and its files."""
    operation, expected = job.operation, _expected(job)
    used = Preview.uses[operation.model_type]
    sample = {k: v for k, v in operation.config().items() if k in used} | {
        "run_id": job.run_id,
        "inputs": inputs,
        "output": f"outputs/{expected.name}",
    }
    if expected.kind == "video":
        sample |= {"width": expected.width, "height": expected.height}
        sample |= {"frames": expected.frames, "rate": expected.fps}
    if isinstance(operation, Transfer):
        normalised = _weights(operation).normalised()
        sample["weights_normalised"] = {c: round(w, 6) for c, w in normalised.items()}
        if operation.negative_prompt is None:
            sample["negative_prompt"] = job.negative_prompt
        sample["prompt"] = job.text
    if isinstance(operation, Enhance):
        sample["prompt"] = job.text
    return sample


def _expected(job: Job) -> Expected:
    if isinstance(job.operation, Enhance):
        return Expected.answer(job.run_id, _used(job))
    if isinstance(job.operation, Upscale):
        source = job.inputs["video"]
        size, fps = upscaled_size(source.width, source.height), source.fps
    else:
        assert isinstance(job.operation, Transfer)
        source = job.inputs["color"]
        size = (source.width - source.width % 2, source.height - source.height % 2)
        fps = source.fps if job.operation.fps is None else str(job.operation.fps)
    return Expected.video(job.run_id, size, source.frames, fps, _used(job))


def _kind_of(reason: str) -> ErrorKind:
    if re.search(r"No space left|Errno 28", reason):
        return "disk_full"
    return "out_of_memory" if "MemoryError" in reason else "model_failed"
