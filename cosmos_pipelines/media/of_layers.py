"""Layers of pictures that are no PNG become colours, greys of depth, or segments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.pixels import Array
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.readers.picture import ReadLayer, read_layer
from cosmos_pipelines.media.sources import Source


class Reader(Protocol):
    """Turns one picture file after another into what is encoded. Safe in threads."""

    def layers(self, path: Path) -> list[Layer]:
        """What `read` takes of a file; none of PNG."""
        ...

    def read(self, path: Path, values_of: ReadLayer = read_layer) -> Array:
        """The picture as (height, width, 3) or, of depth, (height, width), uint8.

        `values_of`: gives the values of the file's layers, which may be read already.

        Raises:
            MediaError: the file is damaged or unsuitable.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """For scene.json, once all pictures were read: what was assumed and found."""
        ...

    def notes(self) -> list[str]:
        """Sentences for people, once all pictures were read."""
        ...


def needs_reader(source: Source, asked: Asked) -> bool:
    """Whether a pass of pictures is read here: PNG only where more is known of it than its pixels.

    Raises:
        MediaError: a picture is damaged.
    """
    found = source.found
    if found.kind == "pictures" or found.meaning or found.beside:
        return True
    if source.name != "segmentation" or source.picture is None:
        return False
    if asked.segments not in (None, "objects"):
        return True  # and be refused
    if source.picture.grey:
        return False
    from cosmos_pipelines.media.segments.reader import written_by_carla

    return written_by_carla(source) is not None


def check(source: Source, asked: Asked) -> None:
    """Refuse what `reader_of` would refuse, without a look at all of the pictures' values.

    Raises:
        MediaError: the pictures, or what is beside them, cannot be used.
    """
    if source.name == "depth":
        from cosmos_pipelines.media.depths.reader import check_depths

        check_depths(source, asked)
    elif source.name == "segmentation":
        from cosmos_pipelines.media.segments.reader import reader_of as reader_of_segments

        reader_of_segments(source, asked)
    else:
        from cosmos_pipelines.media.colour.reader import check_colours

        check_colours(source, asked)


def reader_of(source: Source, asked: Asked, step: Callable[[], None]) -> Reader:
    """The reader of a pass. One of depth looks at all pictures first, and tells each as a `step`.

    Raises:
        MediaError: the pictures are damaged or unsuitable.
    """
    if source.name == "depth":
        from cosmos_pipelines.media.depths.reader import DepthReader

        return DepthReader.of(source, asked, step)
    if source.name == "segmentation":
        from cosmos_pipelines.media.segments.reader import reader_of as reader_of_segments

        return reader_of_segments(source, asked)
    from cosmos_pipelines.media.colour.reader import ColourReader

    return ColourReader.of(source, asked)
