"""Videos as other programs write them, by the `ffmpeg` command, for tests."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

import pytest

_CODECS = {
    "h264": ["libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast"],
    "vp9": ["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
    "mjpeg": ["mjpeg", "-pix_fmt", "yuvj420p"],
    "prores": ["prores_ks"],
    "ffv1": ["ffv1"],
    "png": ["png"],
    "mpeg4": ["mpeg4"],
}

WHOLE = (
    "h264.mp4",
    "h264.fast.mp4",
    "h264.m4v",
    "prores.mov",
    "h264.mkv",
    "ffv1.mkv",
    "vp9.webm",
    "mjpeg.avi",
    "mpeg4.avi",
)
"""`codec.container` of files that say how long they are."""

LIVE = ("h264.live.mkv", "vp9.live.webm")
"""Written into a pipe: neither their size nor their length is in them."""


def ffmpeg(*words: object, **options: object) -> None:
    """Run the command, or skip the test where there is none."""
    try:
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *map(str, words)],
            check=True,
            stdin=subprocess.DEVNULL,
            **options,  # type: ignore[call-overload]
        )
    except FileNotFoundError:
        pytest.skip("no ffmpeg on this machine to write foreign videos")


def foreign(
    directory: Path,
    kind: str,
    *,
    name: str = "color",
    frames: int = 12,
    rate: str = "24",
    size: str = "64x48",
    filters: str = "null",
    sound_s: float | None = None,
    options: tuple[str, ...] = (),
) -> Path:
    """A test picture with a running counter as `directory`/`name`.`container`."""
    container = kind.rpartition(".")[2]
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.{container}"
    path.write_bytes(_written(kind, frames, rate, size, filters, sound_s, options))
    return path


@functools.cache
def _written(
    kind: str,
    frames: int,
    rate: str,
    size: str,
    filters: str,
    sound_s: float | None,
    options: tuple[str, ...],
) -> bytes:
    codec, *how, container = kind.split(".")
    words = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}"]
    words += ["-f", "lavfi", "-t", str(sound_s), "-i", "sine"] if sound_s else []
    words += ["-frames:v", str(frames), "-vf", filters, "-c:v", *_CODECS[codec], *options]
    words += ["-movflags", "+faststart"] if "fast" in how else []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"video.{container}"
        if "live" in how:
            with path.open("wb") as out:
                ffmpeg(*words, "-f", {"mkv": "matroska"}.get(container, container), "-", stdout=out)
        else:
            ffmpeg(*words, path)
        return path.read_bytes()
