"""EXR files for tests: what OpenImageIO writes, and by hand what it does not write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import OpenImageIO as oiio

from tests.media.renders import Array

_KINDS = {"uint": ("<u4", 0), "half": ("<f2", 1), "float": ("<f4", 2)}
Box = tuple[int, int, int, int]
"""Left, top, right and bottom, all of them inside."""


@dataclass
class Part:
    """A part of a file: its channels by name, each (height, width), and how it is stored."""

    channels: Mapping[str, Array]
    kinds: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    at: tuple[int, int] = (0, 0)
    shown: Box | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tile: int = 0
    sampling: int = 1
    """Of the channels RY and BY; only by hand."""

    def kind(self, channel: str) -> str:
        return self.kinds.get(channel, "half")

    @property
    def size(self) -> tuple[int, int]:
        height, width = next(iter(self.channels.values())).shape
        return width, height


def write(path: Path, *parts: Part) -> Path:
    """By OpenImageIO."""
    path.parent.mkdir(parents=True, exist_ok=True)
    specs = [_spec(part) for part in parts]
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), tuple(specs)), out.geterror()
    for i, (part, spec) in enumerate(zip(parts, specs, strict=True)):
        assert not i or out.open(str(path), spec, "AppendSubimage"), out.geterror()
        pixels = np.stack([c.astype(np.float32) for c in part.channels.values()], axis=-1)
        assert out.write_image(pixels), out.geterror()
    out.close()
    return path


def _spec(part: Part) -> Any:
    width, height = part.size
    kinds = {part.kind(name) for name in part.channels}
    whole = kinds.pop() if len(kinds) == 1 else "float"
    spec = oiio.ImageSpec(width, height, len(part.channels), whole)
    spec.channelnames = tuple(part.channels)
    spec.channelformats = tuple(oiio.TypeDesc(part.kind(name)) for name in part.channels)
    spec.x, spec.y = part.at
    if part.shown:
        left, top, right, bottom = part.shown
        spec.full_x, spec.full_y = left, top
        spec.full_width, spec.full_height = right - left + 1, bottom - top + 1
    spec.tile_width = spec.tile_height = part.tile
    if part.name:
        spec.attribute("oiio:subimagename", part.name)
    for name, value in part.attributes.items():
        spec.attribute(name, value)
    return spec


def by_hand(*parts: Part, flags: int = 0, version: int = 2, kind: str = "scanlineimage") -> bytes:
    """As https://openexr.com/en/latest/OpenEXRFileLayout.html says, not compressed."""
    several = len(parts) > 1
    heads = b"".join(_head(part, kind) + b"\0" for part in parts) + (b"\0" if several else b"")
    lines = sum(part.size[1] for part in parts)
    begins = 8 + len(heads) + 8 * lines
    table, body = b"", b""
    for number, part in enumerate(parts):
        for y in range(part.size[1]):
            line = b"".join(_line(part, name, y) for name in sorted(part.channels))
            table += pack("<Q", begins + len(body))
            body += pack("<i", number) if several else b""
            body += pack("<ii", y + part.at[1], len(line)) + line
    return (
        pack("<II", 20000630, version | flags | (0x1000 if several else 0)) + heads + table + body
    )


def _line(part: Part, name: str, y: int) -> bytes:
    step = part.sampling if name in ("RY", "BY") else 1
    if y % step:
        return b""
    row = part.channels[name][y // step]
    return bytes(row.astype(_KINDS[part.kind(name)][0]).tobytes())


def _head(part: Part, kind: str) -> bytes:
    (width, height), (left, top) = part.size, part.at
    data = (left, top, left + width - 1, top + height - 1)
    channels = b""
    for name in sorted(part.channels):
        step = part.sampling if name in ("RY", "BY") else 1
        number = _KINDS[part.kind(name)][1]
        channels += name.encode() + pack("<xiBxxxii", number, 0, step, step)
    texts = {"name": part.name, "type": kind} if part.name else {}
    return b"".join(
        (
            _attribute("channels", "chlist", channels + b"\0"),
            _attribute("compression", "compression", b"\0"),
            _attribute("dataWindow", "box2i", pack("<4i", *data)),
            _attribute("displayWindow", "box2i", pack("<4i", *(part.shown or data))),
            _attribute("lineOrder", "lineOrder", b"\0"),
            _attribute("pixelAspectRatio", "float", pack("<f", 1)),
            _attribute("screenWindowCenter", "v2f", pack("<2f", 0, 0)),
            _attribute("screenWindowWidth", "float", pack("<f", 1)),
            _attribute("chunkCount", "int", pack("<i", height)),
            *(_text(name, value) for name, value in {**texts, **part.attributes}.items()),
        )
    )


def _text(name: str, value: str | Sequence[str]) -> bytes:
    if isinstance(value, str):
        return _attribute(name, "string", value.encode())
    each = b"".join(pack("<i", len(one)) + one.encode() for one in value)
    return _attribute(name, "stringvector", each)


def _attribute(name: str, kind: str, data: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + pack("<i", len(data)) + data
