"""Upscale, simulated on the CPU: a Lanczos filter resamples a video to 4K.

`control_weight` is how strictly the result follows the source: 1 adds no sharpness, less adds more.
Frames and rate stay. See `preview_common` for the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from preview_common import (
    BT709,
    UNKNOWN_COLORSPACE,
    Sample,
    Steps,
    decoded,
    in_order,
    label,
    main,
    require_frames,
    write_video,
)

NEEDED = ("control_weight", "width", "height", "frames", "rate")


class Enlargement:
    """Enlarges the frames of a sample; a filter graph keeps no state between frames."""

    def __init__(self, sample: Sample) -> None:
        self.width, self.height = sample["width"], sample["height"]
        self._sharpening = round(1.2 * (1 - sample["control_weight"]), 4)
        self._label = label("PREVIEW UPSCALE", round(self.height / 48))

    def frame(self, _index: int, source: av.VideoFrame) -> av.VideoFrame:
        """Return `source` in the new size, yuv420p, BT.709, with the label."""
        source.pts = None
        graph = self._graph(source)
        graph.push(source)
        large = graph.pull()
        assert isinstance(large, av.VideoFrame)
        return self._labelled(large)

    def _graph(self, source: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        graph.threads = 1
        links = [
            graph.add_buffer(
                width=source.width,
                height=source.height,
                format=source.format,
                time_base=Fraction(1, 1000),
            )
        ]
        if self._sharpening > 0:
            links.append(graph.add("unsharp", f"5:5:{self._sharpening}:5:5:0"))
        matrix = "bt709" if source.colorspace == UNKNOWN_COLORSPACE else "auto"
        links.append(
            graph.add(
                "scale",
                f"{self.width}:{self.height}:flags=lanczos+accurate_rnd+bitexact"
                f":in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv",
            )
        )
        links += [graph.add("format", "yuv420p"), graph.add("buffersink")]
        graph.link_nodes(*links).configure()
        return graph

    def _labelled(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Put the label into the lower right corner; only lightness is changed."""
        planes = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
        letters, cover = self._label
        margin = self.height // 48
        lightness = planes[: self.height, : self.width]
        place = lightness[margin : self.height - margin, : self.width - margin]
        place = place[-letters.shape[0] :, -letters.shape[1] :]
        rows, columns = place.shape
        letters, cover = letters[-rows:, -columns:], cover[-rows:, -columns:]
        place[:] = (place + cover * (16 + 219 * letters - place)).round().astype(np.uint8)
        labelled = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        labelled.colorspace, labelled.color_range = BT709, 1
        return labelled


def make(sample: Sample, folder: Path, part: Path, steps: Steps, workers: int) -> None:
    """Enlarge and encode the video of a sample.

    Raises:
        ValueError: the source cannot be used, or has another length than the sample says.
    """
    enlargement = Enlargement(sample)
    source: Iterator[av.VideoFrame] = decoded(folder / sample["inputs"]["video"])
    frames = in_order(enlargement.frame, source, workers)
    made = write_video(
        steps.over(frames, sample["frames"]),
        part,
        (enlargement.width, enlargement.height),
        Fraction(sample["rate"]),
        "veryfast",
    )
    require_frames(made, sample)


if __name__ == "__main__":
    sys.exit(main("upscale", NEEDED, make))
