"""Look at every file of every pass before anything is encoded, and compare the passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.colour.named import CHROMATICITIES, SAYING
from cosmos_pipelines.media.numbering import missing, step_of, stretches_text
from cosmos_pipelines.media.png_header import Header, read_header
from cosmos_pipelines.media.probe import Probe, probe
from cosmos_pipelines.media.rates import usual
from cosmos_pipelines.media.readers.layers import Layer, PictureFacts
from cosmos_pipelines.media.readers.picture import read_facts
from cosmos_pipelines.media.sequence import Pass

DEFAULT_FPS = Fraction(24)


@dataclass(frozen=True)
class Source:
    """A pass whose every file has been looked at.

    `fps` is None for pictures, unless a video of them lies beside.
    """

    found: Pass
    width: int
    height: int
    frames: int
    fps: Fraction | None
    picture: Header | None = None
    video: Probe | None = None
    first: PictureFacts | None = None
    """Of pictures that are no PNG: the header of the first one."""
    notes: tuple[str, ...] = ()
    other_space: Path | None = None
    """Of pictures that are no PNG: the first one that says another colour space than `first`."""

    @property
    def name(self) -> str:
        """The pass: color, depth, ..."""
        return self.found.name

    @property
    def kind(self) -> str:
        """How a picture stores its values: `8-bit RGB`, `exr half`."""
        if self.first:
            return f"{self.first.format} {self.layers[0].kind}"
        assert self.picture
        return self.picture.kind

    @property
    def bits(self) -> int | None:
        """Of a whole number in a picture; None of floats, and of numbers of more than 16 bits."""
        if self.first:
            return {"uint8": 8, "uint16": 16}.get(self.layers[0].kind)
        return self.picture.bits if self.picture else None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the pictures that the pass is made of; none of PNG and of videos."""
        if self.first is None:
            return ()
        return tuple(one for one in self.first.layers if one.name in self.found.layers)

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
                **({"part": list(self.found.part)} if self.found.part else {}),
            }
        layers = {"layers": list(self.found.layers)} if self.found.layers else {}
        return {
            "kind": self.found.kind,
            "files": self.found.label,
            **layers,
            "picture": self.kind,
            "first": self.found.numbers[0],
            "last": self.found.numbers[-1],
            "step": step_of(self.found.numbers),
        }


def look_at(passes: Iterable[Pass], step: int = 1) -> list[Source]:
    """Read the headers of all files; videos are walked through whole.

    Raises:
        MediaError: one line naming every frame that is missing from numbers `step` apart, or the
            first file that cannot be used.
    """
    passes = list(passes)
    _check_numbers(passes, step)
    looks = {"video": _look_at_video, "png": _look_at_pictures, "pictures": _look_at_layers}
    return [looks[p.kind](p) for p in passes]


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
            hint=f"If only one frame in {every} was rendered, say `--step {every}`."
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
    frames = video.frames
    if found.part is not None:
        first, frames = found.part
        if first + frames > video.frames:
            raise MediaError(
                f"{path} has {video.frames} frames; frames {first} to {first + frames - 1} are "
                "wanted."
            )
    return Source(found, video.width, video.height, frames, fps, video=video)


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
    fps, notes = _rate_beside(found), tuple(_notes(found, headers))
    return Source(found, *most, len(headers), fps, picture=first, notes=notes)


def _look_at_layers(found: Pass) -> Source:
    """Compare the headers of all pictures with that of the first."""
    first = read_facts(found.files[0])
    wanted = [_layer(first, name) for name in found.layers]
    other_space: Path | None = None
    for path in found.files[1:]:
        facts = read_facts(path)
        if other_space is None and _says_of_colours(facts) != _says_of_colours(first):
            other_space = path
        if (facts.width, facts.height) != (first.width, first.height):
            raise MediaError(
                f"{path} is {facts.width}x{facts.height}, but {first.path.name} is "
                f"{first.width}x{first.height}."
            )
        for layer in wanted:
            there = _layer(facts, layer.name)
            if (there.channels, there.kind) != (layer.channels, layer.kind):
                raise MediaError(
                    f"{path}: its layer {layer.name or 'without a name'} has "
                    f"{'.'.join(there.channels)} of {there.kind}, in {first.path.name} it has "
                    f"{'.'.join(layer.channels)} of {layer.kind}.",
                    hint="Render all frames with one setting.",
                )
            if there != layer:  # it stands elsewhere in the file
                raise MediaError(
                    f"{path} has other layers than {first.path.name}.",
                    hint="Render all frames with one setting.",
                )
    size, fps = (first.width, first.height), _rate_beside(found)
    return Source(found, *size, len(found.files), fps, first=first, other_space=other_space)


def _says_of_colours(facts: PictureFacts) -> list[str]:
    """What a picture says of its colour space."""
    return [str(facts.attributes.get(name)) for name in (*SAYING, CHROMATICITIES)]


def _rate_beside(found: Pass) -> Fraction | None:
    """The rate of the video of the same frames that lies beside pictures, where it has one."""
    try:
        video = probe(found.video) if found.video else None
    except MediaError:  # it is not used
        return None
    return video.fps if video and video.steady else None


def _layer(facts: PictureFacts, name: str) -> Layer:
    if (layer := facts.layer(name)) is None:
        has = ", ".join(one.name or "one without a name" for one in facts.layers[:8])
        raise MediaError(
            f"{facts.path} has no layer {name or 'without a name'}; it has {has}.",
            hint="Render all frames with one setting.",
        )
    return layer


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
    notes: list[str] = []
    if found.beside:  # values and colours are read as the labels name them
        return notes
    value = found.name == "depth" or (found.name == "segmentation" and headers[0].grey)
    if any(h.alpha for h in headers) and found.name != "depth":
        what = "dropped" if value else "laid over black"
        notes.append(f"{found.label}: its alpha was {what}")
    if any(h.bits == 16 for h in headers) and not value:
        notes.append(f"{found.label}: 16 bits were rounded to 8")
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
    _same_frames(sources)
    if fps is not None:
        return fps
    rates = {s.found.label: f"{s.fps} frames a second" for s in sources if s.fps}
    _same("rate", rates, "Give the rate at which all their frames shall play: `--fps RATE`.")
    return next((s.fps for s in sources if s.fps), DEFAULT_FPS)


def _same(what: str, values: Mapping[str, str], hint: str) -> None:
    if len(set(values.values())) > 1:
        said = ", ".join(f"{label} {value}" for label, value in values.items())
        raise MediaError(f"The passes differ in {what}: {said}.", hint=hint)


def _same_frames(sources: list[Source]) -> None:
    """Refuse sequences that are as long and have some of their numbers in common, not all.

    Where one begins at 0 and another at 1 frames are counted otherwise, and paired in order; so
    are sequences that have no number in common.
    """
    ranges = [(s.found.label, s.found.numbers[0], s.found.numbers[-1]) for s in sources
              if s.found.numbers]  # fmt: skip
    for _, begin, end in ranges[1:]:
        first, last = ranges[0][1:]
        apart = end < first or begin > last
        if begin != first and not apart and {begin, first} != {0, 1}:
            said = ", ".join(f"{label} {a} to {b}" for label, a, b in ranges)
            raise MediaError(
                f"The passes are of other frames: {said}.",
                hint="Render what is missing and take away the rest; or renumber them, if the "
                "first frames belong together.",
            )
