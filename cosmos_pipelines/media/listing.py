"""One look at a directory: which pictures and videos are there, how large and from when.

Nothing is read. Passes lie in a scene's directory and in its direct sub-directories, so that is as
far as a look goes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from cosmos_pipelines.media.files import saying_why_not_read
from cosmos_pipelines.media.sequence import VIDEOS

PICTURES: Final = frozenset({".png", ".exr", ".jpg", ".jpeg", ".tif", ".tiff", ".hdr", ".dpx"})
MEDIA: Final = VIDEOS | PICTURES
_ENDS: Final = tuple(MEDIA)

Listing = Mapping[str, os.stat_result]
"""Files by their paths relative to the directory, with what the file system says of each."""


def listing(directory: Path, also: Collection[str] = ()) -> dict[str, os.stat_result]:
    """The media files of a directory, and those called as one of `also`; hidden ones are not there.

    Raises:
        MediaError: the directory is missing or may not be read.
    """
    found: dict[str, os.stat_result] = {}
    with saying_why_not_read(directory):
        below = list(_listed(directory, "", also, found))
    for name in below:
        with saying_why_not_read(directory / name):
            list(_listed(directory / name, f"{name}/", also, found))
    return found


def _listed(
    directory: Path, prefix: str, also: Collection[str], found: dict[str, os.stat_result]
) -> Iterator[str]:
    """Adds the files to `found` and yields the names of directories."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.name.lower().endswith(_ENDS) and entry.name not in also:
                if entry.is_dir():
                    yield entry.name
                continue
            try:
                if entry.is_file():
                    found[prefix + entry.name] = entry.stat()
                elif entry.is_dir():
                    yield entry.name
            except OSError:  # renamed or removed in this very moment: the next look is another
                continue


def stamp_of_listing(found: Listing) -> str:
    """A hash by which a listing is known again: names, sizes and times."""
    digest = hashlib.sha256()
    for name, stat in sorted(found.items()):
        digest.update(os.fsencode(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n"))
    return digest.hexdigest()[:32]
