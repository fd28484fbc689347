"""What players do to a video's pixels before they show them: the file's flags, read and said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from shlex import quote
from struct import unpack
from typing import Any, Final, Literal

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type
from av.video.stream import VideoStream

Array = npt.NDArray[Any]
Turn = tuple[int, int, int, int]
"""(xx, xy, yx, yy), each -1, 0 or 1: the pixel at (x, y) is shown at (x*xx + y*yx, x*xy + y*yy)."""

UPRIGHT: Final[Turn] = (1, 0, 0, 1)

_TURNS: Final[Mapping[Turn, str]] = {
    (0, -1, 1, 0): "turned left by 90 degrees",
    (0, 1, -1, 0): "turned right by 90 degrees",
    (-1, 0, 0, -1): "turned by 180 degrees",
    (-1, 0, 0, 1): "mirrored left to right",
    (1, 0, 0, -1): "mirrored top to bottom",
    (0, 1, 1, 0): "turned left by 90 degrees and mirrored top to bottom",
    (0, -1, -1, 0): "turned right by 90 degrees and mirrored top to bottom",
}
_LIGHT: Final[Mapping[int, Literal["PQ", "HLG"]]] = {16: "PQ", 18: "HLG"}
_WIDE: Final[Mapping[int, str]] = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_FIRST_FIELD: Final[Mapping[int, Literal["tff", "bff"]]] = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}
_NOT_READ: Final[Mapping[int, str]] = {
    8: "linear light",
    9: "logarithmic light",
    10: "logarithmic light",
    17: "the light of digital cinema (SMPTE 428)",
}
"""Colour flags by the numbers of ITU-T H.273; field orders by FFmpeg's AVFieldOrder."""


@dataclass(frozen=True)
class Shown:
    """How a video is shown, where that is not how its pixels lie.

    `refused` is what we cannot do, `remedy` how the user can.

    `fields`: interlaced; the order is in each frame (`auto`), or top or bottom field first.
    `hidden`: frames that an edit list (of a cut without encoding) keeps from being shown.
    """

    turn: Turn = UPRIGHT
    pixel_aspect: Fraction = Fraction(1)
    fields: Literal["auto", "tff", "bff"] | None = None
    light: Literal["PQ", "HLG"] | None = None
    gamut: str | None = None
    alpha: bool = False
    hidden: int = 0
    refused: str | None = None
    remedy: str | None = None

    @property
    def mixing(self) -> str | None:
        """A change that makes new values of the pixels' values, which only pictures bear."""
        if self.fields:
            return "interlaced"
        if self.light:
            return f"flagged as HDR ({self.light})"
        return f"flagged as {self.gamut}" if self.gamut else None

    @property
    def upright(self) -> bool:
        """Whether the picture is neither turned nor mirrored."""
        return self.turn == UPRIGHT

    @property
    def square(self) -> bool:
        """Whether its pixels are square."""
        return self.pixel_aspect == 1

    @property
    def changes(self) -> tuple[str, ...]:
        """What has to be done to its pixels, for people; nothing for most videos."""
        said: dict[str, object] = {
            f"cut to what its edit list shows (without {self.hidden} frames)": self.hidden,
            f"tone-mapped from HDR ({self.light}) to BT.709": self.light,
            f"converted from the colours of {self.gamut} to those of BT.709": self.gamut,
            "deinterlaced": self.fields,
            "laid over black where it is transparent": self.alpha,
            f"stretched to square pixels (they are {self.aspect_text})": not self.square,
            _TURNS.get(self.turn, ""): not self.upright,
        }
        return tuple(change for change, needed in said.items() if needed)

    @property
    def aspect_text(self) -> str:
        """`8:9`, the width of a pixel to its height."""
        return f"{self.pixel_aspect.numerator}:{self.pixel_aspect.denominator}"

    def stretched(self, width: int, height: int) -> tuple[int, int]:
        """The coded size with square pixels: the height stays, as in every player."""
        if self.square:
            return width, height
        return max(2, 2 * round(width * self.pixel_aspect / 2)), height

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in which a picture of the coded size is shown."""
        width, height = self.stretched(width, height)
        return (width, height) if self.turn[0] else (height, width)

    def turned(self, pixels: Array) -> Array:
        """A picture (height, width, ...) as it is shown: turned and mirrored."""
        xx, xy, yx, yy = self.turn
        if not xx:
            pixels, xx, yy = pixels.swapaxes(0, 1), yx, xy
        return np.ascontiguousarray(pixels[::yy, ::xx])


def shown_of(path: Path, stream: VideoStream, frame: av.VideoFrame) -> Shown:
    """What a stream's header and its first frame say. `path` is for the remedy's command."""
    context = stream.codec_context
    light = _told(frame.color_trc, context.color_trc)
    primaries = _told(frame.color_primaries, context.color_primaries)
    turn = _turn_of(frame)
    refused, remedy = _refused(path, stream, turn, light)
    return Shown(
        turn=turn or UPRIGHT,
        pixel_aspect=_pixel_aspect(stream),
        fields="auto" if frame.interlaced_frame else _FIRST_FIELD.get(context.field_order),
        light=_LIGHT.get(light),
        gamut=None if light in _LIGHT else _WIDE.get(primaries),
        alpha=any(c.is_alpha for c in frame.format.components),
        refused=refused,
        remedy=remedy,
    )


def _refused(
    path: Path, stream: VideoStream, turn: Turn | None, light: int
) -> tuple[str, str] | tuple[None, None]:
    codec = stream.codec_context.name
    decoder = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(codec)
    if decoder and stream.metadata.get("alpha_mode") == "1":
        return (
            "its transparency is a second video inside it (VP8 or VP9 alpha)",
            f"Lay it over black: `ffmpeg -c:v {decoder} -i {quote(str(path))} -vf "
            f"premultiply=inplace=1,format=yuv420p {quote(path.stem)}.mp4`.",
        )
    if turn is None:
        return (
            "it is turned by an angle that is no quarter turn",
            f"ffmpeg turns it: `ffmpeg -i {quote(str(path))} {quote(path.stem)}.mp4`.",
        )
    if light in _NOT_READ:
        return f"it is coded in {_NOT_READ[light]}", "Render or convert it to BT.709."
    return None, None


def _told(frame: int, header: int) -> int:
    """The frame's own flag, or the header's where the frame says `unspecified` (2) or nothing."""
    return int(frame) if frame not in (0, 2) else int(header)


def _turn_of(frame: av.VideoFrame) -> Turn | None:
    """The quarter turn in the file's display matrix; None if it is another angle."""
    there: Any = frame.side_data
    try:
        data = bytes(there[Type.DISPLAYMATRIX])
    except KeyError:
        return UPRIGHT
    a, b, _, c, d, *_ = unpack("=9i", data)
    most = max(map(abs, (a, b, c, d)))
    if not most:
        return UPRIGHT
    turn = (round(a / most), round(b / most), round(c / most), round(d / most))
    straight = all(abs(x / most - to) < 0.01 for x, to in zip((a, b, c, d), turn, strict=True))
    return turn if straight and turn in (UPRIGHT, *_TURNS) else None


def _pixel_aspect(stream: VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio
    if not aspect or not Fraction(1, 10) < aspect < 10:
        return Fraction(1)
    width = stream.codec_context.width
    return Fraction(aspect) if abs(width * aspect - width) >= 1 else Fraction(1)
