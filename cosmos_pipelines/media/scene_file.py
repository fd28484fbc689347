"""scene.json, the record that `cosmos prepare` leaves in a scene directory: what it may say.

It comes with the directory, hence from anybody. Whatever is used of it is checked here: a pass has
its own name and no other, values have their types. What it says of a file's content is believed
where the content has that hash.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self, get_args

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.foreign import read_json
from cosmos_pipelines.frozen import Written
from cosmos_pipelines.media.depths.spread import HISTOGRAM
from cosmos_pipelines.media.files import hash_of, saying_why_not_read

SCENE_FILE: Final = "scene.json"
MOST: Final = 4 << 20
"""Bytes of a scene.json; ours has some thousands, and 65,536 segment ids make 1.5 million."""
MOST_SEGMENTS: Final = 4096
"""Segments that a legend lists."""
OURS: Final = "cosmos prepare "
"""How `created_by` begins where we wrote the file."""

Entry = dict[str, Any]
"""What the record says of one pass."""

_File = Literal[
    "color.mp4", "depth.mp4", "segmentation.mp4", "edge.mp4", "vis.mp4",
    "color.prepared.mp4", "depth.prepared.mp4", "segmentation.prepared.mp4",
    "edge.prepared.mp4", "vis.prepared.mp4",
]  # fmt: skip
FILES: Final[tuple[str, ...]] = get_args(_File)
"""What the passes are called in a scene directory; `prepared` beside a source of that name."""
_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0)]
_Note = Annotated[str, Field(max_length=10_000)]
_Word = Annotated[str, Field(max_length=100)]


def _rate(text: str) -> str:
    try:  # the form first: `1e999999999` would be computed for hours
        good = re.fullmatch("[0-9]{1,18}(/[0-9]{1,18})?", text) and Fraction(text) > 0
    except ZeroDivisionError:
        good = False
    if not good:
        raise ValueError("is no rate")
    return text


class _Depth(Written):
    """How grey levels of a depth pass come from the source's values."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    source_values: Literal["distance", "nearness"]
    value_of_white: int | float
    value_of_black: int | float
    range_is: Literal["measured", "given"] = "measured"
    holes_are: Literal["far", "near"] = "far"
    holes_share: float = 0
    transparent_share: float = 0
    cut_off_share: float = 0
    background_share: float = 0
    nothing_hit: Annotated[Mapping[_Word, float], Field(max_length=20)] = {}
    lowest_value: int | float = 0
    highest_value: int | float = 0
    histogram: Annotated[list[_Count], Field(max_length=HISTOGRAM)] = Field(default=[])
    histogram_ends: Annotated[list[int | float], Field(min_length=2, max_length=2)] = Field(
        default=[0, 0]
    )
    kind: _Word | None = None
    unit: Literal["m", "1/m"] | None = None
    projection: Literal["radial", "planar, of radial"] | None = None
    fov_degrees: float | None = None
    negated: bool | None = None
    overflow: bool | None = None


class _Segment(Written):
    """A segment of the legend: its name, its colour, and how much of the clip it fills."""

    name: Annotated[str, Field(max_length=1000)]
    color: Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
    area: Annotated[float, Field(ge=0, le=1)]
    frames: _Count
    id: Annotated[str, Field(max_length=100)] | None = None


class _Pass(Written):
    """One pass. What only people read is not listed here; it stays in the record as it is."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    file: str
    made: Literal["encoded", "copied", "kept"]
    sha256: _Hash
    size: _Count
    mtime_ns: int
    width: _Count
    height: _Count
    fps: Annotated[str, AfterValidator(_rate)]
    fingerprint: _Hash | None = None
    how: _Hash | None = None
    stamps: str | None = None
    notes: list[_Note] = Field(default=[])
    depth: _Depth | None = None
    legend: Annotated[list[_Segment], Field(max_length=MOST_SEGMENTS)] = Field(default=[])
    max_error: float = 0
    mean_error: float = 0


class _Asked(Written):
    """What was asked, as `media.asked` reads it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    fps: Annotated[str, AfterValidator(_rate)] | None = None
    scene: str | None = Field(None, max_length=1000)
    passes: str | None = Field(None, max_length=10_000)


class _Foreign(Written):
    """What is taken of a scene.json that we did not write."""

    name: str | None = Field(None, max_length=1000)
    description: str | None = Field(None, max_length=10_000)


class _Record(_Foreign):
    """What we wrote."""

    passes: Mapping[Literal["color", "depth", "segmentation", "edge", "vis"], _Pass]
    replaced: Mapping[_File, _Hash] = {}
    asked: _Asked | None = None
    settings: dict[str, bool | int | float | str | None] | None = None
    source: str | None = None
    notes: list[_Note] = Field(default=[])
    ignored: list[_Note] = Field(default=[])

    @model_validator(mode="after")
    def _named_as_passes(self) -> Self:
        for name, one in self.passes.items():
            if one.file not in (f"{name}.mp4", f"{name}.prepared.mp4"):
                raise ValueError(f"passes.{name}.file is not {name}.mp4")
        return self


def read_scene_file(directory: Path) -> dict[str, Any]:
    """The directory's scene.json as it was checked; {} where there is none.

    Of one that we did not write: its `name` and `description` only.

    Raises:
        MediaError: the directory or the file cannot be read, or says what ours never does.
    """
    file = directory / SCENE_FILE
    with saying_why_not_read(directory):
        next(directory.iterdir(), None)
        if not os.path.lexists(file):
            return {}
    record = read_json(file, MOST, kind=MediaError)
    if not isinstance(record, dict):
        raise MediaError(f"{file} is not a JSON object.", hint="Delete it or prepare again.")
    if ours(record):
        parsed = _Record.parse(record, what=str(file), kind=MediaError)
        return {**record, "passes": {n: _whole(record, n, p) for n, p in parsed.passes.items()}}
    return _Foreign.parse(record, what=str(file), kind=MediaError).model_dump(exclude_none=True)


def _whole(record: Mapping[str, Any], name: str, one: _Pass) -> Entry:
    """A pass's entry; what an earlier version did not say of its depth or colours is filled in."""
    entry: Entry = dict(record["passes"][name])
    if one.depth is not None:
        entry["depth"] = one.depth.model_dump()
    if "max_error" in entry:
        entry["mean_error"] = one.mean_error
    return entry


def ours(record: Mapping[str, Any]) -> bool:
    """Whether a record says that `cosmos prepare` wrote it."""
    return str(record.get("created_by")).startswith(OURS)


def entries_of(record: Mapping[str, Any]) -> dict[str, Entry]:
    """The passes that `cosmos prepare` recorded; {} for scene.json files of other origin."""
    return dict(record["passes"]) if ours(record) else {}


def products(directory: Path, record: Mapping[str, Any]) -> set[Path]:
    """Files in `directory` that we made: results, never sources.

    What somebody has put in the place of one is no product. Size and time will do to tell that
    here, since nothing is written or removed for it.
    """
    made = {str(e["file"]): e for e in entries_of(record).values() if e["made"] != "kept"}
    names = {**dict.fromkeys(record.get("replaced", ())), **made}
    return {directory / n for n, e in names.items() if _as_left(directory / n, e) or
            made_by_us(directory / n, record)}  # fmt: skip


def _as_left(file: Path, entry: Entry | None) -> bool:
    try:
        s = file.lstat()
    except OSError:
        return False
    return entry is not None and (s.st_size, s.st_mtime_ns) == (entry["size"], entry["mtime_ns"])


def made_by_us(file: Path, record: Mapping[str, Any]) -> bool:
    """Whether a file in a scene directory is what we wrote there: by its record and its bytes.

    `replaced` are the hashes of what was there before, and is still if we were killed between
    writing the record and moving the passes into place.
    """
    known = [e["sha256"] for e in entries_of(record).values()
             if e["file"] == file.name and e["made"] != "kept"]  # fmt: skip
    if file.name in record.get("replaced", ()):
        known.append(record["replaced"][file.name])
    return bool(known) and file.is_file() and not file.is_symlink() and hash_of(file) in known
