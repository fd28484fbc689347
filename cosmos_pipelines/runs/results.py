"""A run's result comes home: collected, verified against what was predicted, put in its place.

Nothing here is called a result before it has been read: a video is demuxed and its size, frames and
rate compared with the prediction; a text must say something new.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from cosmos_pipelines.backends.base import Backend, Handle
from cosmos_pipelines.backends.run_folder import MOST_RECORD, read_samples
from cosmos_pipelines.batching import mixed_notes
from cosmos_pipelines.catalog.folders import run_directory
from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.errors import CosmosError, DiskFull, InputError, MediaError, RunFailed
from cosmos_pipelines.files import move
from cosmos_pipelines.foreign import read_bytes, read_text
from cosmos_pipelines.operations.base import Expected, Order, Outcome
from cosmos_pipelines.operations.rate import same_rate
from cosmos_pipelines.runs.context import RunContext
from cosmos_pipelines.runs.locations import as_stored
from cosmos_pipelines.runs.outdated import made_by
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.media.probe import Probe

RECORD: Final = "record.json"
"""Below the outputs: times of each sample and load, by `gpu_scripts/model/model_run.py`."""
LARGEST_PIXEL: Final = 8
"""Bytes of a pixel, more than any codec writes: 4:4:4 with 16 bits has 6 without compression."""
HEADERS: Final = 64 << 20
"""Bytes of a video besides its pixels."""
LONGEST_TEXT: Final = 1 << 20
"""Bytes of an enhancer's answer that are read; a prompt has 10,000 characters."""


def collect_run(
    context: RunContext,
    handle: Handle,
    order: Order,
    run: Run,
    outcome: Outcome,
    check_held: Callable[[], None],
) -> dict[str, Any]:
    """Bring home and verify what `order` made for one run; returns the run's `outputs`.

    `check_held` raises where the run is another process's by now, whose result is not touched.

    Raises:
        RunFailed: what came out is not what was asked for (kind `output_missing`, `model_failed`).
        DiskFull: no room here; what is finished stays where it was made.
    """
    expected = next((e for e in order.expected if e.run_id == run.id), None)
    if expected is None:
        raise RunFailed(run.id, "output_missing", f"The order {order.id} names no file of the run.")
    received = _received(context.settings, expected)
    check_size(run.id, expected, outcome.sizes.get(expected.name))
    downloaded = context.until(run.id, "download_s")
    context.backend.collect(handle, {expected.name: received}, outcome)
    downloaded()
    try:
        check_held()
    except CosmosError:
        received.unlink(missing_ok=True)
        raise
    if expected.kind == "text":
        outputs = _text(context, run, received)
    else:
        outputs = _video(context, run, expected, received, order)
        outputs["model_sha256"] = outcome.outputs[expected.name]
    engine = context.settings.engine(run.engine)
    chosen = {"weights": order.weights} if order.weights else {}
    return outputs | {
        "inputs": dict(expected.made_from),
        "made_by": made_by(engine, run.model_type) | chosen,
        **mixed_of(order, run.id),
    }


def mixed_of(order: Order, run_id: str) -> dict[str, Any]:
    """Return what is recorded of a run of a mixed load: `mixed`, with the controls of others.

    `added_controls`: those that the run executed with weight 0; `note`: what that means for its
    pixels, if there are any.
    """
    if not order.added:
        return {}
    controls = order.added.get(run_id, ())
    note = mixed_notes(order.added).get(run_id)
    return {"mixed": {"added_controls": [*controls], **({"note": note} if note else {})}}


def check_size(run_id: str, expected: Expected, size: int | None) -> None:
    """Refuse a result that is larger than any that was asked for, before a byte of it comes.

    Raises:
        RunFailed: the size that was recorded where it was made is no size of such a file.
    """
    most = LONGEST_TEXT
    if expected.kind == "video":
        shape = (expected.width, expected.height, expected.frames)
        if None in shape:
            return
        most = LARGEST_PIXEL * math.prod(n or 0 for n in shape) + HEADERS
    if size is not None and size > most:
        raise RunFailed(
            run_id,
            "output_missing",
            f"The {expected.kind} that was made has {size} bytes; at most {most} can be right.",
        )


def leave(settings: Settings, order: Order, run_id: str) -> None:
    """Give back the room of what came of a run, and is still where it was made."""
    for expected in order.expected:
        if expected.run_id == run_id:
            _received(settings, expected).unlink(missing_ok=True)


def _received(settings: Settings, expected: Expected) -> Path:
    """Where a result lies until it is verified."""
    directory = run_directory(settings.outputs, expected.run_id)
    return directory / f"received{Path(expected.name).suffix}"


def record_of(
    settings: Settings,
    backend: Backend,
    handle: Handle,
    order_id: str,
    run_id: str,
    outcome: Outcome,
) -> dict[str, Any]:
    """What the program wrote of its work (times, loads), in its record or while it worked.

    The record is kept beside the log of this run. Without it a run is no worse.
    """
    if RECORD not in outcome.outputs:
        return {"samples": outcome.samples}
    kept = run_directory(settings.outputs, run_id) / "logs" / RECORD
    try:
        backend.collect(handle, {RECORD: kept}, outcome)
        return {"samples": read_samples(read_text(kept, MOST_RECORD))}
    except CosmosError as e:
        logger.warning("No record of order {id}: {error}", id=order_id, error=e)
        return {}


def _text(context: RunContext, run: Run, received: Path) -> dict[str, Any]:
    from cosmos_pipelines.operations.text import clean_text

    prompt = context.prompt_of(run)
    assert prompt is not None
    try:
        text = read_bytes(received, LONGEST_TEXT).decode(errors="replace").strip()
    except InputError as e:
        raise RunFailed(run.id, "model_failed", f"The enhancer's answer is no text: {e}") from None
    if not text or text == prompt.text:
        said = "nothing" if not text else "the prompt it was given"
        raise RunFailed(run.id, "model_failed", f"The enhancer answered {said}.")
    try:
        text = clean_text(text, "enhanced prompt")
    except InputError as e:
        raise RunFailed(run.id, "model_failed", f"The enhancer answered badly: {e}") from None
    file = received.with_name("enhanced.txt")
    move(received, file, durable=True)  # before the catalog calls the run completed
    outputs = {
        "enhanced_text": text,
        "enhanced_prompt_id": None,
        "file": as_stored(context.settings, file),
    }
    if run.execution_config.get("create_new", True):
        new, _ = context.catalog.add_prompt(
            text,
            prompt.negative_prompt,
            prompt.scene,
            None,
            prompt.parameters,
            parent_prompt_id=prompt.id,
            source_run_id=run.id,
        )
        outputs["enhanced_prompt_id"] = new.id
    return outputs


def _video(
    context: RunContext, run: Run, expected: Expected, received: Path, order: Order
) -> dict[str, Any]:
    from cosmos_pipelines.media import provenance
    from cosmos_pipelines.media.files import hash_of
    from cosmos_pipelines.media.probe import probe

    verify_video(run.id, expected, received)
    video = received.with_name("video.mp4")
    made_so = story(run, context.prompt_of(run), order)
    try:
        provenance.embed(received, video, made_so, checked=True)
    except MediaError as e:
        raise _unusable(run.id, e) from e
    received.unlink()
    p = probe(video)
    return {
        "video": as_stored(context.settings, video),
        "sha256": hash_of(video),
        "size": p.size,
        "width": p.width,
        "height": p.height,
        "frames": p.frames,
        "fps": str(p.fps),
        "duration_s": round(p.duration_s, 6),
        "expected": predicted(expected),
        **_pictures(context.settings, run, p),
    }


def predicted(expected: Expected) -> dict[str, Any]:
    """What an engine predicts of a video, as far as it can: width, height, frames, fps."""
    return expected.model_dump(include={"width", "height", "frames", "fps"})


def verify_video(run_id: str, expected: Expected, video: Path) -> None:
    """Compare a received video, which is read to its end, with its prediction.

    Raises:
        RunFailed: it cannot be read to its end (`output_missing`), or its size, frames or rate are
            not as predicted (`model_failed`).
    """
    from cosmos_pipelines.media.probe import probe

    try:
        p = probe(video, deep=True)
    except MediaError as e:
        raise _unusable(run_id, e) from e
    found = {"width": p.width, "height": p.height, "frames": p.frames, "fps": str(p.fps)}
    wrong = [
        f"{name} {found[name]} instead of {value}"
        for name, value in predicted(expected).items()
        if value is not None and not _as_predicted(name, found[name], value)
    ]
    if wrong:
        raise RunFailed(
            run_id, "model_failed", f"The video is not what was asked for: {', '.join(wrong)}."
        )


def _as_predicted(name: str, found: Any, wanted: Any) -> bool:
    return same_rate(found, wanted) if name == "fps" else bool(found == wanted)


def _unusable(run_id: str, why: MediaError) -> RunFailed:
    return RunFailed(run_id, "output_missing", f"The video that came is unusable: {why}")


def story(run: Run, prompt: Prompt | None, order: Order) -> dict[str, Any]:
    """How a run's pixels were made, as it is written into the video file itself."""
    from cosmos_pipelines.engines import engine_named

    engine = engine_named(run.engine)
    return {
        "run_id": run.id,
        "model_type": run.model_type,
        "engine": engine.label,
        "engine_version": engine.version,
        "simulated": engine.simulated,
        **({"weights": order.weights} if order.weights else {}),
        **mixed_of(order, run.id),
        "prompt_id": run.prompt_id,
        "prompt": prompt.text if prompt else None,
        "scene": prompt.scene if prompt else None,
        "parent_run_id": run.parent_run_id,
        "source": dict(run.source or {}),
        "execution_config": run.execution_config,
        "created_at": run.as_dict()["created_at"],
    }


def _pictures(settings: Settings, run: Run, video: Probe) -> Mapping[str, str]:
    """A moving preview and a still beside the video; their failure is noted, not the run's."""
    from cosmos_pipelines.media.pictures import preview_and_thumbnail

    moving, still = (video.path.with_name(name) for name in ("preview.webp", "thumbnail.jpg"))
    try:
        preview_and_thumbnail(video, moving, still)
    except (MediaError, DiskFull) as e:
        logger.warning("{run}: no preview: {error}", run=run.id, error=e)
        return {}
    return {"preview": as_stored(settings, moving), "thumbnail": as_stored(settings, still)}
