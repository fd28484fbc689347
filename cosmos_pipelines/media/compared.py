"""One pass as its files are now, compared with what was made of them. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cosmos_pipelines.media.files import hash_of, saying_why_not_read
from cosmos_pipelines.media.fingerprints import content_of, stamps_of
from cosmos_pipelines.media.scene_file import Entry
from cosmos_pipelines.media.sequence import Pass

State = Literal["same", "changed", "new", "part", "gone", "older"]
"""What the files of a pass are now, compared with those that its mp4 was made of.

`new`: there is no mp4 of them. `part`: some are gone and the rest is as it was. `older`: the mp4 is
the user's own, and pictures of the same pass are newer than it.
"""


@dataclass(frozen=True)
class Compared:
    """One pass. `said` tells in a sentence what is not as it was; empty for `same`."""

    name: str
    state: State
    said: str = ""
    edited: bool = False
    """Its mp4 is not as we made it."""


def gone(name: str, entry: Entry) -> Compared:
    """A pass whose files are not there any more."""
    label = _of_source(entry, "files") or "The source"
    return Compared(name, "gone", f"{label}, of which {entry['file']} was made, is gone.")


def with_entry(
    directory: Path, source: Path, entry: Entry, found: Pass | None, name: str, deep: bool
) -> Compared:
    """A pass that was made of files, `found` as they are now.

    Raises:
        MediaError: a file may not be read.
    """
    if found is None:
        return gone(name, entry)
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
    if found.kind != "video" and len(found.files) != had:
        return f"{found.label} has {len(found.files)} frames, {file} was made of {had}."
    return f"{found.label} is another than {file} was made of."


def without_entry(directory: Path, source: Path, found: Pass, *, prepared: bool) -> Compared:
    """A pass of which scene.json says nothing. `prepared`: there is a scene.json.

    Raises:
        MediaError: a file may not be read.
    """
    own = directory / f"{found.name}.mp4"
    if own.is_file() and source == directory:
        newer = found.kind != "video" and _newest(found) > own.stat().st_mtime_ns
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
    if found.kind == "video" or not isinstance(frames, int) or now >= frames:
        return 0
    as_they_were = not had or set(stamps_of(found, source)) <= set(had)
    return frames - now if as_they_were else 0


def _stamps(entry: Entry) -> tuple[str, ...]:
    text = entry.get("stamps")
    return tuple(text.split()) if isinstance(text, str) else ()


def _of_source(entry: Entry, name: str) -> Any:
    source = entry.get("source")
    return source.get(name) if isinstance(source, Mapping) else None
