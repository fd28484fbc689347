"""The sensor `new_scenes`: directories that appear below the inputs root become scenes.

Nothing half-written is taken: a directory counts as settled when two looks saw the same files with
the same sizes and times, or when it holds the marker file. Each state of a directory is taken once;
one that cannot be used is reported once, with the reason, and looked at again when it changes.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import dagster as dg

from cosmos_pipelines.assets.partitions import SCENE_KEYS, SCENES
from cosmos_pipelines.errors import CosmosError, MediaError
from cosmos_pipelines.files import PART
from cosmos_pipelines.foreign import absolute, as_text
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.media.sequence import PASSES, VIDEOS, find_passes, recognise
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.inputs import scene_key
from cosmos_pipelines.runs.scene_requests import TEXT, TOML, read_request
from cosmos_pipelines.settings import Settings

MARKER: Final = "scene.ready"
"""A renderer that writes this last need not wait for the second look."""
A_TICK: Final = 20
"""Scenes requested a tick at most; each request costs Dagster 0.15 s."""
PICTURES: Final = frozenset({".png", ".exr", ".jpg", ".jpeg", ".tif", ".tiff"})

State = Literal["settling", "taken", "bad"]


@dataclass
class Seen:
    """What is remembered of a directory between looks."""

    look: str
    state: State


@dg.sensor(
    target=dg.AssetSelection.assets(SCENES),
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers scene directories that appear below the inputs root, with the prompts "
    f"and runs that their {TOML} or {TEXT} asks for.",
)
def new_scenes(
    context: dg.SensorEvaluationContext, catalog: CatalogResource
) -> dg.SensorResult | dg.SkipReason:
    """Look at every scene directory once."""
    settings = catalog.settings
    before = {k: Seen(**v) for k, v in json.loads(context.cursor or "{}").items()}
    after: dict[str, Seen] = {}
    taken: dict[str, str] = {}
    for directory in scene_directories(settings.inputs):
        name = directory.relative_to(settings.inputs).as_posix()
        seen = before.get(name)
        now = Seen(look_of(directory), "settling")
        if seen and seen.look == now.look and seen.state != "settling":
            now.state = seen.state
        elif (seen and seen.look == now.look) or (directory / MARKER).exists():
            if problem := problem_of(settings, directory):
                context.log.warning(as_text(f"{name} is not taken: {problem}"))
                now.state = "bad"
            elif len(taken) < A_TICK:
                now.state = "taken"
                taken[name] = now.look
        after[name] = now
    cursor = json.dumps({k: asdict(v) for k, v in after.items()}, sort_keys=True)
    if not taken:
        context.update_cursor(cursor)
        return dg.SkipReason(_summary(after))
    return dg.SensorResult(
        run_requests=[_request(name, look) for name, look in taken.items()],
        dynamic_partitions_requests=[SCENE_KEYS.build_add_request(list(taken))],
        cursor=cursor,
    )


def scene_directories(root: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Directories below `root` that hold a scene: videos or pictures, or a directory a pass.

    One that cannot be listed is passed over, as are links to where we come from (`above`).
    """
    if (real := absolute(root)) in above:
        return
    for child in _listed(root):
        if child.name.startswith(".") or not child.is_dir():
            continue
        if _is_scene(child):
            yield child
        else:
            yield from scene_directories(child, above | {real})


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _is_scene(directory: Path) -> bool:
    for item in _listed(directory):
        if item.suffix.lower() in VIDEOS | PICTURES and item.is_file():
            return True
        named = item.is_dir() and recognise(item.name)[0] is not None
        if named and any(f.suffix.lower() in PICTURES for f in _listed(item)):
            return True
    return False


def look_of(directory: Path) -> str:
    """Hash of names, sizes and times of all files; without those that registering it writes."""
    files = [p for p in sorted(directory.rglob("*")) if p.is_file()]
    sources = [p for p in files if not _hidden(p.relative_to(directory))]
    rendered = any(p.suffix.lower() in PICTURES for p in sources)
    ours = {"scene.json", *(f"{name}.mp4" for name in PASSES if rendered)}
    digest = hashlib.sha256()
    for path in sources:
        if path.parent == directory and (path.name in ours or path.suffix == PART):
            continue
        try:
            stat = path.stat()
        except FileNotFoundError:  # renamed while we looked; the next look will differ
            digest.update(os.fsencode(path) + b" vanished")
            continue
        name = path.relative_to(directory).as_posix()
        digest.update(os.fsencode(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n"))
    return digest.hexdigest()[:24]


def _hidden(path: Path) -> bool:
    """Whether it or a directory that it lies in is hidden, as that of a scene being prepared is."""
    return any(name.startswith(".") for name in path.parts)


def problem_of(settings: Settings, directory: Path) -> str | None:
    """Why a settled directory cannot become a scene, as far as a quick look can tell."""
    try:
        scene_key(settings, directory)
        read_request(directory)
        passes = find_passes(directory)
        if "color" not in passes:
            found = ", ".join(passes) or "nothing that is a pass"
            raise MediaError(f"There is no color pass (found: {found}).")
        for one in passes.values():
            if one.gaps:
                raise MediaError(f"{one.label} lacks {one.gaps_text}.")
            if one.kind == "video":
                probe(one.files[0])
    except CosmosError as e:
        return str(e)
    return None


def _request(name: str, look: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"scene.{name}.{look}",
        asset_selection=[SCENES],
        partition_key=name,
        tags={"cosmos/by": "new_scenes", "dagster/max_retries": "2"},
    )


def _summary(seen: dict[str, Seen]) -> str:
    counts = {state: sum(s.state == state for s in seen.values()) for state in ("taken", "bad")}
    settling = [name for name, s in seen.items() if s.state == "settling"]
    waiting = f"; not settled yet: {', '.join(settling[:5])}" if settling else ""
    return as_text(f"{counts['taken']} scenes known, {counts['bad']} unusable{waiting}.")
