"""A scene directory as the models need it: mp4s that agree with each other, and scene.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import hash_of
from cosmos_pipelines.media.probe import Probe, probe
from cosmos_pipelines.media.scene_file import read_scene_file
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

    `color.mp4`, `depth.mp4`, ... are taken first, else videos that are named like the pass. Hashes
    are those of the bytes, whatever scene.json says.

    Raises:
        MediaError: not readable, no color, passes of different length, size or rate, or a file
            that is damaged or no video.
    """
    record = read_scene_file(directory)
    videos = _videos(directory)
    if "color" not in videos:
        raise _no_color(directory)
    passes = {name: probe(path) for name, path in videos.items()}
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


def _videos(directory: Path) -> dict[str, Path]:
    exact = {n: directory / f"{n}.mp4" for n in PASSES if (directory / f"{n}.mp4").is_file()}
    if "color" in exact:
        return exact
    found = {n: p.files[0] for n, p in find_passes(directory).items() if p.kind == "video"}
    return {n: exact.get(n) or found[n] for n in PASSES if n in exact or n in found}


def _no_color(directory: Path) -> MediaError:
    found: Mapping[str, Pass] = find_passes(directory)
    if any(p.kind == "png" for p in found.values()):
        hint = f"It holds PNG sequences: run `cosmos prepare {directory}` first."
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
