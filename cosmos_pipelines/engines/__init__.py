"""Engines by name: our own, and those that other packages bring. Pure."""

from __future__ import annotations

from cosmos_pipelines.engines.base import Engine, RunProgress
from cosmos_pipelines.engines.registry import ENGINES
from cosmos_pipelines.errors import UnknownId


def engine_named(name: str) -> Engine:
    """The engine called `name`.

    Raises:
        UnknownId: there is none.
        EngineBroken: there is one, but it cannot be used; names its package and the reason.
    """
    if name in ENGINES:
        return ENGINES[name]
    if (error := ENGINES.error_of(name)) is not None:
        raise error
    names = ENGINES.names()
    raise UnknownId("engine", name, names, see=f"Known: {', '.join(names)}.")


def label_of(name: str) -> str:
    """An engine as users shall see it; its name where it is not there (any more) or is broken."""
    return ENGINES[name].label if name in ENGINES else name


__all__ = ["ENGINES", "Engine", "RunProgress", "engine_named", "label_of"]
