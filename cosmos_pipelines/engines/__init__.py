"""Engines by name: those of this package and those of other packages. Pure."""

from __future__ import annotations

from cosmos_pipelines.engines.base import Engine, RunProgress
from cosmos_pipelines.engines.registry import ENGINES
from cosmos_pipelines.errors import UnknownId


def engine_named(name: str) -> Engine:
    """Return the engine called `name`.

    Raises:
        UnknownId: there is no such engine.
        EngineBroken: the engine cannot be used; the message names its package and the reason.
    """
    if name in ENGINES:
        return ENGINES[name]
    if (error := ENGINES.error_of(name)) is not None:
        raise error
    names = ENGINES.names()
    raise UnknownId("engine", name, names, see=f"Known: {', '.join(names)}.")


def label_of(name: str) -> str:
    """Return the label of an engine for users; its name if the engine is missing or broken."""
    return ENGINES[name].label if name in ENGINES else name


__all__ = ["ENGINES", "Engine", "RunProgress", "engine_named", "label_of"]
