"""A scene directory as the models need it: mp4s that agree with each other, and scene.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError, command
from cosmos_pipelines.media.files import hash_of
from cosmos_pipelines.media.plain import ShownOtherwise, check_plain
from cosmos_pipelines.media.probe import Probe, probe
from cosmos_pipelines.media.scene_file import entries_of, read_scene_file
from cosmos_pipelines.media.sequence import PASSES, Pass, find_passes


@dataclass(frozen=True)
class Scene:
    """A checked scene. `digest` is a function of the passes' contents alone, not of names."""

    name: str
    path: Path
    description: str | None
    passes: dict[str, Probe]
    sha256: dict[str, str]
    digest: str

    @property
    def color(self) -> Probe:
        """The pass that every scene has."""
        return self.passes["color"]

    @property
    def fps(self) -> Fraction:
        """Frames a second, exact; one for all passes, as are frames, width and height."""
        return self.color.fps

    def facts(self) -> dict[str, Any]:
        """What is known of the scene as plain JSON values; each pass with its SHA-256."""
        return {
            "frames": self.color.frames,
            "width": self.color.width,
            "height": self.color.height,
            "fps": str(self.fps),
            "duration_s": round(self.color.duration_s, 6),
            "passes": {
                name: {"file": p.path.name, "sha256": self.sha256[name], **p.facts()}
                for name, p in self.passes.items()
            },
        }


def load_scene(directory: Path) -> Scene:
    """Read and check a directory of control videos, with or without its scene.json.

    `color.mp4`, `depth.mp4`, ... are taken first, else videos that are named like the pass; in
    place of those that are shown otherwise, what was prepared of them. Hashes are those of the
    bytes, whatever scene.json says.

    Raises:
        ShownOtherwise: that has not been prepared yet, or has changed since.
        MediaError: not readable, no color, passes of different length, size or rate, or a file
            that is damaged or no video.
    """
    record = read_scene_file(directory)
    videos = videos_of(directory, record)
    if "color" not in videos:
        raise _no_color(directory)
    passes = {name: probe(path) for name, path in videos.items()}
    for found in passes.values():
        check_plain(found, hint=f"Run {command('cosmos', 'prepare', directory)}.")
    _check(directory, passes)
    hashes = {name: hash_of(p.path) for name, p in passes.items()}
    text = json.dumps(sorted(hashes.items()))
    return Scene(
        name=str(record.get("name") or directory.absolute().name),
        path=directory,
        description=record.get("description") or None,
        passes=passes,
        sha256=hashes,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def prepared_name(name: str) -> str:
    """What is made of `<name>.mp4` beside it, where that cannot be used as it is."""
    return f"{name}.prepared.mp4"


def videos_of(directory: Path, record: Mapping[str, Any] | None = None) -> dict[str, Path]:
    """The videos of a scene directory, by pass; {} for one that is no scene of videos (yet).

    `record`: its scene.json, if that has been read already.

    Raises:
        ShownOtherwise: what was made of a video is out of date.
        MediaError: the directory cannot be read, or several videos claim to be one pass.
    """
    record = read_scene_file(directory) if record is None else record
    exact = {n: directory / f"{n}.mp4" for n in PASSES if (directory / f"{n}.mp4").is_file()}
    for name, entry in entries_of(record).items():
        if name in PASSES and entry["file"] == prepared_name(name):
            exact[name] = _prepared(directory / prepared_name(name), exact.get(name), entry)
    if "color" in exact:
        return exact
    found = {n: p.files[0] for n, p in find_passes(directory).items() if p.kind == "video"}
    return {n: exact.get(n) or found[n] for n in PASSES if n in exact or n in found}


def _prepared(made: Path, source: Path | None, entry: Mapping[str, Any]) -> Path:
    """What was made of `source`, if it still is what it was made of, or is all that is left.

    What was made of pictures says nothing of a video beside them, and the other way round.
    """
    was = entry.get("source")
    of_pictures = isinstance(was, dict) and was.get("kind") != "video"
    if (source is None or of_pictures) and made.is_file():
        return made
    if source is not None and made.is_file() and isinstance(was, dict):
        s = source.stat()
        if (s.st_size, s.st_mtime_ns) == (was.get("size"), was.get("mtime_ns")):
            return made
    raise ShownOtherwise(
        f"{made} is out of date: {made.name.partition('.')[0]}.mp4 has changed.",
        hint=f"Run {command('cosmos', 'prepare', made.parent)}.",
    )


def _no_color(directory: Path) -> MediaError:
    found: Mapping[str, Pass] = find_passes(directory)
    if any(p.kind != "video" for p in found.values()):
        hint = f"It holds picture sequences: run {command('cosmos', 'prepare', directory)} first."
        return MediaError(f"{directory} has no color.mp4.", hint=hint)
    has = f" It has {', '.join(found)}." if found else ""
    return MediaError(f"{directory} has no color.mp4: a scene needs its color pass.{has}")


def _check(directory: Path, passes: Mapping[str, Probe]) -> None:
    said = {
        "length": {p.path.name: f"{p.frames} frames" for p in passes.values()},
        "size": {p.path.name: f"{p.width}x{p.height}" for p in passes.values()},
        "rate": {p.path.name: f"{p.fps} frames a second" for p in passes.values()},
    }
    for what, values in said.items():
        if len(set(values.values())) > 1:
            each = ", ".join(f"{file} {value}" for file, value in values.items())
            raise MediaError(f"The passes of {directory} differ in {what}: {each}.")
