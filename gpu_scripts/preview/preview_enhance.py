"""Enhance, simulated on the CPU: rules turn a prompt into a longer prompt.

The rules use the first frames of the colour pass at `resolution`; see `preview_words` for the rules
and `preview_common` for the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
from PIL import Image
from preview_common import Floats, Sample, Steps, decoded, main
from preview_words import Seen, rewritten

NEEDED = ("prompt", "resolution", "seed")
FRAMES = 2
"""Number of first frames that are measured; NVIDIA's own prompt upsampler takes two as well."""


def make(sample: Sample, folder: Path, part: Path, steps: Steps, workers: int) -> None:  # noqa: ARG001
    """Write the new text of a sample.

    Raises:
        ValueError: the colour pass cannot be read.
    """
    frames = decoded(folder / sample["inputs"]["color"])
    pictures = list(steps.over(_pictures(frames, sample["resolution"]), FRAMES))
    if not pictures:
        raise ValueError("the colour pass has no frames")
    text = rewritten(sample["prompt"], seen_in(np.stack(pictures)), sample["seed"])
    part.write_text(text + "\n", encoding="utf-8")


def _pictures(frames: Iterator[av.VideoFrame], longest: int) -> Iterator[Floats]:
    """Yield the first frames as (height, width, 3), 0 to 1, no side above `longest`."""
    for frame in islice(frames, FRAMES):
        converted = frame.reformat(format="rgb24", threads=1)  # threads race at odd widths
        image = Image.fromarray(np.asarray(converted.to_ndarray(), np.uint8))
        image.thumbnail((longest, longest), Image.Resampling.BOX)
        yield (np.asarray(image, np.float32) / 255).astype(np.float32)


def seen_in(pictures: Floats) -> Seen:
    """Measure brightness, contrast, saturation and dominant hue of (n, height, width, 3), 0 to 1.

    The dominant hue is the direction of the sum of all hues as vectors, weighed by their chroma.
    """
    light = pictures @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    red, green, blue = (pictures[..., c].astype(np.float64) for c in range(3))
    along = (red - 0.5 * (green + blue)).sum()
    across = (np.sqrt(3) / 2 * (green - blue)).sum()
    return Seen(
        brightness=round(float(light.mean()), 4),
        contrast=round(float(light.std()), 4),
        saturation=round(float((pictures.max(-1) - pictures.min(-1)).mean()), 4),
        hue=round(float(np.degrees(np.arctan2(across, along)) % 360), 2),
        wide=pictures.shape[2] / pictures.shape[1] > 1.7,
    )


if __name__ == "__main__":
    sys.exit(main("enhance", NEEDED, make))
