"""The scenes of a directory of renders: of what each is made, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.errors import CosmosError, InputError, shown
from cosmos_pipelines.foreign import absolute
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.runs.locations import scene_key
from cosmos_pipelines.runs.scenes import usual_of
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.media.layouts.choice import Left
    from cosmos_pipelines.media.sequence import FoundScene


ITSELF: Final = "."
"""The name of the scene that a directory is itself, beside others that lie in it."""
NAMED: Final = 3
"""Scenes that a sentence names."""


@dataclass(frozen=True)
class SceneToPrepare:
    """One scene. `source` and `asked`: with which it is prepared; `dest`: where it will lie."""

    found: FoundScene
    source: Path
    dest: Path
    asked: Asked


@dataclass(frozen=True)
class ScenesToPrepare:
    """The scenes of a directory, one at least, and what lies beside them and is of none."""

    scenes: list[SceneToPrepare]
    beside: tuple[Left, ...] = ()


def places_of(
    settings: Settings, directory: Path, name: str | None, asked: Asked
) -> ScenesToPrepare:
    """The scenes in a directory, or the one that is asked for; one at least.

    A directory below the inputs root is prepared in place: a scene that has a directory of its own
    there, one of several in a new directory beside its files. `name`: of the directory in the
    inputs otherwise. The scene that is asked for may be a pattern of several (`demo_*`).

    Raises:
        MediaError: it may not be read, or holds nothing that is asked for.
        InputError: a name that leaves the inputs root, or a pattern of none.
    """
    from cosmos_pipelines.media.scene_file import products, read_scene_file
    from cosmos_pipelines.media.sequence import FoundScene, survey

    source, root = absolute(directory), absolute(settings.inputs)
    in_place = source.is_relative_to(root) and name is None
    base = source if in_place else absolute(root / (name or source.name))
    if not base.is_relative_to(root) or (base == root and not in_place):
        raise InputError(f"The scene name {shown(name)} leaves the inputs root {root}.")
    made = products(source, read_scene_file(source)) if in_place else {base} - {source}
    survey_ = survey(source, skip=made, wanted=asked.wanted)
    scenes = [*survey_.scenes, *(_prepared_in(source) if in_place else ())]
    beside = survey_.left if scenes and asked.scene is None else ()
    scenes = scenes or [FoundScene("", source, {}, survey_.left)]
    if asked.scene is not None:
        wanted = "" if asked.scene == ITSELF else asked.scene
        known = [one for one in scenes if one.name == wanted]
        known = known or _described(scenes, asked.scene)
        scenes = known or [survey_.scene(asked.scene)]
    places = [_place(one, source, base, asked, in_place=in_place) for one in scenes]
    return ScenesToPrepare(places, beside)


def _described(scenes: list[FoundScene], pattern: str) -> list[FoundScene]:
    """The scenes whose names a pattern (`*`, `?`) describes; [] where it is none."""
    if "*" not in pattern and "?" not in pattern:
        return []
    found = [one for one in scenes if fnmatchcase(one.name, pattern)]
    if not found:
        names = [one.name or "one without a name" for one in scenes]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise InputError(
            f"No scene is called {shown(pattern)}.",
            hint=f"There are {', '.join(names[:NAMED])}{more}.",
        )
    return found


def only_place(
    settings: Settings, directory: Path, name: str | None, asked: Asked
) -> SceneToPrepare:
    """As `places_of`, of a directory with one scene.

    Raises:
        MediaError: it holds several.
    """
    from cosmos_pipelines.media.sequence import Survey

    places = places_of(settings, directory, name, asked).scenes
    if len(places) > 1:
        Survey(absolute(directory), tuple(one.found for one in places)).scene()
    place = places[0]
    if place.dest == absolute(settings.inputs):
        raise InputError(f"{place.dest} is the inputs root: a scene has a directory in it.")
    return place


def plans_of(
    settings: Settings, directory: Path, name: str | None, asked: Asked
) -> list[dict[str, Any]]:
    """What `prepare` would take of each scene, and why; nothing is written.

    What lies beside the scenes is told with the first of them.

    Raises:
        MediaError, InputError: as `places_of`. What is wrong with one scene is told in its plan.
    """
    from cosmos_pipelines.media.scene_plan import plan_of, rows_of

    places = places_of(settings, directory, name, asked)
    plans = [
        {
            "scene": one.found.name,
            "path": str(one.dest),
            **plan_of(one.found, one.asked.with_usual(usual_of(settings))),
            **_wrong_place(settings, one),
        }
        for one in places.scenes
    ]
    plans[0]["ignored"] += rows_of(places.beside)
    return plans


def picture_of(settings: Settings, directory: Path, asked: Asked, name: str) -> bytes | None:
    """A JPEG of the first frame of a pass that would be taken; None if there is none.

    Raises:
        MediaError, InputError: as `only_place`, or the pass cannot be read.
    """
    from cosmos_pipelines.media.scene_plan import first_picture

    place = only_place(settings, directory, None, asked)
    return first_picture(place.found, name, place.asked.with_usual(usual_of(settings)))


def _prepared_in(directory: Path) -> list[FoundScene]:
    """Scenes that were prepared in place further down, which `survey` leaves alone."""
    from cosmos_pipelines.errors import MediaError
    from cosmos_pipelines.media.layouts.tree import folders_in
    from cosmos_pipelines.media.renewal import asked_of
    from cosmos_pipelines.media.scene_file import entries_of, products, read_scene_file
    from cosmos_pipelines.media.sequence import FoundScene, survey

    prepared: list[Path] = []
    for _ in folders_in(directory, prepared=prepared):
        pass
    found = []
    for place in prepared:
        name = place.relative_to(directory).as_posix()
        try:
            record = read_scene_file(place)
            if record.get("source") != "." or not entries_of(record):
                continue
            made, wanted = products(place, record), asked_of(record).wanted
            scene = survey(place, skip=made, wanted=wanted).scene()
        except MediaError as e:
            scene = FoundScene("", place, {}, wrong=e)
        found.append(replace(scene, name=name, root=place))
    return found


def _wrong_place(settings: Settings, place: SceneToPrepare) -> dict[str, Any]:
    try:
        scene_key(settings, place.dest)
    except CosmosError as e:
        return {"wrong": e.message, "hint": e.hint}
    return {}


def _place(
    found: FoundScene, source: Path, base: Path, asked: Asked, *, in_place: bool
) -> SceneToPrepare:
    if not found.name:
        return SceneToPrepare(found, source, base, replace(asked, scene=None))
    beside = found.root / found.stem if found.stem else found.root
    dest = beside if in_place else base / found.name
    return SceneToPrepare(found, found.root, dest, replace(asked, scene=found.stem or None))
