"""Pictures that are needed a second time, packed on the disk meanwhile."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from cosmos_pipelines.files import saying_why_not_written
from cosmos_pipelines.media.pixels import Array


@dataclass(frozen=True)
class Packed:
    """A picture without loss, in few bytes if it is flat."""

    shape: tuple[int, ...]
    data: bytes


def packed(picture: Array) -> Packed:
    """A uint8 picture as it is kept. Safe in threads."""
    return Packed(picture.shape, zlib.compress(picture.tobytes(), 1))


@contextmanager
def keeping(directory: Path) -> Iterator[KeptPictures]:
    """A place for pictures: a file without a name, which is gone in the end, whatever happens.

    Raises:
        DiskFull: no room.
    """
    place = directory / "pictures"
    with saying_why_not_written(place):
        opened = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed in the next line
    with opened as file:
        yield KeptPictures(file, place)


class KeptPictures:
    """uint8 pictures of one size, in the order in which they come."""

    def __init__(self, file: IO[bytes], place: Path) -> None:
        self._file, self._place = file, place
        self._lengths: list[int] = []
        self._shape: tuple[int, ...] = ()

    def add(self, picture: Packed) -> None:
        """One more picture.

        Raises:
            DiskFull: no room.
        """
        with saying_why_not_written(self._place):
            self._file.write(picture.data)
        self._lengths.append(len(picture.data))
        self._shape = picture.shape

    def again(self) -> Iterator[Array]:
        """All pictures in the order in which they came."""
        self._file.seek(0)
        for length in self._lengths:
            flat = np.frombuffer(zlib.decompress(self._file.read(length)), np.uint8)
            yield flat.reshape(self._shape)
