"""`cosmos prepare`: renders become the control videos of a scene, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.foreign import absolute
from cosmos_pipelines.media import encode_pass, scene
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.depth_range import DepthHoles, DepthValues
from cosmos_pipelines.media.encode_pass import Plan
from cosmos_pipelines.media.files import hash_of, saying_why_not_read
from cosmos_pipelines.media.one_writer import sole_writer, staging_in
from cosmos_pipelines.media.plain import ShownOtherwise
from cosmos_pipelines.media.progress import OnProgress
from cosmos_pipelines.media.publish import check_replaceable, publish
from cosmos_pipelines.media.record import Entry, entry_of, facts_of, notes_of
from cosmos_pipelines.media.scene import Scene, prepared_name
from cosmos_pipelines.media.scene_file import entries_of, products, read_scene_file
from cosmos_pipelines.media.sequence import Survey, survey
from cosmos_pipelines.media.sources import Source, agree, fingerprint, look_at

__all__ = ["Scene", "load_scene", "prepare_scene"]


def prepare_scene(
    source: Path,
    dest: Path,
    *,
    fps: Fraction | None = None,
    name: str | None = None,
    description: str | None = None,
    depth_values: DepthValues = "distance",
    depth_holes: DepthHoles | None = None,
    step: int = 1,
    progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Make `dest`/{color,depth,segmentation,edge,vis}.mp4 and scene.json from renders in `source`.

    `fps`, `depth_values`, `depth_holes` and `step` are those of `Asked`.
    `progress(pass, done, total)` is called from this thread. `dest` may be `source`: a video that
    must be encoded stays, and `<pass>.prepared.mp4` is made beside it. What has not changed since
    the last time is not encoded again. Another process that is preparing `dest` is waited for.

    Returns scene.json's content with `path` and `unchanged` (nothing had to be done).

    Raises:
        InputError: an argument has a value that does not exist.
        MediaError: no color, a gap, passes that differ, a file that cannot be used, or a file of
            `dest` that is not ours and would be overwritten. Nothing has been written then.
        DiskFull: no room; `dest` is as it was.
    """
    asked = Asked(fps, depth_values, depth_holes, step)
    source, dest = absolute(source), absolute(dest)
    with saying_why_not_read(dest):
        there = dest.exists()
    if there and not dest.is_dir():
        raise MediaError(f"{dest} is not a directory.")
    if not there:
        _survey(source, dest, {})  # before a directory is made for it
    with sole_writer(dest):
        return _prepare(source, dest, asked, name, description, progress)


def load_scene(directory: Path) -> Scene:
    """As `media.scene.load_scene`; a pass that is shown otherwise than its pixels lie is prepared.

    That is done in place, as it was asked for the last time.

    Raises:
        MediaError: the scene cannot be used, or it would have to be prepared and cannot be.
        DiskFull: no room to prepare it.
    """
    try:
        return scene.load_scene(directory)
    except ShownOtherwise:
        asked = Asked.before(read_scene_file(directory))
        prepare_scene(directory, directory, **vars(asked))
        return scene.load_scene(directory)


def _prepare(
    source: Path,
    dest: Path,
    asked: Asked,
    name: str | None,
    description: str | None,
    progress: OnProgress | None,
) -> dict[str, Any]:
    """As `prepare_scene`, once nobody else writes to `dest`."""
    earlier = read_scene_file(dest)
    found = _survey(source, dest, earlier)
    settings = {**asked.facts(), "version": encode_pass.VERSION}
    prints = {n: fingerprint(p, source, settings) for n, p in found.passes.items()}
    head = {
        "name": name or earlier.get("name") or dest.name,
        "description": description or earlier.get("description"),
    }
    kept = {n: e for n in prints if (e := _still_valid(dest, earlier, n, prints[n]))}
    if _same_as_before(earlier, kept, prints, head, source):
        return {**earlier, "path": str(dest), "unchanged": True}
    sources = look_at(found.passes.values(), asked.step)
    plan = _plan(sources, asked)
    kept = {n: e for n, e in kept.items() if _fits(e, plan)}
    mine = {file for s in sources for file in s.found.files}  # the user's: they stay
    check_replaceable(dest, earlier, keep=mine)
    with staging_in(dest) as staging:
        entries = _make_all(sources, plan, staging, kept, progress)
        for n, e in entries.items():
            e["fingerprint"] = prints[n]
        record = {
            **head,
            **facts_of(sources, plan, entries),
            "asked": asked.facts(),
            "ignored": list(found.ignored),
            "source": str(source),
            "created_by": f"cosmos prepare {version('cosmos-pipelines')}",
            "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "notes": notes_of(sources, plan, entries, rate_given=asked.fps is not None),
        }
        record = publish(record, staging, dest, earlier, keep=mine)
    return {**record, "path": str(dest), "unchanged": False}


def _survey(source: Path, dest: Path, earlier: Mapping[str, Any]) -> Survey:
    """The passes in `source`, without what we made ourselves the last time."""
    skip = {dest, *products(dest, earlier)} - {source}
    found = survey(source, skip=skip)
    if "color" not in found.passes:
        has = ", ".join(p.label for p in found.passes.values())
        raise MediaError(
            f"{source} has no color pass"
            + (f"; it has {has}" if has else "")
            + (f"; not recognised: {', '.join(found.ignored[:5])}" if found.ignored else "")
            + ".",
            hint="Name the pictures color.0001.png, color.0002.png, ... or the video color.mp4.",
        )
    return found


def _still_valid(dest: Path, earlier: Mapping[str, Any], name: str, print_: str) -> Entry | None:
    """The earlier entry, if its sources are as they were and its mp4 is as we left it."""
    entry = entries_of(earlier).get(name)
    if entry is None or entry.get("fingerprint") != print_:
        return None
    file = dest / str(entry.get("file"))
    if not file.is_file():
        return None
    s = file.stat()
    return entry if (s.st_size, s.st_mtime_ns) == (entry["size"], entry["mtime_ns"]) else None


def _same_as_before(
    earlier: Mapping[str, Any],
    kept: Mapping[str, Entry],
    prints: Mapping[str, str],
    head: Mapping[str, Any],
    source: Path,
) -> bool:
    return (
        set(kept) == set(prints) == set(entries_of(earlier))
        and all(earlier.get(k) == v for k, v in head.items())
        and earlier.get("source") == str(source)
    )


def _fits(entry: Entry, plan: Plan) -> bool:
    want = (plan.width, plan.height, str(plan.fps))
    return (entry.get("width"), entry.get("height"), entry.get("fps")) == want


def _plan(sources: list[Source], asked: Asked) -> Plan:
    rate = agree(sources, asked.fps)
    width, height = sources[0].width, sources[0].height
    if width < 2 or height < 2:
        raise MediaError(f"{width}x{height} is too small for a video.")
    return Plan(width - width % 2, height - height % 2, rate, asked.depth_values, asked.depth_holes)


def _file_of(source: Source, plan: Plan, dest: Path) -> str:
    """What the pass is called in `dest`: its usual name unless that is the source's own."""
    usual = f"{source.name}.mp4"
    itself = dest / usual == source.found.files[0]
    encoded = itself and not encode_pass.usable_as_it_is(source, plan)
    return prepared_name(source.name) if encoded else usual


def _make_all(
    sources: list[Source],
    plan: Plan,
    staging: Path,
    kept: Mapping[str, Entry],
    progress: OnProgress | None,
) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for source in sources:
        file = _file_of(source, plan, staging.parent)
        if source.name in kept:
            entries[source.name] = kept[source.name]
            continue
        if staging.parent / file == source.found.files[0]:
            target = source.found.files[0]
            facts: Entry = {"made": "kept", "source_sha256": hash_of(target)}
        else:
            target = staging / file
            done = _steps(source.name, encode_pass.steps(source, plan), progress)
            facts = encode_pass.make(source, target, plan, done)
        entries[source.name] = entry_of(source, target, facts)
    return entries


def _steps(name: str, total: int, progress: OnProgress | None) -> Callable[[], None]:
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(name, done, total)

    return step
