"""Scenes and files that runs were made of, compared with what the catalog says of them.

The part of `cosmos verify` that looks into scene directories; the results of runs are looked at in
`catalog/integrity.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cosmos_pipelines.catalog.integrity import Problem
from cosmos_pipelines.catalog.records import Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, MediaError, command
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.runs.locations import as_stored, located, rendered_in, scene_place
from cosmos_pipelines.runs.scene_state import as_measured, is_gone
from cosmos_pipelines.runs.scenes import register_scene
from cosmos_pipelines.settings import Settings


def check_scenes(catalog: Catalog, settings: Settings, *, deep: bool = False) -> list[Problem]:
    """All that is wrong with scenes and source files; `deep` reads and compares every one.

    Changes nothing.
    """
    scenes = catalog.list_scenes()
    left = _home_left(settings, scenes)
    prompts = Counter(prompt.scene for prompt in catalog.list_prompts(limit=None))
    problems: list[Problem] = []
    for scene in scenes:
        problems += _scene(settings, scene, left, prompts.pop(scene.key, 0), deep)
    for key, count in prompts.items():
        said = f"{count} prompt(s) are for a scene that is not registered."
        problems.append(Problem("scene_missing", key, None, said))
    return problems + list(_sources(catalog, settings, left))


def fix_scenes(catalog: Catalog, settings: Settings, problems: Iterable[Problem]) -> list[Problem]:
    """Mend what has a `fix`; returns what has been mended."""
    return [p for p in problems if p.fix is not None and _mend(catalog, settings, p)]


def _scene(
    settings: Settings, scene: SceneRow, left: Path | None, prompts: int, deep: bool
) -> Iterator[Problem]:
    place = scene_place(settings, scene)
    found = place if place.is_dir() else _moved(settings, left, scene.path)
    if found is None or (found == place and is_gone(settings, scene)):
        said = f"Its directory is not there; {prompts} prompt(s) are for it."
        yield Problem("scene_missing", scene.key, str(place), said)
        return
    if as_stored(settings, found) != scene.path:
        said = "The catalog keeps the place where it lay before the project was moved."
        yield Problem("place", scene.key, str(found), said, "keep its place")
    if found == place:
        yield from _content(settings, scene, place, deep)


def _content(settings: Settings, scene: SceneRow, place: Path, deep: bool) -> Iterator[Problem]:
    from cosmos_pipelines.media.renewal import TO_MAKE, compare, refuse

    if not deep and as_measured(settings, scene):
        return
    try:
        compared = compare(place, rendered_in(settings, scene), deep=deep)
        outdated = " ".join(one.said for one in compared if one.state in TO_MAKE)
        refuse(place, compared)
    except MediaError as e:
        yield Problem("scene_unusable", scene.key, str(place), str(e))
        return
    if outdated:
        prepare = command("cosmos", "prepare", place)
        said = f"{outdated} The next run makes it anew; {prepare} does so now."
        yield Problem("scene_outdated", scene.key, str(place), said, "make anew")
    elif others := _others(scene, place):
        said = f"{', '.join(others)} is another than it was when it was last looked at."
        yield Problem("scene_outdated", scene.key, str(place), said, "make anew")


def _others(scene: SceneRow, place: Path) -> list[str]:
    """Files of a scene that are gone or have other contents than the catalog says."""
    found = []
    for facts in scene.facts.values():
        file = place / str(facts.get("file"))
        if not file.is_file() or sha256_of(file) != facts.get("sha256"):
            found.append(file.name)
    return found


def _sources(catalog: Catalog, settings: Settings, left: Path | None) -> Iterator[Problem]:
    """Videos without a run of ours that upscales were made of."""
    for run in catalog.list_runs(model_type="upscale", limit=None):
        stored = run.source.get("video")
        if stored is None:
            continue
        place = located(settings, stored)
        found = place if place.is_file() else _moved(settings, left, stored)
        if found is not None and as_stored(settings, found) != stored:
            said = "The catalog keeps the place where its source lay before the project was moved."
            yield Problem("place", run.id, str(found), said, "keep its place")


def _home_left(settings: Settings, scenes: Iterable[SceneRow]) -> Path | None:
    """Where the project lay before it was moved, as whole paths of an earlier version tell."""
    if settings.paths.inputs.is_absolute():
        return None
    for scene in scenes:
        path, below = Path(scene.path), settings.paths.inputs / scene.key
        ends = path.parts[-len(below.parts) :] == below.parts
        if path.is_absolute() and ends and not path.is_relative_to(settings.home):
            return Path(*path.parts[: -len(below.parts)])
    return None


def _moved(settings: Settings, left: Path | None, stored: str) -> Path | None:
    """Where something lies by now that the catalog keeps with a path below the home left."""
    path = Path(stored)
    if left is None or not path.is_relative_to(left):
        return None
    here = settings.home / path.relative_to(left)
    return here if here.exists() else None


def _mend(catalog: Catalog, settings: Settings, problem: Problem) -> bool:
    path = Path(problem.path or "")
    if problem.fix == "keep its place":
        stored = as_stored(settings, path)
        run: Run | None = catalog.find_run(problem.id)
        if run is not None:
            return catalog.keep_source(run.id, {**run.source, "video": stored})
        return catalog.rename_scene(problem.id, problem.id, stored) is not None
    try:
        register_scene(catalog, settings, path)
    except CosmosError:  # it has changed since it was looked at; the next look tells
        return False
    return True
