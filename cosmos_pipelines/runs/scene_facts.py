"""What is known of a scene for people who look at it: its passes, what differs, small pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.runs.locations import rendered_in, scene_place
from cosmos_pipelines.runs.scenes import as_measured, scene_preview
from cosmos_pipelines.settings import Settings

_TECHNICAL: Final = frozenset(
    {"file", "sha256", "size", "width", "height", "frames", "fps", "mtime_ns", "duration_s",
     "fingerprint", "stamps", "notes", "inode"}
)  # fmt: skip
"""Fields of a pass in scene.json that are shown as numbers already, or say nothing to people."""


def passes_of(settings: Settings, scene: SceneRow) -> tuple[list[dict[str, Any]], str | None]:
    """Return the passes with their measured facts, and why scene.json cannot be read, if so.

    A pass: `name`, its facts in the catalog, `told` (what scene.json says besides, by words) and
    `notes`.
    """
    from cosmos_pipelines.media.scene_file import entries_of, read_scene_file

    problem, entries = None, dict[str, Any]()
    try:
        entries = entries_of(read_scene_file(scene_place(settings, scene)))
    except MediaError as e:
        problem = str(e)
    passes = []
    for name, facts in scene.facts.items():
        entry = entries.get(name, {})
        more = {"told": dict(_told(entry)), "notes": list(entry.get("notes", ()))}
        passes.append({"name": name, **facts, **more})
    return passes, problem


def differences(settings: Settings, scene: SceneRow) -> list[str]:
    """Return in sentences what of a scene is not as it was measured; [] if all is.

    May read files whose size or time is another, to compare their contents.
    """
    from cosmos_pipelines.media.renewal import compare

    if as_measured(settings, scene):
        return []
    try:
        compared = compare(scene_place(settings, scene), rendered_in(settings, scene))
    except MediaError as e:
        return [str(e)]
    return [one.said for one in compared if one.said]


def pass_picture(settings: Settings, scene: SceneRow, name: str) -> Path | None:
    """Return a still of a pass below the outputs, made at the first time; None: no such pass.

    Raises:
        MediaError: the pass cannot be read.
        DiskFull, CosmosError: the picture cannot be written.
    """
    facts = scene.facts.get(name)
    if facts is None:
        return None
    from cosmos_pipelines.media.pictures import still

    stem = scene_preview(settings, scene.key).stem
    picture = settings.outputs / "previews" / "passes" / stem / f"{name}-{facts['sha256'][:16]}.jpg"
    if not picture.exists():
        still(scene_place(settings, scene) / str(facts["file"]), picture)
        for other in picture.parent.glob(f"{name}-*.jpg"):
            if other != picture:
                other.unlink(missing_ok=True)
    return picture


def _told(entry: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in entry.items():
        if name in _TECHNICAL or value is None:
            continue
        words = f"{before} {name.replace('_', ' ')}".strip()
        if isinstance(value, Mapping):
            yield from _told(value, words)
        elif name.endswith("_share") and isinstance(value, int | float):
            yield words, f"{100 * value:.3g} %"
        elif isinstance(value, str | int | float | bool):
            yield words, str(value)
