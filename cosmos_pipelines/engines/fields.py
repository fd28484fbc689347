"""Check that an engine's tables name each field of its operations exactly once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from cosmos_pipelines.engines.base import Engine
from cosmos_pipelines.operations import OPERATIONS, Operation


def faults_of(engine: Engine) -> list[str]:
    """Return the faults of an engine's tables: each field belongs in uses, refuses or ignores."""
    found = []
    for kind in sorted(engine.operations):
        tables = {
            "uses": engine.uses.get(kind, ()),
            "refuses": engine.refuses.get(kind, ()),
            "ignores": engine.ignores.get(kind, ()),
        }
        faults = _faults(OPERATIONS[kind], tables, engine.defaults.get(kind, ()))
        found += [f"{engine.name}, {kind}: {fault}" for fault in faults]
    return found


def _faults(
    operation: type[Operation], tables: Mapping[str, Collection[str]], defaults: Collection[str]
) -> Iterator[str]:
    fields = set(operation.model_fields) - operation.ours
    for field in sorted(fields):
        where = [table for table, names in tables.items() if field in names]
        if not where:
            yield f"{field} is in no table: put it into uses, refuses or ignores"
        if len(where) > 1:
            yield f"{field} is in {' and in '.join(where)}"
    for table, names in tables.items():
        for name in sorted(set(names) - fields):
            yield f"{table} has {name}, which is not a field for engines"
    for name in sorted(set(defaults) - set(tables["uses"])):
        yield f"{name} has a default, but is not used"
