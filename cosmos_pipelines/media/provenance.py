"""How a video was made, inside the video: JSON in the container's `comment` tag.

Any player shows it (`ffprobe -show_format`), it survives renaming and copying, and pixels are not
touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import av

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import saying_why_not_read, writing
from cosmos_pipelines.media.probe import probe

KEY: Final = "cosmos"
"""The member of the JSON object by which we know our own comments."""


def embed(meta: Mapping[str, Any]) -> dict[str, str]:
    """`meta` (JSON values) as container tags, for `encode(..., tags=embed(meta))`.

    Control characters are escaped, everything is ASCII: some readers spoil anything else.
    """
    text = json.dumps({KEY: dict(meta)}, sort_keys=True, separators=(",", ":"))
    return {"comment": text}


def write(path: Path, meta: Mapping[str, Any]) -> None:
    """Put `meta` into the existing mp4 `path`, in place of what was embedded before.

    Packets are copied, not encoded; the file is replaced whole or not at all.

    Raises:
        MediaError: missing or not a video.
        DiskFull: no room for the copy.
    """
    probe(path)
    with writing(path) as part, av.open(str(path)) as source:
        options = {"movflags": "+faststart"}
        with av.open(str(part), "w", format="mp4", options=options) as target:
            target.metadata.update({**source.metadata, **embed(meta)})
            streams = {s.index: target.add_stream_from_template(s) for s in source.streams.video}
            for packet in source.demux(source.streams.video):
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    target.mux(packet)


def read(path: Path) -> dict[str, Any] | None:
    """What was embedded in a video, or None if it says nothing of the kind.

    Raises:
        MediaError: missing, not readable or not a video.
    """
    with saying_why_not_read(path):
        path.open("rb").close()
    try:
        with av.open(str(path)) as container:
            text = container.metadata.get("comment") or container.metadata.get("COMMENT") or ""
    except av.error.FFmpegError as e:
        raise MediaError(f"{path} is not a video: {e.strerror}.") from None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    meta = found.get(KEY) if isinstance(found, dict) else None
    return meta if isinstance(meta, dict) else None
