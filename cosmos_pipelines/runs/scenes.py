"""Scenes as their files are now: entered, measured, made anew where their sources are others.

Whoever looks at a scene (a prompt for it, a plan, a queued run that starts, a retry, the sensor's
asset) comes through here. A look that finds everything as it was costs one listing and reads
nothing. No Dagster in this file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import MediaError, shown
from cosmos_pipelines.foreign import is_utf8
from cosmos_pipelines.operations import Video
from cosmos_pipelines.runs.locations import as_stored, rendered_in, scene_key, scene_place
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.media.scene import Scene

GONE: Final[Mapping[str, str | None]] = {}
"""The content of a scene that is not there."""
LONGEST_PREVIEW: Final = 150
"""Bytes of a preview's name without its ending; that of what is being written is longer."""
Looking = Literal["renew", "foresee"]
"""What happens where a scene is not as it was measured: it is made anew; or it is told what that
would give, and nothing is written (a dry run)."""


def register_scene(
    catalog: Catalog, settings: Settings, directory: Path, *, source: Path | None = None
) -> SceneRow:
    """Check the scene in `directory` and enter it; what its sources have outrun is made anew.

    A scene that lay elsewhere and has the same content is that scene: it was renamed, and its
    prompts and runs follow it. `source`: the directory that it was just prepared from.

    Raises:
        MediaError: one line that says what is wrong with it.
    """
    from cosmos_pipelines.media.prepare import load_scene
    from cosmos_pipelines.media.renewal import look, renew

    key = key_of(catalog, settings, directory)
    known = catalog.find_scene(key)
    elsewhere = source if source is not None else rendered_in(settings, known)
    elsewhere = None if elsewhere == directory else elsewhere
    seen = look(directory, elsewhere)
    _require_all_frames(directory, elsewhere)
    renew(directory, elsewhere)
    scene = load_scene(directory)
    _require_utf8(scene)
    if known is None and _renamed(catalog, settings, key, directory, scene.digest):
        return register_scene(catalog, settings, directory, source=source)
    facts = facts_of(scene)
    _keep_picture(settings, key, scene, known)
    return catalog.put_scene(
        key,
        as_stored(settings, directory),
        scene.digest,
        facts,
        scene.description,
        sources=seen.stamp(_files(facts)),
        rendered_in=as_stored(settings, elsewhere) if elsewhere else None,
    )


def current_scene(
    catalog: Catalog, settings: Settings, key: str, looking: Looking = "renew"
) -> SceneRow:
    """The scene as its files are now: it may have been rendered again since it was entered.

    Its files are measured only if they, or their sources, are not those that were.

    Raises:
        UnknownId: there is no such scene.
        MediaError: it cannot be used as it is now; says why.
    """
    row = catalog.get_scene(key)
    if as_measured(settings, row):
        return row
    directory = _found_again(settings, row)
    if looking == "renew":
        return register_scene(catalog, settings, directory)
    facts = _foreseen(directory, rendered_in(settings, row))
    return replace(row, path=as_stored(settings, directory), facts=facts)


def scene_in(catalog: Catalog, settings: Settings, directory: Path) -> SceneRow:
    """The scene in `directory` as its files are now, entered if it was not yet."""
    row = catalog.find_scene(key_of(catalog, settings, directory))
    if row is not None and as_measured(settings, row):
        place = scene_place(settings, row)
        if as_stored(settings, place) == as_stored(settings, directory):
            return row
    return register_scene(catalog, settings, directory)


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
    return seen.stamp(_files(scene.facts)) == scene.sources


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


def _found_again(settings: Settings, scene: SceneRow) -> Path:
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


def key_of(catalog: Catalog, settings: Settings, directory: Path) -> str:
    """The key of the scene in `directory`: the one that it has, or will have."""
    key = scene_key(settings, directory)
    if "@" not in key:
        return key
    known = catalog.scenes_like(path=as_stored(settings, directory))
    return known[0].key if known else key


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
        directory = _found_again(settings, scene)
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


def _files(facts: Mapping[str, Any]) -> set[str]:
    return {str(one.get("file")) for one in facts.values()}


def _foreseen(directory: Path, elsewhere: Path | None) -> dict[str, dict[str, Any]]:
    from cosmos_pipelines.media.plain import ShownOtherwise
    from cosmos_pipelines.media.renewal import foresee, to_make
    from cosmos_pipelines.media.scene import load_scene

    _require_all_frames(directory, elsewhere)
    if to_make(directory, elsewhere):
        return foresee(directory, elsewhere)
    try:
        return facts_of(load_scene(directory))
    except ShownOtherwise:
        return foresee(directory, elsewhere)


def _renamed(catalog: Catalog, settings: Settings, key: str, directory: Path, digest: str) -> bool:
    """Whether a scene lay elsewhere and is here now, by its content; then it gets this key."""
    for scene in catalog.scenes_like(digest=digest):
        if not is_gone(settings, scene):
            continue
        if catalog.rename_scene(scene.key, key, as_stored(settings, directory)) is None:
            return catalog.find_scene(key) is not None  # another process was faster
        with suppress(OSError):  # it is made again where it is not there
            scene_preview(settings, scene.key).replace(scene_preview(settings, key))
        return True
    return False


def _keep_picture(settings: Settings, key: str, scene: Scene, known: SceneRow | None) -> None:
    picture = scene_preview(settings, key)
    if known is not None and known.digest == scene.digest and picture.exists():
        return
    from cosmos_pipelines.media.pictures import preview

    picture.parent.mkdir(parents=True, exist_ok=True)
    preview(scene.passes["color"].path, picture)


def _require_utf8(scene: Scene) -> None:
    for probe in scene.passes.values():
        if not is_utf8(probe.path.name):
            raise MediaError(
                f"The name of {shown(probe.path)} is no UTF-8.",
                hint="Rename it; `convmv` does so for many.",
            )


def _require_all_frames(directory: Path, elsewhere: Path | None) -> None:
    """Refuse a scene that has not (yet) as many frames as its scene.toml says.

    Raises:
        MediaError: it has more or fewer.
        InputError: its scene.toml cannot be used.
    """
    from cosmos_pipelines.media.probe import probe
    from cosmos_pipelines.media.sequence import find_passes
    from cosmos_pipelines.runs.scene_requests import TOML, declared_frames

    wanted = declared_frames(directory)
    if wanted is None:
        return
    for one in find_passes(elsewhere or directory).values():
        found = probe(one.files[0]).frames if one.kind == "video" else len(one.files)
        if found != wanted:
            raise MediaError(
                f"{one.label} of {directory} has {found} frames, its {TOML} says {wanted}.",
                hint="Wait for the rest, or say otherwise there.",
            )
