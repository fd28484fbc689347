"""Where engines come from: entry points, our own and those of other packages. Pure.

An entry point of the group `cosmos_pipelines.engines` is called as its engine is, and gives an
`Engine`, or a class or function that makes one without arguments. It is loaded when the engine is
first asked for. One that cannot be used is told where it is used and by `cosmos doctor`; the others
do not notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Final, get_args

from cosmos_pipelines.engines.base import Engine, EngineOptions
from cosmos_pipelines.errors import EngineBroken
from cosmos_pipelines.operations.base import ModelType

Tables = tuple[tuple[str, type[EngineOptions]], ...]
"""Engines and the fields of their tables in cosmos.toml."""

GROUP: Final = "cosmos_pipelines.engines"
OURS: Final = tuple(
    EntryPoint(name, f"cosmos_pipelines.engines.{where}", GROUP)
    for name, where in {
        "preview": "preview:Preview",
        "cosmos_transfer1": "cosmos_transfer1:Transfer1",
        "cosmos_transfer2_5": "cosmos_transfer2_5:Transfer2_5",
        "cosmos3": "cosmos3:Cosmos3",
    }.items()
)
"""Named here and not in our package's metadata, so that a checkout needs no installation."""

TAKEN: Final = frozenset(
    {"home", "database_url", "dagster_home", "owner"}
    | {"paths", "execution", "remote", "docker", "ui"}
)
"""Names of other settings, which no engine's table in cosmos.toml can have."""


@dataclass(frozen=True)
class Found:
    """An entry point, and what came of loading it: an engine, or why there is none."""

    entry: EntryPoint
    engine: Engine | None
    reason: str = ""

    @property
    def name(self) -> str:
        """What the engine is called."""
        return self.entry.name

    @property
    def package(self) -> str:
        """Name and version of the package that brings it; empty for ours."""
        return package_of(self.entry)

    @property
    def error(self) -> EngineBroken:
        """What whoever asks for this engine by name is told."""
        return EngineBroken(self.name, self.package, self.reason)


class Engines(MutableMapping[str, Engine]):
    """The engines that can be used, by name: ours first, the others by their names.

    Looking one up loads that one alone; iterating loads all. A program of ours can set one of its
    own beside them.
    """

    def __init__(self) -> None:
        self._set: dict[str, Engine] = {}
        self._loaded: dict[tuple[str, str, str], Found] = {}

    def __getitem__(self, name: str) -> Engine:
        if name in self._set:
            return self._set[name]
        found = self._find(name)
        if found is None or found.engine is None:
            raise KeyError(name)
        return found.engine

    def __setitem__(self, name: str, engine: Engine) -> None:
        self._set[name] = engine

    def __delitem__(self, name: str) -> None:
        del self._set[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.names() if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def names(self) -> list[str]:
        """All names, also of engines that cannot be used; nothing is loaded."""
        own = [entry.name for entry in OURS]
        return list(dict.fromkeys([*own, *sorted(e.name for e in self._others), *self._set]))

    def error_of(self, name: str) -> EngineBroken | None:
        """Why an engine cannot be used; None if it can, or if there is none."""
        found = None if name in self._set else self._find(name)
        return None if found is None or found.engine is not None else found.error

    def others(self) -> list[Found]:
        """Every entry point of other packages, loaded; also one whose name is taken."""
        return [self._found(entry) for entry in sorted(self._others, key=lambda e: e.name)]

    def tables(self, names: Iterable[str]) -> Tables:
        """The tables of these engines, as far as there are such engines and they have one."""
        engines = [self[name] for name in names if name in self]
        return tuple((e.name, e.options_type) for e in engines if e.options_type is not None)

    @cached_property
    def _others(self) -> tuple[EntryPoint, ...]:
        """Of other packages; looked up (some milliseconds) when a name is not one of ours."""
        return tuple(entry_points(group=GROUP))

    def _find(self, name: str) -> Found | None:
        entry = next((entry for entry in OURS if entry.name == name), None)
        entry = entry or next((entry for entry in self._others if entry.name == name), None)
        return self._found(entry) if entry else None

    def _found(self, entry: EntryPoint) -> Found:
        key = (entry.name, entry.value, package_of(entry))
        if key not in self._loaded:
            self._loaded.setdefault(key, _load(entry, self._claims(entry)))
        return self._loaded[key]

    def _claims(self, entry: EntryPoint) -> list[str]:
        """Who else has an engine of this name, if that keeps this one from being used."""
        if any(entry is own for own in OURS):
            return []
        if any(entry.name == own.name for own in OURS):
            return ["Cosmos Pipelines itself"]
        same = [other for other in self._others if other.name == entry.name]
        return [package_of(other) for other in same if other is not entry]


def package_of(entry: EntryPoint) -> str:
    """Name and version of the package that an entry point is of; empty for ours."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""


def _load(entry: EntryPoint, claims: list[str]) -> Found:
    """Whatever another package does when it is imported, it costs its own engine alone."""
    if claims:
        return Found(entry, None, f"its name is taken: {' and '.join(claims)} has one too")
    try:
        made = entry.load()
        engine = made() if callable(made) and not isinstance(made, Engine) else made
        reason = _unfit(engine, entry.name)
    except (Exception, SystemExit) as e:  # noqa: BLE001 - see above
        said = " ".join(str(e).split())[:300]
        return Found(entry, None, f"{type(e).__name__}: {said}" if said else type(e).__name__)
    return Found(entry, None, reason) if reason else Found(entry, engine)


def _unfit(engine: object, name: str) -> str:
    """Why what an entry point gives is no engine that can be used; empty if it is one."""
    if not isinstance(engine, Engine):
        return f"it is no Engine, but of the type {type(engine).__name__}"
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return "its name has other characters than small letters, digits and single _"
    if name in TAKEN:
        return f"its name is taken: {name} is another setting of cosmos.toml"
    if engine.name != name:
        return f"it calls itself {engine.name!r}"
    if not engine.operations or engine.operations - set(get_args(ModelType)):
        return f"its operations are {sorted(engine.operations)}"
    if not all(isinstance(word, str) and word for word in (engine.label, engine.version)):
        return "its label or its version is no text"
    if not all(isinstance(names, Mapping) for names in engine.refuses.values()):
        return "its refuses gives fields without reasons"
    kind = engine.options_type
    if kind is not None:
        if not issubclass(kind, EngineOptions):
            return f"its options_type is {kind.__name__}, which is no EngineOptions"
        kind()  # each field must have a default
    return ""


ENGINES: Final = Engines()
