"""Videos whose frames carry their number as pixels: ten bars, black or white, are its bits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 10


def numbered_video(
    path: Path,
    *,
    frames: int = 48,
    fps: Fraction | int = 24,
    width: int = 160,
    height: int = 96,
    shade: int = 0,
    codec: str = "libx264",
    gop: int = 250,
) -> Path:
    """Write the number in the upper half of each frame; the lower half is of one grey, `shade`.

    Key frames as NVIDIA's writer sets them: one, and frames between that need later ones.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(fps)
    silent = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    options = {"crf": "16", "g": str(gop), "threads": "1", "preset": "fast", **silent}
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as out:
        stream = out.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(frames):
            picture = np.full((height, width, 3), shade, np.uint8)
            for bit in range(BITS):
                left, right = bit * width // BITS, (bit + 1) * width // BITS
                picture[: height // 2, left:right] = 255 * (i >> bit & 1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = i, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


READ = """
(canvas, at) => {
  const paint = canvas.getContext("2d");
  let number = 0;
  for (let bit = 0; bit < 10; bit += 1) {
    const x = at.x + ((bit + 0.5) * at.width) / 10;
    if (paint.getImageData(x, at.y + at.height * 0.25, 1, 1).data[0] > 127) number |= 1 << bit;
  }
  return number;
}
"""
"""JavaScript: the number in a picture that lies at `at` on a 2D canvas."""

STEPS = (
    """
async ({player, steps}) => {
  const read = """
    + READ
    + """;
  const {clock, show, view} = document.querySelector(player).player;
  const shown = async (frame) => {
    while (show.shown !== frame) await new Promise(requestAnimationFrame);
    return read(view.canvas, view.placed);
  };
  const found = [];
  for (const [act, ...values] of steps) {
    clock[act](...values);
    found.push([clock.frame, await shown(clock.frame)]);
  }
  return found;
}
"""
)
"""JavaScript: makes steps of a mounted player; of each the frame that is due and the one seen."""
