"""Renders compared with what was made of them, and made anew where they are others.

A pass is known again by the names, sizes and times of its files; where these are others, by its
content, so that touched or copied files cost no encoding. Only `renew` writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.errors import MediaError, command
from cosmos_pipelines.media.asked import AS_USUAL, Asked
from cosmos_pipelines.media.compared import Compared, gone, with_entry, without_entry
from cosmos_pipelines.media.fingerprints import content_of
from cosmos_pipelines.media.layouts.by_names import scenes_by_names
from cosmos_pipelines.media.listing import Listing, listing, stamp_of_listing
from cosmos_pipelines.media.prepare import planned, prepare_scene
from cosmos_pipelines.media.scene import prepared_name
from cosmos_pipelines.media.scene_file import (
    entries_of,
    ours,
    products,
    read_scene_file,
)
from cosmos_pipelines.media.sequence import PASSES, Pass, survey
from cosmos_pipelines.media.sources import look_at

TO_MAKE: Final = ("changed", "new")
REFUSED: Final = ("part", "older")


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
    if not rendered_in.is_dir():
        return Looked(own, {}, gone=True)
    rendered = listing(rendered_in, also=("scene.toml",))
    scene = asked_of(read_scene_file(directory)).scene
    return Looked(own, rendered if scene is None else _of_scene(rendered, scene))


def _of_scene(found: Listing, scene: str) -> Listing:
    """What of a listing belongs to one of several scenes, and may: files that are of none."""
    scenes = scenes_by_names(found)
    if scene not in scenes:  # the others are gone
        return found
    of_others = {file for name, files in scenes.items() if name != scene for file in files}
    return {name: stat for name, stat in found.items() if name not in of_others}


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
        return [gone(name, entry) for name, entry in made.items()]
    found = _passes(directory, source, record)
    compared = []
    for name in PASSES:
        if name in made:
            one = with_entry(directory, source, made[name], found.get(name), name, deep)
        elif name in found and name not in entries_of(record):
            one = without_entry(directory, source, found[name], prepared=bool(record))
        else:
            continue
        compared.append(one)
    return compared


def _passes(directory: Path, source: Path, record: Mapping[str, Any]) -> dict[str, Pass]:
    """The passes of the scene among its sources; {} where none of them is there."""
    asked = asked_in(directory, source, record)
    skip = _not_sources(directory, source, record)
    found = survey(source, skip=skip, wanted=asked.wanted).find(asked.scene)
    if found is not None and found.wrong:
        raise found.wrong
    return found.passes if found else {}


def renew(directory: Path, rendered_in: Path | None = None, *, usual: Asked = AS_USUAL) -> bool:
    """Make anew what was made of other files than are there now; whether anything was made.

    `usual`: how a scene is prepared for the first time.

    Raises:
        MediaError: it cannot be made: frames are gone, or it is no scene. Says what to do.
        DiskFull: no room; everything is as it was.
    """
    todo = bool(to_make(directory, rendered_in))
    if todo:
        asked = asked_for(directory, rendered_in, usual)
        prepare_scene(rendered_in or directory, directory, asked)
    return todo


def asked_for(directory: Path, rendered_in: Path | None, usual: Asked = AS_USUAL) -> Asked:
    """How a scene is to be prepared.

    One that was not prepared yet, and lies below what it is made of, is one of several there.
    """
    record = read_scene_file(directory) if directory.is_dir() else {}
    asked = asked_in(directory, rendered_in or directory, record, usual)
    inside = rendered_in is not None and directory.is_relative_to(rendered_in)
    if rendered_in is None or not inside or directory.exists():
        return asked
    return replace(asked, scene=directory.relative_to(rendered_in).as_posix())


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
    source = rendered_in or directory
    record = read_scene_file(directory) if directory.is_dir() else {}
    made = entries_of(record)
    same = {one.name for one in compare(directory, rendered_in) if one.state == "same"}
    asked = asked_for(directory, rendered_in)
    skip = {directory, *products(directory, record)} - {source}
    passes = survey(source, skip=skip, wanted=asked.wanted).scene(asked.scene).passes
    sources = look_at(passes.values(), asked.step)
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


def asked_of(record: Mapping[str, Any], usual: Asked = AS_USUAL) -> Asked:
    """How a scene was prepared; of one that an earlier version prepared, as its values tell."""
    if not ours(record):
        return usual
    if "asked" in record:
        return Asked.before(record)
    told = record.get("settings")
    if not isinstance(told, Mapping):
        depth = entries_of(record).get("depth", {}).get("depth")
        values = depth.get("source_values") if isinstance(depth, Mapping) else None
        told = {"fps": record.get("fps"), "depth_values": values}
    given = {name: told[name] for name in ("fps", "depth_values") if told.get(name) is not None}
    return Asked.before({"asked": given})


def asked_in(
    directory: Path, source: Path, record: Mapping[str, Any], usual: Asked = AS_USUAL
) -> Asked:
    """How a scene is made of the files in `source`.

    Which files were meant in another directory says nothing of its own.
    """
    asked = asked_of(record, usual)
    if source == directory and record.get("source", ".") != ".":
        return replace(asked, passes=(), scene=None, step=1)
    return asked


def _not_sources(directory: Path, source: Path, record: Mapping[str, Any]) -> set[Path]:
    """What of a directory was made of the rest, and the user's own mp4s, which stand for a pass."""
    entries = entries_of(record)
    kept = {str(e["file"]) for e in entries.values() if e["made"] == "kept"}
    kept |= {f"{n}.mp4" for n, e in entries.items() if e["file"] == prepared_name(n)}
    own = {directory / f"{name}.mp4" for name in PASSES if f"{name}.mp4" not in kept}
    return {directory, *products(directory, record), *own} - {source}
