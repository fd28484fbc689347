"""Decode videos to the pictures that players show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy.typing as npt
from av.container import InputContainer
from av.filter import Graph
from av.video.stream import VideoStream

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.containers import opened, video_of
from cosmos_pipelines.media.encode import reformatted
from cosmos_pipelines.media.pixels import over_black
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.media.shown import Shown

Array = npt.NDArray[Any]
Filters = list[tuple[str, str]]

_TO_BT709 = "out_transfer=bt709:out_primaries=bt709:out_color_matrix=bt709:out_range=tv"


def pictures_of(path: Path, *, exact: bool = False, first: int = 0) -> Iterator[Array]:
    """Decode a video to (height, width, 3) uint8 RGB arrays as they are shown, one at a time.

    `exact`: where pixels have to be stretched no new colours are mixed (for segments). `first`:
    the frame with which to begin.

    Raises:
        MediaError: missing, not a video, damaged, or shown in a way that is not known here.
    """
    shown = probe(path).shown
    for frame in frames_of(path, shown, first=first):
        yield _picture(frame, shown, exact)


def frames_of(path: Path, shown: Shown, *, first: int = 0) -> Iterator[av.VideoFrame]:
    """Decode a video's frames in the size in which they are coded, whole and of BT.709's light.

    Those before `first` are left out; what lies before its key frame is not decoded.

    Raises:
        MediaError: not a video, damaged, or shown in a way that is not known here.
    """
    if shown.refused:
        raise MediaError(f"{path} cannot be read: {shown.refused}.", hint=shown.remedy)
    with opened(path) as container:
        stream = video_of(path, container)
        stream.thread_type = "AUTO"
        try:
            frames: Iterable[av.VideoFrame] = (
                _from(container, stream, first) if first else container.decode(stream)
            )
            if filters := _filters(shown):
                frames = _filtered(frames, filters)
            yield from frames
        except av.error.FFmpegError as e:
            raise MediaError(f"{path} cannot be decoded: {e.strerror}.") from None


def _from(container: InputContainer, stream: VideoStream, first: int) -> Iterator[av.VideoFrame]:
    """The frames of a video of a steady rate from the `first` on."""
    assert stream.time_base and stream.average_rate
    start = stream.start_time or 0
    wanted = start + round(first / (stream.average_rate * stream.time_base))
    half = 1 / (2 * stream.average_rate * stream.time_base)
    container.seek(wanted, stream=stream)
    for frame in container.decode(stream):
        if frame.pts is not None and frame.pts > wanted - half:
            yield frame


def _picture(frame: av.VideoFrame, shown: Shown, exact: bool) -> Array:
    width, height = shown.stretched(frame.width, frame.height)
    how = {"width": width, "height": height, "interpolation": "POINT" if exact else "BICUBIC"}
    if shown.square:
        how = {}
    if shown.alpha:
        return shown.turned(over_black(reformatted(frame, format="rgba", **how).to_ndarray()))
    pixels = reformatted(frame, format="rgb24", **how).to_ndarray()
    return pixels if shown.upright else shown.turned(pixels)


def _filters(shown: Shown) -> Filters:
    filters = []
    if shown.fields:
        filters.append(("bwdif", f"mode=send_frame:parity={shown.fields}:deint=all"))
    if shown.light:  # swscale's own tone mapping, after ITU-R BT.2390
        filters += [("scale", f"{_TO_BT709}:intent=perceptual"), ("format", "pix_fmts=rgb24")]
    elif shown.gamut:
        filters += [("scale", f"{_TO_BT709}:intent=relative_colorimetric")]
    return filters


def _filtered(frames: Iterable[av.VideoFrame], filters: Filters) -> Iterator[av.VideoFrame]:
    graph: Graph | None = None
    for n, frame in enumerate(frames):
        graph = graph or _graph(frame, filters)
        frame.pts, frame.time_base = n, Fraction(1)
        graph.vpush(frame)
        yield from _pulled(graph)
    if graph:
        graph.vpush(None)
        yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _graph(frame: av.VideoFrame, filters: Filters) -> Graph:
    graph = Graph()
    graph.threads = 1  # see `reformatted`
    first = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    nodes = [graph.add(name, how) for name, how in filters]
    graph.link_nodes(first, *nodes, graph.add("buffersink")).configure()
    return graph
