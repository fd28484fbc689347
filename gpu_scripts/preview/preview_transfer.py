"""Transfer, simulated on the CPU: a video from control passes and a prompt's look.

See `preview_common` for the command line and `preview_compose` for the effect of each setting.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
from preview_common import (
    Pixels,
    Sample,
    Steps,
    in_order,
    in_step,
    main,
    require_frames,
    write_video,
    yuv_frame,
)
from preview_compose import Composition

NEEDED = (
    *("prompt", "negative_prompt", "weights_normalised", "num_steps", "guidance", "seed"),
    *("blur_strength", "canny_threshold", "width", "height", "frames", "rate"),
)


def make(sample: Sample, folder: Path, part: Path, steps: Steps, workers: int) -> None:
    """Compose and encode the video of a sample.

    Raises:
        ValueError: an input cannot be used, or has another length than the sample says.
    """
    width, height = sample["width"], sample["height"]
    composition = Composition(sample, height, width)

    def composed(index: int, passes: dict[str, Pixels]) -> av.VideoFrame:
        return yuv_frame(composition.frame(index, passes))

    videos = {name: folder / path for name, path in sample["inputs"].items()}
    frames = in_order(composed, in_step(videos, width, height), workers)
    made = write_video(
        steps.over(frames, sample["frames"]),
        part,
        (width, height),
        Fraction(sample["rate"]),
        "fast",
    )
    require_frames(made, sample)


if __name__ == "__main__":
    sys.exit(main("transfer", NEEDED, make))
