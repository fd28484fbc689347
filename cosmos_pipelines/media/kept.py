"""What of a prepared scene need not be made again: its sources and its mp4 are as they were."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.media.asked import COLOURS, NUMBERS, Asked
from cosmos_pipelines.media.colour.named import mark_of_config
from cosmos_pipelines.media.encode_pass import VERSION
from cosmos_pipelines.media.files import hash_of
from cosmos_pipelines.media.fingerprints import content_of
from cosmos_pipelines.media.scene_file import Entry, entries_of
from cosmos_pipelines.media.sequence import Pass

_OF_DEPTH: Final = ("depth_values", "depth_holes", *NUMBERS)
_OF_SEGMENTS: Final = ("segments",)
_OF_NO_PIXEL: Final = ("fps", "step", "scene", "passes")
"""Options that say which files are taken, which is known, and the rate, which is compared."""


def how_made(found: Pass, asked: Asked) -> str:
    """SHA-256 (hex) of what decides the pixels of a pass beside its files: layers and options.

    An option that nobody has named here makes all passes anew.

    Raises:
        MediaError: the OpenColorIO config may not be read.
    """
    names = {"depth": _OF_DEPTH, "segmentation": _OF_SEGMENTS}.get(found.name, COLOURS)
    as_it_is = found.kind == "video" or (found.kind == "png" and names == COLOURS)
    mine = set() if as_it_is else set(names)
    others = {*_OF_NO_PIXEL, *COLOURS, *_OF_DEPTH, *_OF_SEGMENTS} - mine
    options = {name: value for name, value in asked.facts().items() if name not in others}
    if mine & {"ocio"}:
        options["config"] = mark_of_config(asked.ocio)
    taken = [VERSION, found.kind, found.layers, found.meaning, found.part]
    return hashlib.sha256(json.dumps([taken, options], sort_keys=True).encode()).hexdigest()


def still_valid(
    dest: Path, earlier: Mapping[str, Any], found: Pass, print_: str, asked: Asked
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
    if entry.get("fingerprint") != print_ and not (
        _made_so(entry, earlier, found, asked) and _content(entry) == content_of(found)
    ):
        return None
    entry = _with_present_times(entry, found)
    stat = file.stat()
    if (stat.st_size, stat.st_mtime_ns) == (entry.get("size"), entry.get("mtime_ns")):
        return {**entry, "fingerprint": print_, "how": how_made(found, asked)}
    if stat.st_size != entry.get("size") or hash_of(file) != entry.get("sha256"):
        return None
    as_now = {"fingerprint": print_, "how": how_made(found, asked), "mtime_ns": stat.st_mtime_ns}
    return {**entry, **as_now}


def _made_so(entry: Entry, earlier: Mapping[str, Any], found: Pass, asked: Asked) -> bool:
    """Whether a pass was made as it would be now; an earlier version did not say it of each."""
    if "how" not in entry:
        return bool(earlier.get("settings") == {**asked.facts(), "version": VERSION})
    return bool(entry["how"] == how_made(found, asked))


def _with_present_times(entry: Entry, found: Pass) -> Entry:
    """The entry with the time of a source that is a video, by which `videos_of` knows it again."""
    source = entry.get("source")
    if found.kind != "video" or not isinstance(source, Mapping):
        return entry
    return {**entry, "source": {**source, "mtime_ns": found.files[0].stat().st_mtime_ns}}


def _content(entry: Entry) -> Any:
    source = entry.get("source")
    return source.get("sha256") if isinstance(source, Mapping) else None
