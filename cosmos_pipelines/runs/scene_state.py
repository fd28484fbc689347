"""What is known of a scene, and whether its files are still so. Nothing is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.operations import Video
from cosmos_pipelines.runs.locations import rendered_in, scene_place
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.media.scene import Scene

GONE: Final[Mapping[str, str | None]] = {}
"""The content of a scene that is not there."""
LONGEST_PREVIEW: Final = 150
"""Bytes of a preview's name without its ending; that of what is being written is longer."""


def as_measured(settings: Settings, scene: SceneRow) -> bool:
    """Whether a scene's files, and their sources, are as they were, by a look that reads nothing.

    The one place that decides it. An input that was changed unnoticed nevertheless is refused when
    it is staged: its hash is compared there.
    """
    from cosmos_pipelines.media.renewal import look

    if not scene_preview(settings, scene.key).exists():
        return False
    directory = scene_place(settings, scene)
    if not _has_its_videos(directory, scene):
        return False
    try:
        seen = look(directory, rendered_in(settings, scene))
    except MediaError:
        return False
    return seen.stamp(files_of(scene.facts)) == scene.sources


def _has_its_videos(directory: Path, scene: SceneRow) -> bool:
    """Whether the videos in a directory are the very files that were measured."""
    from cosmos_pipelines.media.probe import Stamp, stamp_of
    from cosmos_pipelines.media.scene import videos_of

    try:
        there = {name: (p.name, stamp_of(p)) for name, p in videos_of(directory).items()}
        return there == {
            name: (facts["file"], Stamp(*(facts[field] for field in Stamp._fields)))
            for name, facts in scene.facts.items()
        }
    except (MediaError, KeyError):  # gone, or entered by a version that kept no stamps
        return False


def found_again(settings: Settings, scene: SceneRow) -> Path:
    """The directory of a scene: where it lay, or beside that, if it was only renamed.

    Raises:
        MediaError: it is gone.
    """
    place = scene_place(settings, scene)
    if place.is_dir():
        return place
    beside = sorted(place.parent.iterdir()) if place.parent.is_dir() else []
    for other in beside:
        hidden = other.name.startswith(".")
        if not hidden and other.is_dir() and _has_its_videos(other, scene):
            return other
    raise MediaError(
        f"The scene {scene.key!r} is gone: there is no {place}.",
        hint="Put it back; one that was renamed is known again by its content when it is used.",
    )


def scene_preview(settings: Settings, key: str) -> Path:
    """Where the moving picture of a scene lies."""
    name = key.replace("/", "__")
    if "__" in key or len(os.fsencode(name)) > LONGEST_PREVIEW:
        name = f"{name[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return settings.outputs / "previews" / "scenes" / f"{name}.webp"


def scene_videos(settings: Settings, scene: SceneRow) -> dict[str, Video]:
    """The scene's passes as engine inputs."""
    directory = scene_place(settings, scene)
    return {
        name: Video(
            path=str(directory / facts["file"]),
            **{name: facts[name] for name in Video.model_fields if name in facts},
        )
        for name, facts in scene.facts.items()
    }


def is_gone(settings: Settings, scene: SceneRow) -> bool:
    """Whether the directory of a scene is not there, or is empty."""
    from cosmos_pipelines.media.listing import listing

    try:
        return not listing(scene_place(settings, scene))
    except MediaError:
        return True


def content_now(settings: Settings, scene: SceneRow) -> Mapping[str, str | None]:
    """The SHA-256 of each pass as it is now; None: its sources are others than its mp4 was made of.

    Only what changed since the scene was measured is read. `GONE`: there is no such scene any more.
    """
    from cosmos_pipelines.media.files import hash_of
    from cosmos_pipelines.media.renewal import compare
    from cosmos_pipelines.media.scene import videos_of

    if as_measured(settings, scene):
        return {name: str(facts["sha256"]) for name, facts in scene.facts.items()}
    try:
        directory = found_again(settings, scene)
    except MediaError:
        return GONE
    try:
        compared = compare(directory, rendered_in(settings, scene))
        others = {one.name for one in compared if one.state not in ("same", "gone")}
        videos = videos_of(directory)
        found = {name: hash_of(path) for name, path in videos.items() if name not in others}
    except MediaError:  # nothing can be made of it as it is
        return dict.fromkeys(scene.facts)
    return {**dict.fromkeys(sorted(others)), **found} or GONE


def scene_record(settings: Settings, scene: SceneRow) -> dict[str, Any]:
    """A scene as plain JSON values, with its absolute path and `state`.

    `state`: `as_measured`; `changed` (files or their sources are others: the next use makes anew
    what that asks for); `gone`.
    """
    state = "as_measured"
    if is_gone(settings, scene):
        state = "gone"
    elif not as_measured(settings, scene):
        state = "changed"
    return scene.as_dict() | {"path": str(scene_place(settings, scene)), "state": state}


def facts_of(scene: Scene) -> dict[str, dict[str, Any]]:
    """What the catalog keeps of a measured scene, by pass."""
    return {
        name: {
            "file": probe.path.name,
            "sha256": scene.sha256[name],
            "size": probe.size,
            "width": probe.width,
            "height": probe.height,
            "frames": probe.frames,
            "fps": str(probe.fps),
            **probe.stamp._asdict(),
        }
        for name, probe in scene.passes.items()
    }


def files_of(facts: Mapping[str, Any]) -> set[str]:
    """The names of a scene's videos."""
    return {str(one.get("file")) for one in facts.values()}
