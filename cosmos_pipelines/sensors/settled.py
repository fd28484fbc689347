"""Whether a directory is settled, and can be used: what is decided before it becomes a scene."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from cosmos_pipelines.errors import InputError, MediaError
from cosmos_pipelines.media.asked import AS_USUAL
from cosmos_pipelines.media.numbering import missing, stretches_text
from cosmos_pipelines.media.prepare import require_color
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.media.renewal import asked_in
from cosmos_pipelines.media.scene_file import read_scene_file
from cosmos_pipelines.media.sequence import PASSES, FoundScene, Pass, find_scene
from cosmos_pipelines.media.settling import MARKER, STILL_S, SceneLook, all_whole, quiet, wait_s
from cosmos_pipelines.runs.locations import scene_key
from cosmos_pipelines.runs.scene_requests import TOML, read_request_of
from cosmos_pipelines.sensors.scene_memory import Seen
from cosmos_pipelines.settings import Settings


def now() -> float:
    """The time of day, which outlives a restart of the daemon."""
    return time.time()


def decide(
    settings: Settings,
    directory: Path,
    look: SceneLook,
    seen: Seen,
    *,
    renamed: bool,
    scene: str | None = None,
) -> bool:
    """Whether a directory is settled and can be used; what is remembered of it says so then.

    `scene`: the one of several in it that `look` and `seen` are of.

    Raises:
        CosmosError: it cannot be used; says why.
    """
    unchanged = now() - seen.since
    needed = wait_s(look, settings.scenes.settle_s, seen.gap)
    sure = look.marked or renamed or quiet(look, unchanged, now(), needed)
    if not sure and (seen.tried or unchanged < STILL_S):
        return False
    seen.tried = True
    place = directory if scene is None else directory / scene
    request = read_request_of(place, directory)
    frames = request.frames if request else None
    counted = frames is not None and seen.before == 0
    if not (sure or counted or all_whole(directory, look)):
        return False
    scene_key(settings, place)
    asked = asked_in(place, directory, read_scene_file(place)) if place.is_dir() else AS_USUAL
    found = find_scene(directory, scene, asked.wanted)
    passes = _passes(directory, found, scene)
    lengths = {one.label: _frames(one) for one in passes.values()}
    if why := _not_whole(lengths, frames, alone=not look.marked):
        why = " ".join([why, *_gaps(passes, asked.step)])
        seen.state, seen.said = ("waiting", why) if sure else ("settling", "")
        return False
    if "color" not in passes:
        require_color(found)
    for said in _gaps(passes, asked.step):
        raise MediaError(said)
    seen.state, seen.before, seen.gap = "taken", look.written_s, max(look.gap_s, seen.gap)
    return True


def _passes(directory: Path, found: FoundScene, scene: str | None) -> dict[str, Pass]:
    """What was rendered, and finished videos of passes of which nothing else is there."""
    passes = dict(found.passes)
    for name in PASSES if scene is None else ():
        file = directory / f"{name}.mp4"
        if name not in passes and file.is_file():
            passes[name] = Pass(name, "video", file.name, (file,))
    return passes


def _gaps(passes: Mapping[str, Pass], step: int) -> list[str]:
    """Which frames are missing within sequences, a sentence each."""
    return [
        f"{one.label} lacks {stretches_text(gaps, step)}."
        for one in passes.values()
        if (gaps := missing(one.numbers, step))
    ]


def _frames(one: Pass) -> int:
    return probe(one.files[0]).frames if one.kind == "video" else len(one.files)


def _not_whole(lengths: Mapping[str, int], declared: int | None, *, alone: bool) -> str:
    """Why what is there is not all, although nothing comes any more; empty if it seems whole.

    `alone`: a sequence of one picture is taken for the beginning of a longer one.
    """
    said = ", ".join(f"{label} has {count}" for label, count in lengths.items())
    if declared is not None and any(count < declared for count in lengths.values()):
        return f"Of the {declared} frames that its {TOML} declares, {said}."
    if declared is not None and any(count > declared for count in lengths.values()):
        raise InputError(f"Its {TOML} declares {declared} frames, but {said}.")
    if len(set(lengths.values())) > 1:
        return f"Its passes are not of one length: {said}."
    if alone and declared is None and set(lengths.values()) == {1}:
        return f"There is one frame only; write {MARKER} if that is all."
    return ""
