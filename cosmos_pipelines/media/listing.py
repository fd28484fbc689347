"""One look at a directory: which pictures and videos are there, how large and from when.

Nothing is read. A look goes as far down as the passes of a scene may lie.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from cosmos_pipelines.media.layouts.tree import MEDIA, VIDEOS, folders_in

PICTURES: Final = MEDIA - VIDEOS

Listing = Mapping[str, os.stat_result]
"""Files by their paths relative to the directory, with what the file system says of each."""


def listing(
    directory: Path, also: Collection[str] = (), prepared: list[Path] | None = None
) -> dict[str, os.stat_result]:
    """The media files of a directory and the labels beside them, and those called as one of `also`.

    Hidden ones are not there, nor those of prepared scenes in it, which are added to `prepared`.

    Raises:
        MediaError: the directory is missing or may not be read.
    """
    found: dict[str, os.stat_result] = {}
    for folder in folders_in(directory, also=also, prepared=prepared):
        prefix = "".join(f"{part}/" for part in folder.parts)
        for entry in (*folder.media, *folder.labels, *folder.others):
            try:
                found[prefix + entry.name] = entry.stat()
            except OSError:  # renamed or removed in this very moment: the next look is another
                continue
    return found


def stamp_of_listing(found: Listing) -> str:
    """A hash by which a listing is known again: names, sizes and times."""
    digest = hashlib.sha256()
    for name, stat in sorted(found.items()):
        digest.update(os.fsencode(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n"))
    return digest.hexdigest()[:32]
