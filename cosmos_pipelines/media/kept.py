"""What of a prepared scene need not be made again: its sources and its mp4 are as they were."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosmos_pipelines.media.files import hash_of
from cosmos_pipelines.media.scene_file import Entry, entries_of
from cosmos_pipelines.media.sequence import Pass
from cosmos_pipelines.media.sources import content_of


def still_valid(
    dest: Path, earlier: Mapping[str, Any], found: Pass, print_: str, settings: Mapping[str, Any]
) -> Entry | None:
    """The earlier entry of a pass, if the same would be made of it now; with its present times.

    Names, sizes and times tell; where they are others (files were copied or touched), the contents
    are compared. Nothing is written.

    Raises:
        MediaError: a file is gone or may not be read.
    """
    entry = entries_of(earlier).get(found.name)
    if entry is None:
        return None
    file = dest / str(entry.get("file"))
    if not file.is_file():
        return None
    if entry.get("fingerprint") != print_ and (
        earlier.get("settings") != dict(settings) or _content(entry) != content_of(found)
    ):
        return None
    entry = _with_present_times(entry, found)
    stat = file.stat()
    if (stat.st_size, stat.st_mtime_ns) == (entry.get("size"), entry.get("mtime_ns")):
        return {**entry, "fingerprint": print_}
    if stat.st_size != entry.get("size") or hash_of(file) != entry.get("sha256"):
        return None
    return {**entry, "fingerprint": print_, "mtime_ns": stat.st_mtime_ns}


def _with_present_times(entry: Entry, found: Pass) -> Entry:
    """The entry with the time of a source that is a video, by which `videos_of` knows it again."""
    source = entry.get("source")
    if found.kind != "video" or not isinstance(source, Mapping):
        return entry
    return {**entry, "source": {**source, "mtime_ns": found.files[0].stat().st_mtime_ns}}


def _content(entry: Entry) -> Any:
    source = entry.get("source")
    return source.get("sha256") if isinstance(source, Mapping) else None
