"""`cosmos prepare`: renders become the control videos of a scene, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import (
    flush_directory,
    move,
    part_of,
    remove,
    saying_why_not_written,
    write_json,
)
from cosmos_pipelines.media import making
from cosmos_pipelines.media.depth import DepthValues
from cosmos_pipelines.media.files import hash_of, saying_why_not_read
from cosmos_pipelines.media.kept import still_valid
from cosmos_pipelines.media.making import Plan
from cosmos_pipelines.media.record import Entry, entry_of, facts_of, notes_of
from cosmos_pipelines.media.scene import Scene, load_scene
from cosmos_pipelines.media.scene_file import SCENE_FILE, entries_of, products, read_scene_file
from cosmos_pipelines.media.sequence import Survey, survey
from cosmos_pipelines.media.sources import Source, agree, fingerprint, look_at, stamps_of

__all__ = ["Scene", "load_scene", "planned", "prepare_scene"]

Progress = Callable[[str, int, int], None]


def prepare_scene(
    source: Path,
    dest: Path,
    *,
    fps: Fraction | None = None,
    name: str | None = None,
    description: str | None = None,
    depth_values: DepthValues = "distance",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make `dest`/{color,depth,segmentation,edge,vis}.mp4 and scene.json from renders in `source`.

    `fps` is for PNG sequences (default: that of a video beside them, else 24). `depth_values` says
    what larger depth values mean. `progress(pass, done, total)` is called from this thread.
    `dest` may be `source`. What has not changed since the last time is not encoded again. Another
    process that is preparing `dest` is waited for.

    Returns scene.json's content with `path` and `unchanged` (nothing had to be done).

    Raises:
        MediaError: no color, a gap, passes that differ, a file that cannot be used, or a file of
            `dest` that is not ours and would be overwritten. Nothing has been written then.
        DiskFull: no room; `dest` is as it was.
    """
    source, dest = source.expanduser().resolve(), dest.expanduser().resolve()
    with saying_why_not_read(dest):
        there = dest.exists()
    if there and not dest.is_dir():
        raise MediaError(f"{dest} is not a directory.")
    if not there:
        _survey(source, dest, {})  # before a directory is made for it
    with _sole_writer(dest):
        return _prepare(source, dest, fps, name, description, depth_values, progress)


def _prepare(
    source: Path,
    dest: Path,
    fps: Fraction | None,
    name: str | None,
    description: str | None,
    depth_values: DepthValues,
    progress: Progress | None,
) -> dict[str, Any]:
    """As `prepare_scene`, once nobody else writes to `dest`."""
    earlier = read_scene_file(dest)
    found = _survey(source, dest, earlier)
    settings = {"fps": str(fps), "depth_values": depth_values, "version": making.VERSION}
    prints = {n: fingerprint(p, source, settings) for n, p in found.passes.items()}
    stamps = {n: " ".join(stamps_of(p, source)) for n, p in found.passes.items()}
    head = {
        "name": name or earlier.get("name") or dest.name,
        "description": description or earlier.get("description"),
        "source": "." if source == dest else str(source),
        "settings": settings,
    }
    passes = found.passes.items()
    kept = {n: e for n, p in passes if (e := still_valid(dest, earlier, p, prints[n], settings))}
    if _same_as_before(earlier, kept, prints, head):
        return {**_told(dest, earlier, kept, stamps), "path": str(dest), "unchanged": True}
    sources = look_at(found.passes.values())
    plan = planned(sources, fps, depth_values)
    kept = {n: e for n, e in kept.items() if _fits(e, plan)}
    _refuse_to_overwrite(sources, plan, dest, earlier)
    with _staging(dest) as staging:
        entries = _make_all(sources, plan, staging, kept, progress)
        if _survey_prints(source, dest, earlier, settings) != prints:
            raise MediaError(
                f"{source} was changed while it was being prepared.",
                hint="Do it again when everything is rendered.",
            )
        for n, e in entries.items():
            entries[n] = {**e, "fingerprint": prints[n], "stamps": stamps[n]}
        record = {
            **head,
            **facts_of(sources, plan, entries),
            "ignored": list(found.ignored),
            "created_by": f"cosmos prepare {version('cosmos-pipelines')}",
            "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "notes": notes_of(sources, plan, entries, rate_given=fps is not None),
        }
        _publish(record, staging, dest, earlier)
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


def _survey_prints(
    source: Path, dest: Path, earlier: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, str]:
    """The fingerprints of the passes that are in `source` by now."""
    passes = _survey(source, dest, earlier).passes.items()
    return {n: fingerprint(p, source, settings) for n, p in passes}


def _same_as_before(
    earlier: Mapping[str, Any],
    kept: Mapping[str, Entry],
    prints: Mapping[str, str],
    head: Mapping[str, Any],
) -> bool:
    return set(kept) == set(prints) == set(entries_of(earlier)) and all(
        earlier.get(k) == v for k, v in head.items()
    )


def _told(
    dest: Path, earlier: dict[str, Any], kept: Mapping[str, Entry], stamps: Mapping[str, str]
) -> dict[str, Any]:
    """The record of a scene of which nothing had to be made, with its files' times as they are."""
    now = {n: {**e, "stamps": stamps[n]} for n, e in kept.items()}
    record = {**earlier, "passes": now}
    if record != earlier:
        write_json(dest / SCENE_FILE, record)
    return record


def _fits(entry: Entry, plan: Plan) -> bool:
    want = (plan.width, plan.height, str(plan.fps))
    return (entry.get("width"), entry.get("height"), entry.get("fps")) == want


def planned(sources: list[Source], fps: Fraction | None, depth_values: DepthValues) -> Plan:
    """What the passes will have in common. Raises MediaError where they differ."""
    rate = agree(sources, fps)
    width, height = sources[0].width, sources[0].height
    if width < 2 or height < 2:
        raise MediaError(f"{width}x{height} is too small for a video.")
    return Plan(width - width % 2, height - height % 2, rate, depth_values)


def _refuse_to_overwrite(
    sources: list[Source], plan: Plan, dest: Path, earlier: Mapping[str, Any]
) -> None:
    ours = {e.get("file") for e in entries_of(earlier).values()}
    for source in sources:
        target = dest / f"{source.name}.mp4"
        if target == source.found.files[0]:
            if not making.usable_as_it_is(source, plan):
                raise MediaError(
                    f"{target} must be encoded anew and would overwrite itself.",
                    hint="Prepare into another directory.",
                )
        elif target.exists() and target.name not in ours:
            raise MediaError(
                f"{target} is there already and was not made from {source.found.label}.",
                hint="Move it away or prepare into another directory.",
            )


@contextmanager
def _sole_writer(dest: Path) -> Iterator[None]:
    """`dest`, made if need be, for this process alone; others are waited for.

    If it was made here and stays empty, it is removed again.
    """
    while True:
        new = not dest.exists()
        with saying_why_not_written(dest):
            dest.mkdir(parents=True, exist_ok=True)
        with _locked(dest) as ours:
            if not ours:
                continue
            try:
                yield
            finally:
                if new and not any(dest.iterdir()):
                    dest.rmdir()
            return


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Locks a directory; False if whoever had the lock before has removed it."""
    lock = _opened(directory)
    if lock is None:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory.exists() and os.path.samestat(directory.stat(), os.fstat(lock))
    finally:
        os.close(lock)


def _opened(directory: Path) -> int | None:
    try:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    except OSError:
        with saying_why_not_read(directory):
            raise


@contextmanager
def _staging(dest: Path) -> Iterator[Path]:
    """A directory inside `dest`, which is locked; it vanishes afterwards."""
    for left in dest.glob(".prepare*.part"):
        remove(left)  # we hold the lock: its maker was killed
    staging = part_of(dest / ".prepare")
    with saying_why_not_written(staging):
        staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _make_all(
    sources: list[Source],
    plan: Plan,
    staging: Path,
    kept: Mapping[str, Entry],
    progress: Progress | None,
) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for source in sources:
        file = f"{source.name}.mp4"
        if source.name in kept:
            entries[source.name] = kept[source.name]
            continue
        if staging.parent / file == source.found.files[0]:
            target = source.found.files[0]
            facts: Entry = {"made": "kept", "source_sha256": hash_of(target)}
        else:
            target = staging / file
            done = _steps(source.name, making.steps(source, plan), progress)
            facts = making.make(source, target, plan, done)
        entries[source.name] = entry_of(source, target, facts)
    return entries


def _steps(name: str, total: int, progress: Progress | None) -> Callable[[], None]:
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(name, done, total)

    return step


def _publish(
    record: Mapping[str, Any], staging: Path, dest: Path, earlier: Mapping[str, Any]
) -> None:
    """Everything is written by now: move it into place.

    The record first, since by it we know our own files if we are killed here; color last, since
    a scene is taken as prepared as soon as it has that.
    """
    for name, entry in entries_of(earlier).items():
        if name not in record["passes"] and entry["made"] != "kept":
            (dest / str(entry.get("file"))).unlink(missing_ok=True)
    write_json(staging / SCENE_FILE, record)
    videos = sorted(staging.glob("*.mp4"), key=lambda path: path.stem == "color")
    for made in (staging / SCENE_FILE, *videos):
        move(made, dest / made.name)
    flush_directory(dest)  # the catalog is about to say that the scene is there
