"""What is known of a scene for people who look at it: its passes, what differs, small pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.runs.locations import rendered_in, scene_place
from cosmos_pipelines.runs.scene_state import as_measured, scene_preview
from cosmos_pipelines.settings import Settings

_TECHNICAL: Final = frozenset(
    {"file", "sha256", "size", "width", "height", "frames", "fps", "mtime_ns", "duration_s",
     "fingerprint", "how", "stamps", "notes", "inode"}
)  # fmt: skip
"""Fields of a pass in scene.json that are shown as numbers already, or say nothing to people."""


def told_of(settings: Settings, scene: SceneRow) -> dict[str, Any]:
    """Return what scene.json says of a scene, for people.

    `passes`: each with `name`, its facts in the catalog, `told` (what scene.json says besides, by
    words), `notes`, `legend` (its segments) and `depth` (how its greys come from depths; None of
    others). `notes`: those of the whole scene. `ignored`: files that are no pass. `problem`: why
    scene.json cannot be read; None if it can.
    """
    from cosmos_pipelines.media.scene_file import entries_of, read_scene_file

    problem, record, entries = None, dict[str, Any](), dict[str, Any]()
    try:
        record = read_scene_file(scene_place(settings, scene))
        entries = entries_of(record)
    except MediaError as e:
        problem = str(e)
    notes = list(record.get("notes", ())) if entries else []
    passes = []
    for name, facts in scene.facts.items():
        entry = entries.get(name, {})
        own, notes = _notes_of(entry, notes)
        more = {
            "told": dict(_told(entry)),
            "notes": own,
            "legend": list(entry.get("legend", ())),
            "depth": entry.get("depth"),
        }
        passes.append({"name": name, **facts, **more})
    ignored = list(record.get("ignored", ())) if entries else []
    return {"passes": passes, "notes": notes, "ignored": ignored, "problem": problem}


def _notes_of(entry: Mapping[str, Any], notes: Iterable[str]) -> tuple[list[str], list[str]]:
    """The notes of a pass, without its files in front, and the others."""
    source = entry.get("source")
    before = f"{source.get('files')}: " if isinstance(source, Mapping) else "\0"
    left, own = list[str](), list[str]()
    for note in dict.fromkeys([*notes, *entry.get("notes", ())]):
        (own if note.startswith(before) else left).append(note)
    return [note.removeprefix(before) for note in own], left


def legend_of(passes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the segments of a scene as `told_of` found them, the largest first; [] of none.

    Each: name, color (#rrggbb), area (the share of all pixels), frames, and id if it has one.
    """
    return next((list(one["legend"]) for one in passes if one["legend"]), [])


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
