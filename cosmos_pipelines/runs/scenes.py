"""Scenes as their files are now: entered, measured, made anew where their sources are others.

Whoever looks at a scene (a prompt for it, a plan, a queued run that starts, a retry, the sensor's
asset) comes through here. A look that finds everything as it was costs one listing and reads
nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import MediaError, shown
from cosmos_pipelines.foreign import is_utf8
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.runs.locations import as_stored, rendered_in, scene_key, scene_place
from cosmos_pipelines.runs.scene_state import (
    as_measured,
    facts_of,
    files_of,
    found_again,
    is_gone,
    scene_preview,
)
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.media.scene import Scene

Looking = Literal["renew", "foresee"]
"""What happens where a scene is not as it was measured: it is made anew; or it is told what that
would give, and nothing is written (a dry run)."""


def register_scene(
    catalog: Catalog, settings: Settings, directory: Path, *, source: Path | None = None
) -> SceneRow:
    """Check the scene in `directory` and enter it; what its sources have outrun is made anew.

    A scene that lay elsewhere and has the same content is that scene: it was renamed, and its
    prompts and runs follow it. `source`: the directory that it was just prepared from. One of
    several scenes in a directory below the inputs root is prepared in it, where it is not yet.

    Raises:
        MediaError: one line that says what is wrong with it.
    """
    from cosmos_pipelines.media.prepare import load_scene
    from cosmos_pipelines.media.renewal import look, renew

    key = key_of(catalog, settings, directory)
    known = catalog.find_scene(key)
    elsewhere = source if source is not None else rendered_in(settings, known)
    elsewhere = elsewhere or shared_source(settings, directory)
    elsewhere = None if elsewhere == directory else elsewhere
    if elsewhere is not None and not directory.is_dir():
        _require_all_frames(directory, elsewhere)
        renew(directory, elsewhere)
    seen = look(directory, elsewhere)
    _require_all_frames(directory, elsewhere)
    renew(directory, elsewhere, usual=usual_of(settings))
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
        sources=seen.stamp(files_of(facts)),
        rendered_in=as_stored(settings, elsewhere) if elsewhere else None,
    )


def shared_source(settings: Settings, directory: Path) -> Path | None:
    """The directory below the inputs root of whose scenes this one is, or will be; None: of none.

    One that is prepared says so itself, in scene.json, and lies below that directory.
    """
    from cosmos_pipelines.media.layouts.by_names import scenes_by_names
    from cosmos_pipelines.media.listing import listing
    from cosmos_pipelines.media.renewal import asked_of
    from cosmos_pipelines.media.scene_file import read_scene_file

    above = [p for p in directory.parents if p.is_relative_to(settings.inputs)]
    above = [p for p in above if p != settings.inputs]
    if directory.is_dir():
        scene = asked_of(read_scene_file(directory)).scene
        return next((p for p in above if scene and directory == p / scene), None)
    for place in filter(Path.is_dir, above):
        if directory.relative_to(place).as_posix() in scenes_by_names(listing(place)):
            return place
    return None


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
    directory = found_again(settings, row)
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


def key_of(catalog: Catalog, settings: Settings, directory: Path) -> str:
    """The key of the scene in `directory`: the one that it has, or will have."""
    key = scene_key(settings, directory)
    if "@" not in key:
        return key
    known = catalog.scenes_like(path=as_stored(settings, directory))
    return known[0].key if known else key


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


def usual_of(settings: Settings) -> Asked:
    """How scenes of a project are prepared where nothing else is asked for.

    Raises:
        InputError: a setting of cosmos.toml is no name.
    """
    scenes = settings.scenes
    return Asked(ocio=_config(settings), view=scenes.view, colorspace_else=scenes.colorspace)


def _config(settings: Settings) -> str | None:
    named = settings.scenes.ocio
    if named is None or named.startswith("ocio://"):
        return named
    return str(settings.home / Path(named).expanduser())


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
    from cosmos_pipelines.media.renewal import asked_for
    from cosmos_pipelines.media.sequence import find_passes
    from cosmos_pipelines.runs.scene_requests import TOML, read_request_of

    request = read_request_of(directory, elsewhere)
    wanted = request.frames if request else None
    if wanted is None:
        return
    asked = asked_for(directory, elsewhere)
    for one in find_passes(elsewhere or directory, asked.scene, asked.wanted).values():
        found = probe(one.files[0]).frames if one.kind == "video" else len(one.files)
        if found != wanted:
            raise MediaError(
                f"{one.label} of {directory} has {found} frames, its {TOML} says {wanted}.",
                hint="Wait for the rest, or say otherwise there.",
            )
