"""Look at every file of every pass before anything is encoded, and compare the passes."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import hash_of, saying_why_not_read
from cosmos_pipelines.media.numbering import missing, step_of, stretches_text
from cosmos_pipelines.media.png_header import Header, read_header
from cosmos_pipelines.media.probe import Probe, probe
from cosmos_pipelines.media.rates import usual
from cosmos_pipelines.media.sequence import Pass

DEFAULT_FPS = Fraction(24)


@dataclass(frozen=True)
class Source:
    """A pass whose every file has been looked at. `fps` is None for pictures."""

    found: Pass
    width: int
    height: int
    frames: int
    fps: Fraction | None
    picture: Header | None = None
    video: Probe | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The pass: color, depth, ..."""
        return self.found.name

    def facts(self) -> dict[str, Any]:
        """Where the pass comes from, for scene.json."""
        if self.video:
            v = self.video
            return {
                "kind": "video",
                "files": self.found.label,
                "size": v.size,
                "mtime_ns": v.mtime_ns,
                "codec": v.codec,
                "fps": str(v.written_fps),
                "changes": list(v.shown.changes),
            }
        assert self.picture
        return {
            "kind": "png",
            "files": self.found.label,
            "picture": self.picture.kind,
            "first": self.found.numbers[0],
            "last": self.found.numbers[-1],
            "step": step_of(self.found.numbers),
        }


def fingerprint(found: Pass, root: Path, settings: Mapping[str, Any]) -> str:
    """Changes with any source file's name, size or time, and with the settings.

    Raises:
        MediaError: a file is gone or may not be read.
    """
    files = []
    for path in found.files:
        with saying_why_not_read(path):
            s = path.stat()
        files.append([str(path.relative_to(root)), s.st_size, s.st_mtime_ns])
    text = json.dumps([files, dict(settings)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def stamps_of(found: Pass, root: Path) -> tuple[str, ...]:
    """For each file 10 hex digits that change with its name below `root`, its size or its time.

    Raises:
        MediaError: a file is gone or may not be read.
    """
    stamps = []
    for path in found.files:
        with saying_why_not_read(path):
            s = path.stat()
        text = f"{path.relative_to(root).as_posix()}\0{s.st_size}\0{s.st_mtime_ns}"
        stamps.append(hashlib.sha256(os.fsencode(text)).hexdigest()[:10])
    return tuple(stamps)


def content_of(found: Pass) -> str:
    """SHA-256 (hex) of what a pass shows, whatever its files are called: of a video its bytes.

    Of pictures: of the SHA-256 of each in turn, as they are hashed while they are encoded.

    Raises:
        MediaError: a file is gone or may not be read.
    """
    if found.kind == "video":
        return hash_of(found.files[0])
    digest = hashlib.sha256()
    for path in found.files:
        digest.update(bytes.fromhex(hash_of(path)))
    return digest.hexdigest()


def look_at(passes: Iterable[Pass], step: int = 1) -> list[Source]:
    """Read the headers of all files; videos are walked through whole.

    Raises:
        MediaError: one line naming every frame that is missing from numbers `step` apart, or the
            first file that cannot be used.
    """
    passes = list(passes)
    _check_numbers(passes, step)
    return [_look_at_video(p) if p.kind == "video" else _look_at_pictures(p) for p in passes]


def _check_numbers(passes: list[Pass], step: int) -> None:
    off = [p for p in passes if any((n - p.numbers[0]) % step for n in p.numbers)]
    if off:
        said = [
            f"{p.label} goes from {p.numbers[0]} to {p.numbers[1]}, not in steps of {step}"
            for p in off
        ]
        raise MediaError(f"{'; '.join(said)}.", hint=f"Leave `--step {step}` out.")
    gaps = {p.label: missing(p.numbers, step) for p in passes}
    lacks = [f"{label} lacks {stretches_text(g, step)}" for label, g in gaps.items() if g]
    if lacks:
        steps = {step_of(p.numbers) for p in passes if p.numbers}
        every = steps.pop() if len(steps) == 1 else None
        raise MediaError(
            f"Frames are missing: {'; '.join(lacks)}.",
            hint=f"If only each {every}th was rendered, say `--step {every}`."
            if every
            else "Render them, or renumber the rest.",
        )


def _look_at_video(found: Pass) -> Source:
    path = found.files[0]
    video = probe(path, deep=True)
    shown = video.shown
    if shown.refused:
        raise MediaError(f"{path} cannot be used: {shown.refused}.", hint=shown.remedy)
    if shown.mixing and found.name not in ("color", "vis"):
        raise MediaError(
            f"{path} is {shown.mixing}: to make plain pictures of it would change its values.",
            hint="Write it progressive, with the colour flags of BT.709.",
        )
    fps = video.fps if video.steady else usual(video.fps)
    return Source(found, video.width, video.height, video.frames, fps, video=video)


def _look_at_pictures(found: Pass) -> Source:
    headers = [read_header(path) for path in found.files]
    sizes = Counter((h.width, h.height) for h in headers)
    most = sizes.most_common(1)[0][0]
    for path, h in zip(found.files, headers, strict=True):
        if (h.width, h.height) != most:
            raise MediaError(
                f"{path} is {h.width}x{h.height}, but most of {found.label} is {most[0]}x{most[1]}."
            )
        if h.refused:
            raise MediaError(
                f"{path} {h.refused}.",
                hint="Render plain pictures: upright, square, BT.709 or sRGB.",
            )
    first = headers[0]
    if found.name in ("depth", "segmentation"):
        _check_one_kind(found, headers)
    return Source(
        found, *most, len(headers), None, picture=first, notes=tuple(_notes(found, headers))
    )


def _check_one_kind(found: Pass, headers: list[Header]) -> None:
    """Values are comparable only where all frames store them alike."""
    first = headers[0]
    for path, h in zip(found.files, headers, strict=True):
        if (h.bits, h.grey) != (first.bits, first.grey):
            raise MediaError(
                f"{found.label} mixes {first.kind} and {h.kind} (from {path.name} on).",
                hint="Render the pass in one format.",
            )
    if found.name == "depth" and first.bits < 8:
        raise MediaError(f"{found.label} is {first.kind}: too few levels for depth.")


def _notes(found: Pass, headers: list[Header]) -> list[str]:
    notes = []
    value = found.name == "depth" or (found.name == "segmentation" and headers[0].grey)
    if any(h.alpha for h in headers) and found.name != "depth":
        what = "dropped" if value else "laid over black"
        notes.append(f"{found.label}: its alpha was {what}")
    if any(h.bits == 16 for h in headers) and not value:
        notes.append(f"{found.label}: 16 bits were rounded to 8")
    if found.name == "depth" and headers[0].bits == 8:
        notes.append(f"{found.label}: only 8 bits, so depth may show steps")
    return notes


def agree(sources: list[Source], fps: Fraction | None) -> Fraction:
    """The rate of all passes, after checking that they have one length, size and rate.

    A wanted `fps` counts for all: videos play the same frames at it.

    Raises:
        MediaError: they differ; each pass is told with its value.
    """
    again = "Render them again from one setting."
    _same("length", {s.found.label: f"{s.frames} frames" for s in sources}, again)
    _same("size", {s.found.label: f"{s.width}x{s.height}" for s in sources}, again)
    if fps is not None:
        return fps
    rates = {s.found.label: f"{s.fps} frames a second" for s in sources if s.fps}
    _same("rate", rates, "Give the rate at which all their frames shall play: `--fps RATE`.")
    return next((s.fps for s in sources if s.fps), DEFAULT_FPS)


def _same(what: str, values: Mapping[str, str], hint: str) -> None:
    if len(set(values.values())) > 1:
        said = ", ".join(f"{label} {value}" for label, value in values.items())
        raise MediaError(f"The passes differ in {what}: {said}.", hint=hint)
