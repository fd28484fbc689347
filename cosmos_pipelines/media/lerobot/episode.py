"""The episodes of a LeRobot data set: how long each is, what is done, where its frames lie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import check_regular, saying_why_not_read
from cosmos_pipelines.media.lerobot.dataset import DataSet

_LINE: Final = 1 << 20
"""Bytes of one line of episodes.jsonl."""
_FAR: Final = 0.1
"""Of a frame: a time stamp this far from a whole frame is no fault of rounding."""


@dataclass(frozen=True)
class Episode:
    """Frames `first` to `first + length - 1` of `video`; `task`: what is done, in words."""

    number: int
    camera: str
    length: int
    task: str
    video: Path
    first: int

    @property
    def name(self) -> str:
        """How its scene is called: `episode_000003_top`."""
        camera = self.camera.removeprefix("observation.images.").replace(".", "_")
        return f"episode_{self.number:06d}_{camera}"


def episodes_of(found: DataSet) -> Iterator[Episode]:
    """All episodes as all cameras saw them, in the order in which they are listed.

    Raises:
        MediaError: the tables cannot be read, or say what cannot be.
    """
    yield from (_of_lines if found.version == 2 else _of_tables)(found)


def _of_lines(found: DataSet) -> Iterator[Episode]:
    """Of version 2: a line in meta/episodes.jsonl, and a video for each camera."""
    file = found.root / "meta/episodes.jsonl"
    for row in _rows(file):
        number = _whole(row.get("episode_index"), file, least=0)
        length = _whole(row.get("length"), file, least=1)
        for camera in found.cameras:
            video = found.file(
                episode_chunk=number // found.chunk, video_key=camera, episode_index=number
            )
            yield Episode(number, camera, length, _task(row.get("tasks")), video, 0)


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    check_regular(file)
    with saying_why_not_read(file), file.open("rb") as lines:
        while line := lines.readline(_LINE + 1):
            if len(line) > _LINE:
                raise MediaError(f"{file} has a line of more than {_LINE:,} bytes.")
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise MediaError(f"{file} has a line that is no JSON object.")
            yield row


def _of_tables(found: DataSet) -> Iterator[Episode]:
    """Of version 3: a row in meta/episodes/*/*.parquet, and for each camera a part of a video."""
    columns = ["episode_index", "length", "tasks"]
    for camera in found.cameras:
        columns += [f"videos/{camera}/{n}" for n in ("chunk_index", "file_index", "from_timestamp")]
    for file in sorted((found.root / "meta/episodes").glob("*/*.parquet")):
        for row in _table(file, columns):
            for camera in found.cameras:
                yield _in_longer_video(found, file, row, camera)


def _in_longer_video(found: DataSet, file: Path, row: Mapping[str, Any], camera: str) -> Episode:
    place = f"videos/{camera}"
    number = _whole(row["episode_index"], file, least=0)
    began = row[f"{place}/from_timestamp"]
    first = began * float(found.fps) if isinstance(began, float) else -1.0
    if not 0 <= first < 1e9 or abs(first - round(first)) > _FAR:
        raise MediaError(f"{file}: episode {number} does not begin with a frame of its video.")
    video = found.file(
        video_key=camera,
        chunk_index=_whole(row[f"{place}/chunk_index"], file, least=0),
        file_index=_whole(row[f"{place}/file_index"], file, least=0),
    )
    length = _whole(row["length"], file, least=1)
    return Episode(number, camera, length, _task(row["tasks"]), video, round(first))


def _table(file: Path, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of a table, in plain values of Python."""
    check_regular(file)
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError:
        raise MediaError(
            "Data sets of LeRobot's version 3 need the library pyarrow.",
            hint="pip install 'cosmos-pipelines[lerobot]'",
        ) from None
    try:
        table = parquet.ParquetFile(file).read(columns=columns)
    except (OSError, ArrowInvalid) as e:
        said = str(e).strip().split("\n", 1)[0].rstrip(".")
        raise MediaError(f"{file} cannot be read: {said}.") from None
    if missing := sorted(set(columns) - set(table.column_names)):
        raise MediaError(f"{file} has no column {missing[0]}.")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _whole(value: object, file: Path, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 10**8:
        raise MediaError(f"{file} speaks of an episode by {str(value)[:40]!r}, which cannot be.")
    return value


def _task(value: object) -> str:
    """The tasks of an episode in words, one after the other."""
    words = value if isinstance(value, list) else [value]
    said = [one.strip() for one in words if isinstance(one, str) and one.strip()]
    return ". ".join(said)
