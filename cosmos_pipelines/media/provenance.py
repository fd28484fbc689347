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

from cosmos_pipelines.errors import InputError, MediaError
from cosmos_pipelines.files import writing
from cosmos_pipelines.foreign import parse_json
from cosmos_pipelines.media.containers import ANY_TAGS, opened
from cosmos_pipelines.media.files import check_regular, saying_why_not_read
from cosmos_pipelines.media.probe import probe

KEY: Final = "cosmos"
"""The member of the JSON object by which we know our own comments."""
LONGEST: Final = 1 << 20
"""Characters of a comment that are looked at."""


def tags(meta: Mapping[str, Any]) -> dict[str, str]:
    """`meta` (JSON values) as container tags, for `encode(..., tags=tags(meta))`.

    Everything but ASCII is escaped: some readers spoil the rest.
    """
    return {"comment": json.dumps({KEY: dict(meta)}, sort_keys=True, separators=(",", ":"))}


def embed(source: Path, target: Path, meta: Mapping[str, Any], *, checked: bool = False) -> None:
    """Write the video `source` to the mp4 `target` with `meta` in it; both may be the same.

    Packets are copied, not encoded; what was embedded before is replaced. `target` appears whole
    or not at all, and outlives a power cut: the catalog is about to call the run completed.
    `checked`: `source` was just found to be a sound video.

    Raises:
        MediaError: `source` is missing, not a video, or of a kind that loses frames in an mp4.
        DiskFull: no room.
    """
    if not checked:
        probe(source)
    options = {"movflags": "+faststart"}
    with (
        writing(target, durable=True) as part,
        opened(source) as old,
        av.open(str(part), "w", format="mp4", options=options, **ANY_TAGS) as new,
    ):
        new.metadata.update({**old.metadata, **tags(meta)})
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams.video}
        for packet in old.demux(old.streams.video):
            if packet.size and packet.dts is None:  # as Matroska where frames are coded ahead
                raise MediaError(
                    f"{source} cannot be copied to an mp4: a frame has no decode time."
                )
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)


def read(path: Path) -> dict[str, Any] | None:
    """What was embedded in a video, or None if it says nothing of the kind.

    Raises:
        MediaError: missing, not readable or not a video.
    """
    check_regular(path)
    with saying_why_not_read(path):
        path.open("rb").close()
    with opened(path) as container:
        text = container.metadata.get("comment") or container.metadata.get("COMMENT") or ""
    try:
        found = parse_json(text[:LONGEST], str(path))
    except InputError:
        return None
    meta = found.get(KEY) if isinstance(found, dict) else None
    return meta if isinstance(meta, dict) else None
