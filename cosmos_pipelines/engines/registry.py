"""Find engines by entry points: those of this package and those of other packages. Pure.

An entry point of the group `cosmos_pipelines.engines` has the name of its engine, and gives an
`Engine`, or a class or function that makes an engine without arguments. It is loaded when the
engine is first used. An engine that cannot be loaded gives an error where it is used and in
`cosmos doctor`; the other engines keep working.
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
"""Named here and not in the metadata of this package, so that a checkout needs no installation."""

TAKEN: Final = frozenset(
    {"home", "database_url", "dagster_home", "owner", "scenes", "clean"}
    | {"paths", "execution", "remote", "docker", "ui"}
    | {"budget", "hosts", "notify", "person", "postgres", "queue"}
)
"""Names of other settings, which an engine's table in cosmos.toml cannot have."""


@dataclass(frozen=True)
class Found:
    """An entry point after loading: its engine, or the reason why there is no engine."""

    entry: EntryPoint
    engine: Engine | None
    reason: str = ""

    @property
    def name(self) -> str:
        """The name of the engine."""
        return self.entry.name

    @property
    def package(self) -> str:
        """Name and version of the engine's package; empty for this package."""
        return package_of(self.entry)

    @property
    def error(self) -> EngineBroken:
        """The error for a user who asks for this engine by name."""
        return EngineBroken(self.name, self.package, self.reason)


class Engines(MutableMapping[str, Engine]):
    """The usable engines by name: first those of this package, then the others by name.

    A look-up loads only that engine; an iteration loads all engines. A program can set its own
    engine too.
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
        """Return all names, also of engines that cannot be used; load nothing."""
        own = [entry.name for entry in OURS]
        return list(dict.fromkeys([*own, *sorted(e.name for e in self._others), *self._set]))

    def error_of(self, name: str) -> EngineBroken | None:
        """Return why an engine cannot be used; None if it can, or if there is no such engine."""
        found = None if name in self._set else self._find(name)
        return None if found is None or found.engine is not None else found.error

    def others(self) -> list[Found]:
        """Return every entry point of other packages, loaded; also those whose name is in use."""
        return [self._found(entry) for entry in sorted(self._others, key=lambda e: e.name)]

    def tables(self, names: Iterable[str]) -> Tables:
        """Return the tables of these engines; engines without a table are left out."""
        engines = [self[name] for name in names if name in self]
        return tuple((e.name, e.options_type) for e in engines if e.options_type is not None)

    @cached_property
    def _others(self) -> tuple[EntryPoint, ...]:
        """Entry points of other packages; read (some milliseconds) only for other names."""
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
        """Return the other packages with an engine of this name, which prevent its use."""
        if any(entry is own for own in OURS):
            return []
        if any(entry.name == own.name for own in OURS):
            return ["Cosmos Pipelines itself"]
        same = [other for other in self._others if other.name == entry.name]
        return [package_of(other) for other in same if other is not entry]


def package_of(entry: EntryPoint) -> str:
    """Return name and version of an entry point's package; empty for this package."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""


def _load(entry: EntryPoint, claims: list[str]) -> Found:
    """Load an entry point; an error of another package's import affects only its own engine."""
    if claims:
        return Found(entry, None, f"its name is in use: {' and '.join(claims)} has the same name")
    try:
        loaded = entry.load()
        engine = loaded() if callable(loaded) and not isinstance(loaded, Engine) else loaded
        reason = _unfit(engine, entry.name)
    except (Exception, SystemExit) as e:  # noqa: BLE001 - see above
        message = " ".join(str(e).split())[:300]
        return Found(entry, None, f"{type(e).__name__}: {message}" if message else type(e).__name__)
    return Found(entry, None, reason) if reason else Found(entry, engine)


def _unfit(engine: object, name: str) -> str:
    """Return why the object of an entry point cannot be used as an engine; empty if it can."""
    if not isinstance(engine, Engine):
        return f"it is not an Engine, but of the type {type(engine).__name__}"
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return "its name has other characters than small letters, digits and single _"
    if name in TAKEN:
        return f"its name is in use: {name} is another setting of cosmos.toml"
    if engine.name != name:
        return f"its class has the name {engine.name!r}"
    if not engine.operations or engine.operations - set(get_args(ModelType)):
        return f"its operations are {sorted(engine.operations)}"
    if not all(isinstance(word, str) and word for word in (engine.label, engine.version)):
        return "its label or its version is not a text"
    if not all(isinstance(names, Mapping) for names in engine.refuses.values()):
        return "its refuses gives fields without reasons"
    kind = engine.options_type
    if kind is not None:
        if not issubclass(kind, EngineOptions):
            return f"its options_type is {kind.__name__}, which is not an EngineOptions"
        kind()  # each field must have a default
    return ""


ENGINES: Final = Engines()
