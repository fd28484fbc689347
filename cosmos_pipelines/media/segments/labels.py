"""Files that say what ids or colours stand for: Replicator's labels and mappings, or one's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.errors import MediaError, named, shown
from cosmos_pipelines.foreign import read_json
from cosmos_pipelines.media.numbering import sequences
from cosmos_pipelines.media.segments.colours import is_background
from cosmos_pipelines.media.sequence import Pass

MOST: Final = 65536
"""Labels in one file."""
_LONGEST: Final = 1000
_TUPLE: Final = re.compile(r"[(\[]\s*(\d{1,3}(?:\s*,\s*\d{1,3}){2,3})\s*[)\]]")
_HEX: Final = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_INSIDE: Final = ("idToLabels", "labels", "legend", "categories")
"""Keys below which a file may keep its labels."""

Colour = tuple[int, ...]
"""Red, green, blue, and alpha where it is told; 0 to 255."""


@dataclass(frozen=True)
class Labels:
    """The names of ids and of colours."""

    ids: Mapping[int, str] = field(default_factory=dict)
    colours: Mapping[Colour, str] = field(default_factory=dict)

    def __or__(self, other: Labels) -> Labels:
        """Both; where they differ, what `other` says."""
        return Labels({**self.ids, **other.ids}, {**self.colours, **other.colours})


@dataclass(frozen=True)
class PassLabels:
    """The labels of a pass: those of each picture, and those that hold for all of them."""

    of: Mapping[Path, Labels]
    common: Labels

    @property
    def colours(self) -> bool:
        """Whether any of them names a colour."""
        return bool(self.common.colours) or any(one.colours for one in self.of.values())

    @property
    def name_background(self) -> bool:
        """Whether an id is called background."""
        return any(is_background(n) for one in (self.common, *self.of.values())
                   for n in one.ids.values())  # fmt: skip

    def at(self, path: Path) -> Labels:
        """Of one picture."""
        return self.of.get(path, _NONE) | self.common


_NONE: Final = Labels()


def labels_of(found: Pass) -> PassLabels:
    """Read the label files of a pass: one a picture, in the order of these, or one for all.

    Where instances have mappings to their paths and to their classes, the paths name them.

    Raises:
        MediaError: a file cannot be read or is none of labels; a picture has none.
    """
    groups: dict[str, list[Path]] = {}
    for file in found.beside:
        groups.setdefault(re.sub(r"\d+", "#", file.name), []).append(file)
    single = [files[0] for files in groups.values() if len(files) == 1 < len(found.files)]
    many = {name: files for name, files in groups.items() if files[0] not in single}
    by_path = {name: files for name, files in many.items() if "semantics" not in name.lower()}
    of: dict[Path, Labels] = {}
    for files in (by_path or many).values():
        for path, file in _paired(found, files):
            of[path] = of.get(path, _NONE) | read_labels(file)
    common = _NONE
    for file in single:
        common = common | read_labels(file)
    return PassLabels(of, common)


def _paired(found: Pass, files: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Each picture with the file of its number; in order where none has the number of a picture.

    Raises:
        MediaError: some pictures have a file, others have none.
    """
    named = {file.name: file for file in files}
    by_number = {
        number: named[name]
        for one in sequences(named)
        for number, name in zip(one.numbers, one.names, strict=False)  # one alone may have none
    }
    if len(files) == len(found.files) and not set(found.numbers) & by_number.keys():
        yield from zip(found.files, files, strict=True)
        return
    for path, number in zip(found.files, found.numbers, strict=True):
        if number not in by_number:
            raise MediaError(
                f"{path} has no labels: of {len(found.files)} pictures "
                f"{len(set(found.numbers) & by_number.keys())} have some.",
                hint=f"Put them beside {files[0].name}, or take all label files away.",
            )
        yield path, by_number[number]


def read_labels(file: Path) -> Labels:
    """Read one file: `{"(r, g, b, a)": {"class": "car"}}`, `{"3": "car"}`, `{"car": "#ff0000"}`.

    Also a list of `{"name": ..., "id": ..., "color": [r, g, b]}`.

    Raises:
        MediaError: it cannot be read, is none of these, or names one thing twice.
    """
    value = read_json(file, kind=MediaError)
    for key in _INSIDE:
        if isinstance(value, dict) and isinstance(value.get(key), dict | list):
            value = value[key]
    ids: dict[int, str] = {}
    colours: dict[Colour, str] = {}
    for count, (what, name) in enumerate(_pairs(value, file)):
        if count >= MOST:
            raise MediaError(f"{named(file)} has more than {MOST} labels.")
        if len(name) > _LONGEST:
            raise MediaError(f"{named(file)} has a name of more than {_LONGEST} characters.")
        known: dict[Any, str] = ids if isinstance(what, int) else colours
        if known.setdefault(what, name) != name:
            raise MediaError(
                f"{named(file)} calls {what} both {shown(known[what])} and {shown(name)}."
            )
    return Labels(ids, colours)


def _pairs(value: Any, file: Path) -> Iterable[tuple[int | Colour, str]]:
    if isinstance(value, list):
        for one in value:
            if not isinstance(one, dict) or not isinstance(one.get("name"), str):
                raise MediaError(f"{named(file)}: {shown(one)} has no name.")
            keys = [k for field in ("id", "color") if (k := _key(one.get(field))) is not None]
            if not keys:
                raise MediaError(f"{named(file)}: {shown(one['name'])} has neither id nor color.")
            yield from ((key, one["name"]) for key in keys)
        return
    if not isinstance(value, dict):
        raise MediaError(f"{named(file)} is no JSON object of labels.")
    for text, said in value.items():
        if (key := _key(text)) is not None:
            yield key, _name(said, text, file)
        elif (key := _key(said)) is not None:
            yield key, text
        else:
            raise MediaError(
                f"{named(file)}: neither {shown(text)} nor {shown(said)} is an id or a colour.",
                hint='Write {"car": "#ff0000"} or {"3": "car"}.',
            )


def _key(value: Any) -> int | Colour | None:
    """An id or a colour as such; None of all else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 1 << 32 else None
    parts: list[Any] = []
    if isinstance(value, list):
        parts = value
    elif isinstance(value, str):
        if re.fullmatch("[0-9]{1,10}", value):
            return _key(int(value))
        if found := _HEX.fullmatch(value):
            return tuple(bytes.fromhex(found[1]))
        if found := _TUPLE.fullmatch(value):
            parts = [int(one) for one in found[1].split(",")]
    whole = all(isinstance(p, int) and not isinstance(p, bool) and 0 <= p <= 255 for p in parts)
    return tuple(parts) if whole and len(parts) in (3, 4) else None


def _name(said: Any, key: str, file: Path) -> str:
    """A label: `car`, or `{"class": "car"}`; of other semantics all, `shape: cube`."""
    if isinstance(said, dict):
        if isinstance(said.get("class"), str):
            return str(said["class"])
        if said and all(isinstance(one, str) for one in said.values()):
            return ", ".join(f"{kind}: {one}" for kind, one in said.items())
    if isinstance(said, str):
        return said
    raise MediaError(f"{named(file)}: the label of {shown(key)} is {shown(said)}, no name.")
