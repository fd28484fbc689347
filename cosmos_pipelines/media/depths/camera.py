"""From the distance to the camera's point (radial) to that from its plane (planar).

Isaac Sim's `distance_to_camera` is radial, its `distance_to_image_plane` planar. Replicator's
BasicWriter leaves the camera in camera_params_0000.json beside each frame.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from pydantic import ConfigDict, Field

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.foreign import read_json
from cosmos_pipelines.frozen import Written
from cosmos_pipelines.media.pixels import Array

_MOST: Final = 1 << 20
_Length = Annotated[float, Field(gt=0)]


class _Params(Written):
    """What is used of a camera_params file; lengths are in tenths of the scene's unit."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    cameraFocalLength: _Length
    cameraAperture: Annotated[list[_Length], Field(min_length=2, max_length=2)]
    cameraModel: str = "pinhole"


@dataclass(frozen=True)
class Camera:
    """A pinhole with square pixels. `focal`: its focal length, in widths of the picture."""

    focal: float

    @classmethod
    def of_fov(cls, degrees: float) -> Camera:
        """By the horizontal angle of view."""
        return cls(0.5 / math.tan(math.radians(degrees) / 2))

    @property
    def fov(self) -> float:
        """The horizontal angle of view in degrees."""
        return math.degrees(2 * math.atan(0.5 / self.focal))


def camera_beside(path: Path) -> Camera | None:
    """The camera of a frame, where Replicator has left it; None where there is no such file.

    Raises:
        MediaError: the file says something else, or the camera is no pinhole.
    """
    file = _file_of(path)
    return None if file is None else _read(file)


def camera_files(frames: Sequence[Path], directory: Path) -> tuple[Path, ...]:
    """The files of the frames' cameras below a directory, each once."""
    files = dict.fromkeys(file for path in frames if (file := _file_of(path)))
    return tuple(file for file in files if file.is_relative_to(directory))


def _file_of(path: Path) -> Path | None:
    digits = re.findall(r"\d+", path.stem)
    places = (path.parent, path.parent.parent / "camera_params")
    names = dict.fromkeys(f"camera_params_{number}.json" for number in (*digits[-1:], "0000"))
    files = (place / name for name in names for place in places)
    return next((file for file in files if file.is_file()), None)


def _read(file: Path) -> Camera:
    fields: Any = read_json(file, _MOST, kind=MediaError)
    params = _Params.parse(fields, what=str(file), kind=MediaError)
    if params.cameraModel != "pinhole":
        raise MediaError(
            f"{file}: the camera is {params.cameraModel[:60]!r}, and only depth of a pinhole can "
            "be converted.",
            hint="Write distance_to_image_plane, or say `--depth planar` to take it as it is.",
        )
    return Camera(params.cameraFocalLength / params.cameraAperture[0])


@functools.lru_cache(maxsize=4)
def planar_share(camera: Camera, width: int, height: int) -> Array:
    """For each pixel (height, width), float32, the planar distance of a radial distance of 1."""
    x = (np.arange(width) + 0.5 - width / 2) / (camera.focal * width)
    y = (np.arange(height) + 0.5 - height / 2) / (camera.focal * width)
    share: Array = (1 / np.sqrt(1 + x[None] ** 2 + y[:, None] ** 2)).astype(np.float32)
    return share
