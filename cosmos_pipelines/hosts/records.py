"""What a GPU host keeps for us and may have been changed there: read as what it should be. Pure.

    engines/<engine>/setup.json     what was set up, by `hosts.arrive.record`
    <place>/.cosmos-sizes.json      sizes of checkpoints, by `checkpoints.py`
    outputs/checkpoints.json        how the checkpoints are, by `checkpoints.py`

The first two are notes: where one cannot be read, nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, Field

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.foreign import parse_json
from cosmos_pipelines.frozen import Written

MOST: Final = 16 << 20
"""Bytes of a record; a cache may have some ten thousand files."""


class Smoke(Written):
    """How the smoke test ended."""

    passed: bool = False
    missing: list[str] = Field(default=[])
    exit_code: int | None = None
    image_digest: str | None = None


class SetUp(Written):
    """What was set up."""

    image_id: str | None = None
    dockerfile: str | None = None
    smoke: Smoke | None = None
    recorded_at: str | None = None


class _Size(Written):
    size: int | None = Field(None, ge=0)


class _Sizes(Written):
    files: Mapping[str, _Size]


class _File(Written):
    path: str
    state: str
    what: str = ""
    size: int = Field(0, ge=0)


class _Checkpoints(Written):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    action: str
    deep: bool
    well: bool
    counts: Mapping[str, int]
    bytes: int = Field(ge=0)
    seconds: float = Field(ge=0)
    files: list[_File]


def read_set_up(text: str) -> SetUp | None:
    """What setup.json says; None if there is none, or none that can be read."""
    try:
        return SetUp.parse(_json(text, "setup.json")) if text else None
    except InputError:
        return None


def read_sizes(text: str) -> dict[str, int]:
    """Bytes of each file that was downloaded, by its path; none where they cannot be read."""
    try:
        files = _Sizes.parse(_json(text, ".cosmos-sizes.json")).files
    except InputError:
        return {}
    return {name: facts.size for name, facts in files.items() if facts.size is not None}


def read_checkpoints(text: str) -> dict[str, Any]:
    """How the checkpoints are. Raises InputError."""
    return _Checkpoints.parse(_json(text, "checkpoints.json"), what="checkpoints.json").model_dump()


def _json(text: str, what: str) -> Any:
    return parse_json(text, what, most=MOST)
