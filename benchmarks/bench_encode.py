"""How fast a PNG sequence becomes an mp4, against the `ffmpeg` command with the same settings.

    python benchmarks/bench_encode.py [--frames 121] [--width 1280] [--height 704] [--rounds 3]

Prints one JSON object a line: name, value, unit, and against (seconds of ffmpeg) and ratio where
ffmpeg is installed. Both sides read the same files, take turns, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from cosmos_pipelines.media.encode import PICTURE
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.probe import probe


def main() -> None:
    """Render, encode both ways, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=704)
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_encode_") as name:
        place = Path(name)
        render(place / "renders", a.frames, a.width, a.height)
        measure(place, a.frames, a.rounds)


def render(directory: Path, frames: int, width: int, height: int) -> None:
    """Moving gradients, stripes and grain: neither trivial nor impossible to compress."""
    directory.mkdir()
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    grain = np.random.default_rng(1).normal(0, 3, (height, width, 3))

    def one(i: int) -> None:
        t = i * 3
        red = 128 + 90 * np.sin((x + t) / 60) * np.cos(y / 45)
        green = 128 + 80 * np.cos((x - t) / 90 + y / 70)
        blue = 100 + 60 * (((x + t) // 64 + y // 64) % 2)
        pixels = np.clip(np.stack([red, green, blue], -1) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(directory / f"color.{i + 1:04d}.png", compress_level=4)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, range(frames)))


def measure(place: Path, frames: int, rounds: int) -> None:
    """Time both sides in turn; both results must have all frames."""
    ours, theirs = [], []
    reference = place / "reference.mp4"
    command = ffmpeg_command(place / "renders", reference)
    for _ in range(rounds):
        shutil.rmtree(place / "scene", ignore_errors=True)
        ours.append(timed(lambda: prepare_scene(place / "renders", place / "scene")))
        if command:
            theirs.append(timed(lambda: subprocess.run(command, check=True)))
    made = probe(place / "scene" / "color.mp4")
    if made.frames != frames:
        sys.exit(f"color.mp4 has {made.frames} of {frames} frames")
    tell("prepare_png_sequence", min(ours), "s", min(theirs, default=None))
    size = reference.stat().st_size / 1e6 if command else None
    tell("prepare_png_sequence_size", made.size / 1e6, "MB", size)
    tell("prepare_png_sequence_unchanged", timed_again(place), "s", None)


def timed_again(place: Path) -> float:
    """Seconds to find that nothing has to be done."""
    return timed(lambda: prepare_scene(place / "renders", place / "scene"))


def ffmpeg_command(renders: Path, target: Path) -> list[str] | None:
    """The same work by the command line tool, or None where there is none."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        print("ffmpeg is not installed: nothing to compare with", file=sys.stderr)
        return None
    options = [word for k, v in PICTURE.options.items() for word in (f"-{k}", v)]
    tags = [w for k in ("colorspace", "color_primaries", "color_trc") for w in (f"-{k}", "bt709")]
    return [
        ffmpeg, "-v", "error", "-y", "-framerate", "24", "-start_number", "1",
        "-i", str(renders / "color.%04d.png"),
        "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-c:v", "libx264", *options,
        "-pix_fmt", PICTURE.pix_fmt, *tags, "-color_range", "tv", "-movflags", "+faststart",
        str(target),
    ]  # fmt: skip


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes by the wall clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tell(name: str, value: float, unit: str, against: float | None) -> None:
    """One JSON line."""
    line: dict[str, object] = {"name": name, "value": round(value, 3), "unit": unit}
    if against is not None:
        line |= {"against": round(against, 3), "ratio": round(value / against, 3)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
