"""Passes that lie in the same files are made together: each file is opened and decoded once.

Depths are looked at once before that (`DepthReader.of`), since their range must be known, and what
is wrong with them be told, before a frame is encoded. To keep them instead would take four bytes on
the disk for each pixel of each frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from cosmos_pipelines.media.encode import Array, Coding, coded, encode, encoding
from cosmos_pipelines.media.in_order import paths_in_order
from cosmos_pipelines.media.kept_pictures import KeptPictures, keeping, packed
from cosmos_pipelines.media.of_layers import Reader
from cosmos_pipelines.media.readers.picture import ReadLayer, read_at_once
from cosmos_pipelines.media.segmentation import colour_error
from cosmos_pipelines.media.sources import Source

T = TypeVar("T")
Facts = dict[str, Any]


@dataclass(frozen=True)
class OfLayers:
    """A pass of pictures that can be made: `reader` knows of its files what it must know before.

    `step` is called after each frame that is encoded, and again after each that is `checked`
    against what was written. `height` and `width`: to what pictures are cropped.
    """

    source: Source
    reader: Reader
    target: Path
    coding: Coding
    height: int
    width: int
    step: Callable[[], None]
    checked: bool

    def bytes_each(self) -> int:
        """About how much memory is taken by the work on a picture."""
        channels = sum(len(one.places) for one in self.reader.layers(self.source.found.files[0]))
        return (8 * channels + 16) * self.source.width * self.source.height

    def picture(self, path: Path, values_of: ReadLayer) -> Array:
        """A picture as it is to be seen in the video."""
        return self.reader.read(path, values_of)[: self.height, : self.width]


def make_together(passes: Sequence[OfLayers], fps: Fraction) -> list[Facts]:
    """Write the videos of passes whose files are the same; facts for scene.json of each.

    The first one is encoded while the files are read, the others afterwards, one after the other,
    of pictures that were kept on the disk: each encoder holds some fifty frames.

    Raises:
        MediaError: a picture is damaged or unsuitable.
        DiskFull: no room; nothing half-written is left.
    """
    first = next((one for one in passes if not one.checked), None)
    with ExitStack() as stack:
        kept = {
            one.source.name: stack.enter_context(keeping(one.target.parent))
            for one in passes
            if one is not first
        }
        content = _read_all(passes, fps, kept)
        return [
            {"made": "encoded", "source_sha256": content}
            | (_of_kept(one, fps, kept[one.source.name]) if one is not first else {})
            | one.reader.facts()
            | {"notes": one.reader.notes()}
            for one in passes
        ]


def _read_all(passes: Sequence[OfLayers], fps: Fraction, kept: Mapping[str, KeptPictures]) -> str:
    """Look at all files once, and hash them; encode the pass that is not kept."""
    hasher, files = hashlib.sha256(), passes[0].source.found.files
    each = sum(one.bytes_each() for one in passes)

    def read(path: Path) -> list[Any]:
        layers = (layer for one in passes for layer in one.reader.layers(path))
        values_of = read_at_once(path, layers)
        pictures = [(one, one.picture(path, values_of)) for one in passes]
        return [
            packed(picture) if one.source.name in kept else coded(picture, one.coding)
            for one, picture in pictures
        ]

    with ExitStack() as stack:
        places = [
            kept.get(one.source.name)
            or stack.enter_context(encoding(one.target, fps=fps, coding=one.coding))
            for one in passes
        ]
        for pictures in paths_in_order(files, read, hasher, each=each):
            for one, place, picture in zip(passes, places, pictures, strict=True):
                place.add(picture)
                if one.source.name not in kept:
                    one.step()
    return hasher.hexdigest()


def _of_kept(one: OfLayers, fps: Fraction, kept: KeptPictures) -> Facts:
    """Encode what was kept; compare it with what comes out, if that is to be exact."""
    encode(counted(kept.again(), one.step), one.target, fps=fps, coding=one.coding)
    if not one.checked:
        return {}
    return colour_error(one.target, counted(kept.again(), one.step)).facts()


def counted(items: Iterator[T], step: Callable[[], None]) -> Iterator[T]:
    """The same, with a step after each."""
    for item in items:
        yield item
        step()
