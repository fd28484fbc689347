"""What arguments of the front door may be: natural values become what a method works with.

These are types for annotations; `front_door` reads them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, SupportsFloat

from pydantic import BeforeValidator, Field

from cosmos_pipelines.frozen import Frozen, plain
from cosmos_pipelines.operations import Operation
from cosmos_pipelines.operations.rate import frame_rate

Record = dict[str, Any]


def _id_of(value: object) -> object:
    """A record of the catalog stands for its id."""
    if isinstance(value, Mapping):
        return value.get("id") or value.get("key") or value.get("name") or value
    return value


def several(value: object) -> object:
    """One word, or one record, is a list of one; words in any order are sorted."""
    if isinstance(value, str | Mapping):
        return [_id_of(value)]
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [_id_of(one) for one in value]
    return value


def listed(value: object) -> object:
    """Numbers in any order that Python or numpy has, as a list."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return plain(list(value))
    return value


def _path_of(value: object) -> object:
    """A path as text, which the system can take for one."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise ValueError("is no path")
    return Path(path)


def _thing_of(value: object) -> object:
    value = _id_of(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _scene_of(value: object) -> object:
    return _path_of(value.get("key", value) if isinstance(value, Mapping) else value)


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("is no number")
    return value


def _amount(value: object) -> object:
    """A number, also as text, as a form gives it."""
    if isinstance(value, bool) or not isinstance(value, str | SupportsFloat):
        raise ValueError("is no number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ValueError("is no number") from None


Id = Annotated[str, BeforeValidator(_id_of)]
"""An id, the beginning of one or a name; or a record that has it."""
Words = Annotated[Sequence[str], BeforeValidator(several)]
"""Ids or other words; one alone is a list of one."""
Passes = Annotated[Sequence[str] | str, BeforeValidator(several)]
"""What shall be which pass, each as PASS=WHAT; one alone is a list of one."""
Place = Annotated[Path | str, BeforeValidator(_path_of)]
"""A file or directory."""
Thing = Annotated[Path | str, BeforeValidator(_thing_of)]
"""An id, a name, a record that has one, or a file."""
SceneDir = Annotated[Path | str, BeforeValidator(_scene_of)]
"""A scene's directory or key, or its record."""
Count = Annotated[int, BeforeValidator(_number), Field(ge=0, le=2**31 - 1)]
Step = Annotated[int, BeforeValidator(_number), Field(le=2**31 - 1)]
Amount = Annotated[float | str, BeforeValidator(_amount)]
"""A number of any size: 1.5, -1."""
Limit = Annotated[Count | None, Field()]
"""None: all."""
Rating = Annotated[int, BeforeValidator(_number)]
Rate = Annotated[Fraction | float | str, BeforeValidator(frame_rate)]
"""Frames a second: 24, 23.976, "30000/1001"."""


@dataclass(frozen=True)
class Fields:
    """That `**fields` are those of an operation or a filter, and these arguments besides."""

    record: type[Frozen]
    besides: tuple[str, ...] = ()

    def names(self) -> set[str]:
        """All that may be given."""
        aliases = self.record.aliases() if issubclass(self.record, Operation) else ()
        return {*self.record.model_fields, *aliases, *self.besides}
