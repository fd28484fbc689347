"""What is known of the places where loads run, as the last look at each has found it.

A file a place below `.cosmos/places`, written by operate/place_looks.py. Whoever plans reads these
files and waits for no host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from cosmos_pipelines.catalog.records import iso
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.files import room_for, write_json
from cosmos_pipelines.foreign import read_json
from cosmos_pipelines.frozen import Written
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_hosts import Place

KNOWN_S: Final = 600.0
"""Seconds after which nobody can say any more whether a place is up."""
MOST: Final = 1 << 20
"""Bytes of a file that are read."""


@dataclass(frozen=True)
class KnownGpu:
    """A GPU as it was seen last."""

    index: int
    name: str
    memory_mib: int | None
    """All of its memory; None: its driver does not say."""


@dataclass(frozen=True)
class PlaceState:
    """What the last looks at a place have found."""

    name: str
    up: bool | None = None
    """Whether orders can be started there; None: not looked at, or too long ago."""
    gpus: tuple[KnownGpu, ...] = ()
    """Those that may be used, also while the place is away."""
    sees_gpus: bool = True
    """Whether its GPUs can be seen from where we look: not those of a cluster's nodes."""
    engines: Mapping[str, str | None] = field(default_factory=dict)
    """By the name of each engine: why it cannot run there; None: it can."""
    looked_at: datetime | None = None
    away_since: datetime | None = None
    """Since when it is away; None: it is up, or not known."""
    said: str | None = None
    """Why it is away, or what is wrong with its GPUs."""
    free_bytes: int | None = None
    """Room below the directory of its runs; None: not known, or it is this machine."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        times = {name: at and iso(at) for name, at in self._times().items()}
        return {**asdict(self), "engines": dict(self.engines), **times}

    def _times(self) -> dict[str, datetime | None]:
        return {"looked_at": self.looked_at, "away_since": self.away_since}


class _Gpu(Written):
    index: int = Field(ge=0)
    name: str
    memory_mib: int | None = Field(None, ge=0)


class _State(Written):
    identity: str
    up: bool
    gpus: list[_Gpu]
    sees_gpus: bool
    engines: Mapping[str, str | None]
    looked_at: str
    away_since: str | None = None
    said: str | None = None
    free_bytes: int | None = Field(None, ge=0)


def known_places(settings: Settings, now: datetime | None = None) -> dict[str, PlaceState]:
    """Return what is known of each place of the settings, by name. No host is asked.

    Of a place whose tables were changed since the last look, nothing is known.
    """
    now = now or datetime.now(UTC)
    return {name: _known(settings, place, now) for name, place in settings.places.items()}


def seen_last(settings: Settings, place: Place) -> PlaceState:
    """Return what the last look at a place has found, at whatever time."""
    unknown = PlaceState(place.name)
    try:
        found = _State.parse(read_json(place_file(settings, place.name), MOST), what="place")
        if found.identity != identity_of(place):
            return unknown
        return PlaceState(
            place.name,
            found.up,
            tuple(KnownGpu(gpu.index, gpu.name, gpu.memory_mib) for gpu in found.gpus),
            found.sees_gpus,
            dict(found.engines),
            _time(found.looked_at),
            None if found.away_since is None else _time(found.away_since),
            found.said,
            found.free_bytes,
        )
    except (InputError, FileNotFoundError, ValueError):  # the next look writes another
        return unknown


def remember(settings: Settings, place: Place, state: PlaceState) -> None:
    """Keep what a look has found."""
    file = place_file(settings, place.name)
    with room_for(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"identity": identity_of(place), **state.as_dict()})


def note_away(settings: Settings, name: str, said: str) -> None:
    """Keep that a place does not answer, until a look finds another state; it may be no place."""
    if (place := settings.places.get(name)) is not None:
        now = datetime.now(UTC)
        before = seen_last(settings, place)  # its GPUs and engines are still what they were
        since = before.away_since or now
        away = replace(before, up=False, looked_at=now, away_since=since, said=said)
        remember(settings, place, away)


def place_file(settings: Settings, name: str) -> Path:
    """Return the file of what is known of a place."""
    return settings.home / ".cosmos" / "places" / f"{name}.json"


def identity_of(place: Place) -> str:
    """Return a text that changes with the tables of a place: another host may be meant then."""
    return hashlib.sha256(repr(place).encode()).hexdigest()


def _known(settings: Settings, place: Place, now: datetime) -> PlaceState:
    state = seen_last(settings, place)
    if state.looked_at is None or now - state.looked_at > timedelta(seconds=KNOWN_S):
        return replace(state, up=None, away_since=None)
    return state


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
