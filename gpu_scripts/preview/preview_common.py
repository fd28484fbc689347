"""Shared parts of the preview programs: request, loop over samples, video in and out, label.

These programs run on the GPU side: Python, numpy, PyAV and Pillow only, no `cosmos_pipelines`.

    python preview_<operation>.py RUN_DIR/request.json [--workers N]

Exit code 0: every sample was made. 1: some samples failed, each with a line
`FAILED <run_id>: reason`; the other samples are whole. 2: the request is wrong, nothing was made.
Paths in a request are relative to the request's directory. An output appears whole or not at all.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from model_files import Finished, whole_file
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Sample = dict[str, Any]
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Item = TypeVar("Item")
Made = TypeVar("Made")

LABEL = "PREVIEW (simulated on the CPU)"
BT709, LIMITED_RANGE, UNKNOWN_COLORSPACE = 1, 1, 2
"""Values of ITU-T H.273; FFmpeg uses the same numbers."""
ENCODER_THREADS = 4
"""Threads of x264, fixed: the same count gives the same bytes, on any machine under any load."""
X264 = {"crf": "18", "x264-params": "mbtree=0"}
"""Without mbtree: if a row is not a multiple of 8 macroblocks wide (320 pixels are not), the vector
code of x264's mbtree reads uninitialised memory, and the same frames give different bytes."""


class BadRequest(Exception):
    """The request is wrong; nothing was made."""


class Steps:
    """Writes the progress of a sample to the log, about every tenth of the frames."""

    def __init__(self, place: str, sample: Sample, operation: str) -> None:
        self._prefix = f"[{place}] {sample['run_id']} {operation}: frame"

    def over(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """Yield `items`; write a log line after about every tenth of `total`."""
        pace = max(1, round(total / 10))
        for n, item in enumerate(items, 1):
            yield item
            if n % pace == 0 or n == total:
                say(f"{self._prefix} {n}/{total}")


Make = Callable[[Sample, Path, Path, Steps, int], None]
"""Makes a sample from: sample, the request's directory, the file to write, steps, workers."""


def main(operation: str, needed: Iterable[str], make: Make) -> int:
    """Read the command line's request, make all samples, return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `.part` files are removed
    words = argparse.ArgumentParser(description=f"Preview of the operation {operation}, on a CPU.")
    words.add_argument("request", type=Path)
    words.add_argument("--workers", type=int, default=min(8, len(os.sched_getaffinity(0))))
    args = words.parse_args()
    try:
        samples = read_request(args.request, operation, {"run_id", "output", "inputs", *needed})
    except BadRequest as e:
        say(f"ERROR: {_one_line(e)}")
        return 2
    say(f"{LABEL}: {operation}, {len(samples)} sample(s), {args.workers} worker(s)")
    finished = Finished(args.request.resolve().parent, say)
    noted: dict[str, dict[str, float]] = {}
    failed = [
        sample["run_id"]
        for n, sample in enumerate(samples, 1)
        if not _made(sample, f"{n}/{len(samples)}", operation, args, make, finished, noted)
    ]
    if failed:
        say(f"ERROR: {len(failed)} of {len(samples)} samples failed: {', '.join(failed)}")
    return 1 if failed else 0


def read_request(path: Path, operation: str, needed: Iterable[str]) -> list[Sample]:
    """Return the samples of a request file, each a dictionary with at least the keys `needed`.

    Raises:
        BadRequest: the file is missing, not JSON, for another program, or lacks a key.
    """
    try:
        request = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise BadRequest(f"cannot read {path.name}: {e}") from None
    if not isinstance(request, dict) or request.get("operation") != operation:
        raise BadRequest(f"{path.name} is not a request for {operation}")
    samples = request.get("samples")
    if not isinstance(samples, list) or not samples:
        raise BadRequest(f"{path.name} has no samples")
    for n, sample in enumerate(samples, 1):
        missing = sorted(set(needed) - set(sample)) if isinstance(sample, dict) else ["everything"]
        if missing:
            raise BadRequest(f"sample {n} of {path.name} lacks {', '.join(missing)}")
    return samples


def _made(
    sample: Sample,
    place: str,
    operation: str,
    args: argparse.Namespace,
    make: Make,
    finished: Finished,
    noted: dict[str, dict[str, float]],
) -> bool:
    began = time.monotonic()
    folder = args.request.resolve().parent
    try:
        with whole_file(folder / sample["output"]) as part:
            make(sample, folder, part, Steps(place, sample, operation), max(1, args.workers))
    except Exception as e:  # noqa: BLE001  the other samples are made in any case
        traceback.print_exc()
        say(f"FAILED {sample['run_id']}: {_one_line(e)}")
        return False
    noted[sample["run_id"]] = {"seconds": round(time.monotonic() - began, 3)}
    finished.add(sample["output"], samples=noted)
    say(f"[{place}] {sample['run_id']} {operation}: done, {sample['output']}")
    return True


def say(line: str) -> None:
    """Write a log line at once."""
    print(line, flush=True)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError | BadRequest) else f"{type(error).__name__}: {text}"


def decoded(path: Path) -> Iterator[av.VideoFrame]:
    """Yield the frames of a video's first video stream, as they are stored.

    Raises:
        ValueError: the video is missing, unreadable or has no video stream.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path.name} has no video stream")
            container.streams.video[0].thread_type = "AUTO"
            yield from container.decode(container.streams.video[0])
    except av.FFmpegError as e:
        raise ValueError(f"cannot read {path.name}: {e.strerror}") from e


def rgb_frames(path: Path, width: int, height: int) -> Iterator[Pixels]:
    """Yield frames as (height, width, 3) RGB; a larger frame is cut at its right and lower side."""
    for frame in decoded(path):
        unknown = frame.colorspace == UNKNOWN_COLORSPACE
        converted = frame.reformat(
            format="rgb24", src_colorspace="ITU709" if unknown else None, threads=1
        )
        rgb = np.array(converted.to_ndarray(), np.uint8)
        if rgb.shape[0] < height or rgb.shape[1] < width:
            raise ValueError(f"{path.name} is {rgb.shape[1]}x{rgb.shape[0]}, not {width}x{height}")
        yield rgb[:height, :width]


def in_step(videos: dict[str, Path], width: int, height: int) -> Iterator[dict[str, Pixels]]:
    """Yield the frames of several videos together, by name.

    Raises:
        ValueError: a video ends before the others.
    """
    readers = {name: rgb_frames(path, width, height) for name, path in videos.items()}
    while True:
        together = {name: next(reader, None) for name, reader in readers.items()}
        frames = {name: frame for name, frame in together.items() if frame is not None}
        if not frames:
            return
        if len(frames) < len(readers):
            ended = ", ".join(sorted(set(readers) - set(frames)))
            raise ValueError(f"the inputs are not of the same length: {ended} ended first")
        yield frames


def in_order(
    work: Callable[[int, Item], Made], items: Iterable[Item], workers: int
) -> Iterator[Made]:
    """Yield `work(index, item)` of all items, on threads, in order; few results wait at a time."""
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for index, item in enumerate(items):
            waiting.append(pool.submit(work, index, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def write_video(
    frames: Iterable[av.VideoFrame],
    path: Path,
    size: tuple[int, int],
    rate: Fraction,
    preset: str,
) -> int:
    """Encode yuv420p `frames` as H.264 with BT.709 tags in an mp4; return the number of frames.

    The same frames give the same bytes.
    """
    count, options = 0, {"preset": preset, **X264}
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = LABEL
        stream = container.add_stream("libx264", rate=rate, options=options)
        coder = stream.codec_context
        coder.width, coder.height = size
        coder.pix_fmt, coder.time_base = "yuv420p", 1 / rate
        coder.thread_count = ENCODER_THREADS
        coder.color_range, coder.colorspace = LIMITED_RANGE, BT709
        coder.color_primaries, coder.color_trc = BT709, BT709
        for frame in frames:
            frame.pts, frame.time_base = count, 1 / rate
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count


def yuv_frame(rgb: Pixels) -> av.VideoFrame:
    """Return a (height, width, 3) RGB picture as a yuv420p frame in BT.709."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return frame.reformat(
        format="yuv420p",
        dst_colorspace="ITU709",
        dst_color_range="MPEG",
        dst_color_primaries=BT709,
        dst_color_trc=BT709,
        threads=1,
    )


def require_frames(made: int, sample: Sample) -> None:
    """Refuse a video with another number of frames than its sample says.

    Raises:
        ValueError: the video has more or fewer frames.
    """
    if made != sample["frames"]:
        raise ValueError(f"the source has {made} frames, not {sample['frames']}")


def label(text: str, size: int) -> tuple[Floats, Floats]:
    """Return `text`, `size` pixels high, in white on a dark plate: lightness and cover, 0 to 1.

    Both are (plate height, plate width); cut them to a smaller picture.
    """
    font = ImageFont.load_default(size)
    left, top, right, bottom = (round(x) for x in font.getbbox(text))
    pad = max(2, (bottom - top) // 2)
    shape = (right - left + 2 * pad, bottom - top + 2 * pad)
    plate = Image.new("L", shape, 0)
    ImageDraw.Draw(plate).text((pad - left, pad - top), text, fill=255, font=font)
    letters = (np.asarray(plate, np.float32) / 255).astype(np.float32)
    return letters, np.maximum(letters, 0.55).astype(np.float32)
