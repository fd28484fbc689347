"""Renders compared with what was made of them, and made anew where they are others.

A pass is known again by the names, sizes and times of its files; where these are others, by its
content, so that touched or copied files cost no encoding. Only `renew` writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cosmos_pipelines.errors import MediaError, command
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.files import hash_of, saying_why_not_read
from cosmos_pipelines.media.listing import Listing, listing, stamp_of_listing
from cosmos_pipelines.media.prepare import planned, prepare_scene
from cosmos_pipelines.media.scene import prepared_name
from cosmos_pipelines.media.scene_file import Entry, entries_of, products, read_scene_file
from cosmos_pipelines.media.sequence import PASSES, Pass, survey
from cosmos_pipelines.media.sources import content_of, look_at, stamps_of

State = Literal["same", "changed", "new", "part", "gone", "older"]
"""What the files of a pass are now, compared with those that its mp4 was made of.

`new`: there is no mp4 of them. `part`: some are gone and the rest is as it was. `older`: the mp4 is
the user's own, and pictures of the same pass are newer than it.
"""
TO_MAKE: Final = ("changed", "new")
REFUSED: Final = ("part", "older")


@dataclass(frozen=True)
class Compared:
    """One pass. `said` tells in a sentence what is not as it was; empty for `same`."""

    name: str
    state: State
    said: str = ""
    edited: bool = False
    """Its mp4 is not as we made it."""


@dataclass(frozen=True)
class Looked:
    """The media files of a scene's directory, and of the one that it was prepared from."""

    own: Listing
    rendered: Listing | None
    """None: there is no other directory; {} with `gone`: it is not there."""
    gone: bool = False

    def stamp(self, measured: Collection[str]) -> str:
        """By which the sources are known again.

        `measured`: names of files that are known by stamps of their own.
        """
        stamp = stamp_of_listing({n: s for n, s in self.own.items() if n not in measured})
        if self.rendered is None:
            return stamp
        return f"{stamp} {'gone' if self.gone else stamp_of_listing(self.rendered)}"


def look(directory: Path, rendered_in: Path | None = None) -> Looked:
    """One look at a scene's files; nothing is read.

    Its scene.toml is one of them, since it says how many frames there shall be.

    Raises:
        MediaError: the directory is missing or may not be read.
    """
    own = listing(directory, also=("scene.toml",))
    if rendered_in is None:
        return Looked(own, None)
    there = rendered_in.is_dir()
    return Looked(own, listing(rendered_in) if there else {}, gone=not there)


def compare(
    directory: Path, rendered_in: Path | None = None, *, deep: bool = False
) -> list[Compared]:
    """Each pass of a scene that has sources, compared with them.

    `deep` compares contents also where names, sizes and times are as they were.

    Raises:
        MediaError: the directory or scene.json cannot be read, or two files claim to be one pass.
    """
    record = read_scene_file(directory)
    made = {n: e for n, e in entries_of(record).items() if e["made"] != "kept"}
    source = rendered_in or directory
    if not source.is_dir():
        return [_gone(name, entry) for name, entry in made.items()]
    found = survey(source, skip=_not_sources(directory, source, record)).passes
    compared = []
    for name in PASSES:
        if name in made:
            one = _with_entry(directory, source, made[name], found.get(name), name, deep)
        elif name in found and name not in entries_of(record):
            one = _without_entry(directory, source, found[name], prepared=bool(record))
        else:
            continue
        compared.append(one)
    return compared


def renew(directory: Path, rendered_in: Path | None = None) -> bool:
    """Make anew what was made of other files than are there now; whether anything was made.

    Raises:
        MediaError: it cannot be made: frames are gone, or it is no scene. Says what to do.
        DiskFull: no room; everything is as it was.
    """
    todo = bool(to_make(directory, rendered_in))
    if todo:
        asked = asked_of(read_scene_file(directory))
        prepare_scene(rendered_in or directory, directory, **vars(asked))
    return todo


def to_make(directory: Path, rendered_in: Path | None = None) -> list[str]:
    """The passes that `renew` would make.

    Raises:
        MediaError: it cannot be made, as by `renew`.
    """
    there = any((directory / name).exists() for name in ("color.mp4", prepared_name("color")))
    if not there and (rendered_in or directory).is_dir():
        return ["color"]
    compared = compare(directory, rendered_in)
    refuse(directory, compared)
    return [one.name for one in compared if one.state in TO_MAKE]


def foresee(directory: Path, rendered_in: Path | None = None) -> dict[str, dict[str, Any]]:
    """Size, frames and rate that each pass would have after `renew`, without making anything.

    `sha256` of one that is not made yet is that of its sources instead; `size` (bytes) is 0.

    Raises:
        MediaError: as `renew`, and as `prepare_scene` where passes differ.
    """
    record, source = read_scene_file(directory), rendered_in or directory
    made = entries_of(record)
    same = {one.name for one in compare(directory, rendered_in) if one.state == "same"}
    asked = asked_of(record)
    skip = {directory, *products(directory, record)} - {source}
    sources = look_at(survey(source, skip=skip).passes.values(), asked.step)
    plan = planned(sources, asked)
    shared = {"width": plan.width, "height": plan.height, "fps": str(plan.fps)}
    return {
        s.name: {
            "file": f"{s.name}.mp4",
            "sha256": made[s.name]["sha256"]
            if s.name in same & made.keys()
            else content_of(s.found),
            "size": 0,
            "frames": s.frames,
            **shared,
        }
        for s in sources
    }


def refuse(directory: Path, compared: list[Compared]) -> None:
    """Raises MediaError where a scene can neither be used as it is nor be made anew."""
    wrong = [one for one in compared if one.state in REFUSED]
    if any(one.state in TO_MAKE for one in compared):
        wrong += [one for one in compared if one.state == "gone"]
        wrong += [one for one in compared if one.state in TO_MAKE and one.edited]
    if not wrong:
        return
    said = " ".join(one.said for one in wrong)
    if any(one.state == "older" for one in wrong):
        hint = "Remove one of the two."
    elif any(one.edited for one in wrong):
        hint = "Move the mp4 away to have it made anew, or the pictures to keep it."
    else:
        take = command("cosmos", "prepare", directory)
        hint = f"Render them again; {take} takes what is there."
    raise MediaError(said, hint=hint)


def asked_of(record: Mapping[str, Any]) -> Asked:
    """How a scene was prepared; of one that an earlier version prepared, as its values tell."""
    if "asked" in record:
        return Asked.before(record)
    told = record.get("settings")
    if not isinstance(told, Mapping):
        depth = entries_of(record).get("depth", {}).get("depth")
        values = depth.get("source_values") if isinstance(depth, Mapping) else None
        told = {"fps": record.get("fps"), "depth_values": values}
    given = {name: told[name] for name in ("fps", "depth_values") if told.get(name) is not None}
    return Asked.before({"asked": given})


def _not_sources(directory: Path, source: Path, record: Mapping[str, Any]) -> set[Path]:
    """What of a directory was made of the rest, and the user's own mp4s, which stand for a pass."""
    entries = entries_of(record)
    kept = {str(e["file"]) for e in entries.values() if e["made"] == "kept"}
    kept |= {f"{n}.mp4" for n, e in entries.items() if e["file"] == prepared_name(n)}
    own = {directory / f"{name}.mp4" for name in PASSES if f"{name}.mp4" not in kept}
    return {directory, *products(directory, record), *own} - {source}


def _gone(name: str, entry: Entry) -> Compared:
    label = _of_source(entry, "files") or "The source"
    return Compared(name, "gone", f"{label}, of which {entry['file']} was made, is gone.")


def _with_entry(
    directory: Path, source: Path, entry: Entry, found: Pass | None, name: str, deep: bool
) -> Compared:
    if found is None:
        return _gone(name, entry)
    edited = _edited(directory / str(entry["file"]), entry, deep)
    if edited is None:
        return Compared(name, "changed", f"{entry['file']} is not there.")
    if missing := _missing(found, source, entry):
        said = f"{missing} of the {entry.get('frames')} frames of {found.label} are gone."
        return Compared(name, "part", said, edited)
    if not deep and stamps_of(found, source) == _stamps(entry):
        return Compared(name, "same", edited=edited)
    if content_of(found) == _of_source(entry, "sha256"):
        return Compared(name, "same", edited=edited)
    return Compared(name, "changed", _how_changed(found, entry), edited)


def _how_changed(found: Pass, entry: Entry) -> str:
    had, file = entry.get("frames"), entry["file"]
    if found.kind == "png" and len(found.files) != had:
        return f"{found.label} has {len(found.files)} frames, {file} was made of {had}."
    return f"{found.label} is another than {file} was made of."


def _without_entry(directory: Path, source: Path, found: Pass, *, prepared: bool) -> Compared:
    own = directory / f"{found.name}.mp4"
    if own.is_file() and source == directory:
        newer = found.kind == "png" and _newest(found) > own.stat().st_mtime_ns
        said = f"{found.label} is newer than {own}, which was not made of it."
        return Compared(found.name, "older", said) if newer else Compared(found.name, "same")
    if found.kind == "video" and not prepared:  # it is a pass by itself
        return Compared(found.name, "same")
    return Compared(found.name, "new", f"{found.label} has no {own.name} yet.")


def _newest(found: Pass) -> int:
    with saying_why_not_read(found.files[0]):
        return max(path.stat().st_mtime_ns for path in found.files)


def _edited(file: Path, entry: Entry, deep: bool) -> bool | None:
    """Whether an mp4 is another than the one that was made; None: it is not there."""
    if not file.is_file():
        return None
    stat = file.stat()
    as_left = (stat.st_size, stat.st_mtime_ns) == (entry.get("size"), entry.get("mtime_ns"))
    return (deep or not as_left) and hash_of(file) != entry.get("sha256")


def _missing(found: Pass, source: Path, entry: Entry) -> int:
    """How many files are gone, if the others are as they were (as far as is known); else 0."""
    frames, had, now = entry.get("frames"), _stamps(entry), len(found.files)
    if found.kind != "png" or not isinstance(frames, int) or now >= frames:
        return 0
    as_they_were = not had or set(stamps_of(found, source)) <= set(had)
    return frames - now if as_they_were else 0


def _stamps(entry: Entry) -> tuple[str, ...]:
    text = entry.get("stamps")
    return tuple(text.split()) if isinstance(text, str) else ()


def _of_source(entry: Entry, name: str) -> Any:
    source = entry.get("source")
    return source.get(name) if isinstance(source, Mapping) else None
