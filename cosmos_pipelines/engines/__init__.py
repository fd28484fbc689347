"""Engines by name. Pure."""

from __future__ import annotations

from cosmos_pipelines.engines.base import Engine, Progress
from cosmos_pipelines.engines.cosmos3 import Cosmos3
from cosmos_pipelines.engines.cosmos_transfer1 import Transfer1
from cosmos_pipelines.engines.cosmos_transfer2_5 import Transfer2_5
from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.errors import UnknownId

ENGINES: dict[str, Engine] = {e.name: e for e in (Preview(), Transfer1(), Transfer2_5(), Cosmos3())}


def engine_named(name: str) -> Engine:
    """The engine called `name`.

    Raises:
        UnknownId: there is none.
    """
    try:
        return ENGINES[name]
    except KeyError:
        see = f"Known: {', '.join(ENGINES)}."
        raise UnknownId("engine", name, ENGINES, see=see) from None


__all__ = ["ENGINES", "Engine", "Progress", "engine_named"]
