"""A LeRobot data set in a directory: what its meta/info.json says.

Facts: lerobot 0.4.4, datasets/utils.py and lerobot_dataset.py (v3.0); lerobot at d1482799,
datasets/utils.py (v2.0, v2.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, Field

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.foreign import read_json
from cosmos_pipelines.frozen import Written
from cosmos_pipelines.media.rates import snapped

INFO: Final = "meta/info.json"
PARTS: Final = frozenset({"data", "images", "meta", "videos"})
"""The directories of a data set."""
_MOST: Final = 4 << 20
_CAMERA: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FIELD: Final = re.compile(r"\{([a-z_]+)(?::0(\d)d)?\}")


class _Info(Written):
    """What is read of meta/info.json."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    codebase_version: str = Field(pattern=r"^v[23]\.\d+$")
    fps: float = Field(gt=0, le=1000)
    chunks_size: int = Field(1000, ge=1)
    video_path: str | None = None
    features: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class DataSet:
    """A data set. `cameras`: the names of its videos, as `observation.images.top`."""

    root: Path
    version: int
    fps: Fraction
    cameras: tuple[str, ...]
    chunk: int
    video_path: str

    def file(self, **fields: object) -> Path:
        """The video that `video_path` speaks of, below the data set's directory.

        Raises:
            MediaError: the pattern has fields that are not known, or leads elsewhere.
        """

        def value(match: re.Match[str]) -> str:
            if match[1] not in fields:
                raise MediaError(f"{self.root / INFO}: video_path has the unknown {match[0]}.")
            text = str(fields[match[1]])
            return text.zfill(int(match[2])) if match[2] else text

        path = self.root / _FIELD.sub(value, self.video_path)
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise MediaError(f"{self.root / INFO}: video_path leads out of the data set.")
        return path


def is_data_set(directory: Path) -> bool:
    """Whether a directory calls itself a LeRobot data set."""
    file = directory / INFO
    try:
        there = file.is_file() and file.stat().st_size <= _MOST
        return there and b'"codebase_version"' in file.read_bytes()
    except OSError:
        return False


def read_data_set(directory: Path) -> DataSet:
    """Read meta/info.json.

    Raises:
        MediaError: it is not there, says what no data set of v2 or v3 says, or has no videos.
    """
    file = directory / INFO
    found = read_json(file, _MOST, kind=MediaError)
    info = _Info.parse(found, what=str(file), kind=MediaError)
    videos = {n: f for n, f in info.features.items() if f.get("dtype") == "video"}
    cameras = tuple(name for name, feature in videos.items() if not _is_depth(feature))
    if odd := [name for name in cameras if not _CAMERA.fullmatch(name)]:
        raise MediaError(f"{file}: {odd[0][:80]!r} cannot be the name of a camera.")
    if not cameras or info.video_path is None:
        raise MediaError(
            f"{directory} has no videos: its pictures lie in the tables.",
            hint="Convert it: `lerobot` writes videos with `use_videos=True`.",
        )
    return DataSet(
        root=directory,
        version=int(info.codebase_version[1]),
        fps=snapped(Fraction(info.fps).limit_denominator(1001)),
        cameras=cameras,
        chunk=info.chunks_size,
        video_path=info.video_path,
    )


def _is_depth(feature: Mapping[str, Any]) -> bool:
    """Whether a video shows depth, which is no colour of a scene."""
    told = feature.get("info") or feature.get("video_info")
    return isinstance(told, Mapping) and told.get("video.is_depth_map") is True
