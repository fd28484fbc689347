"""Small renders as a renderer would leave them, for tests."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cosmos_pipelines.media.encode import PICTURE, Coding, encode
from cosmos_pipelines.media.probe import Probe

Array = npt.NDArray[Any]


def colour(i: int, width: int = 64, height: int = 48) -> Array:
    """A smooth picture that moves."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([(x * 3 + i * 5) % 200, (y * 4) % 200, (x + y + i * 3) % 200], -1).astype("u1")


def distance(i: int, width: int = 64, height: int = 48) -> Array:
    """16-bit distances 1000..; the upper rows are background, frame i is 100 farther."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = (1000 + 100 * i + x * 10 + y * 5).astype(np.uint16)
    pixels[:4] = 65535
    return pixels


def segments(i: int, width: int = 64, height: int = 48) -> Array:
    """Flat colours with hard edges one pixel apart."""
    table = np.random.default_rng(7).integers(0, 256, (50, 3), dtype=np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    return table[(x // 5 + y // 3 + i) % 50]


def sequence(
    directory: Path,
    pattern: str,
    picture: Callable[..., Array],
    numbers: Sequence[int] = range(1, 7),
    **size: int,
) -> None:
    """Write `pattern % number` below `directory` for each number."""
    for i, number in enumerate(numbers):
        path = directory / (pattern % number)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, picture(i, **size))


def save(path: Path, pixels: Array) -> None:
    """8-bit through Pillow; 16 bits of several channels, which it cannot write, by hand."""
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        colours = {2: GREY_ALPHA, 3: RGB, 4: RGBA}
        path.write_bytes(png(pixels, 16, colours[pixels.shape[2]]))
    else:
        Image.fromarray(pixels).save(path, format="png")


GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""PNG's colour types."""


def png(samples: Array, bits: int, colour: int, extra: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG of (height, width, channels) samples as they are, with `extra` chunks before them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1)
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in flat]
    else:
        most_first = np.arange(bits - 1, -1, -1)
        rows = [np.packbits((row[:, None] >> most_first) & 1).tobytes() for row in flat]
    head = chunk(b"IHDR", pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    chunks = b"".join(chunk(kind, data) for kind, data in extra)
    return b"\x89PNG\r\n\x1a\n" + head + chunks + body + chunk(b"IEND", b"")


def video(
    path: Path,
    frames: int = 6,
    fps: int = 24,
    picture: Callable[..., Array] = colour,
    coding: Coding = PICTURE,
    **size: int,
) -> Probe:
    """An H.264 mp4 with BT.709 tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return encode((picture(i, **size) for i in range(frames)), path, fps=fps, coding=coding)


def render(directory: Path, *, frames: int = 6, **size: int) -> Path:
    """Color, depth and segmentation sequences."""
    numbers = range(1, frames + 1)
    sequence(directory, "color.%04d.png", colour, numbers, **size)
    sequence(directory, "depth.%04d.png", distance, numbers, **size)
    sequence(directory, "segmentation.%04d.png", segments, numbers, **size)
    return directory


def as_nobody(act: str, path: Path) -> str:
    """What `act` (an expression of `path`) raises for a user without rights, as its text.

    Root may read and write everything, so a child process gives up its rights after importing.
    """
    for parent in path.parents:
        if any("pytest" in p.name for p in (parent, *parent.parents)):
            parent.chmod(parent.stat().st_mode | 0o055)  # pytest's own directories are private
    code = (
        "import os, sys; from pathlib import Path\n"
        "from cosmos_pipelines.errors import CosmosError\n"
        "from cosmos_pipelines.media import demo_scene, encode, prepare, probe, sequence\n"
        "path = Path(sys.argv[1])\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"try: {act}\n"
        "except CosmosError as e: print(f'{type(e).__name__}: {e}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
