"""Whether an engine has said of each field of its operations what it does with it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from cosmos_pipelines.engines.base import Engine
from cosmos_pipelines.operations import OPERATIONS, Operation


def faults_of(engine: Engine) -> list[str]:
    """What is wrong with its tables: each field belongs into one of uses, refuses and ignores."""
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
            yield f"nobody has said what becomes of {field}: put it into uses, refuses or ignores"
        if len(where) > 1:
            yield f"{field} is in {' and in '.join(where)}"
    for table, names in tables.items():
        for name in sorted(set(names) - fields):
            yield f"{table} has {name}, which is no field that an engine sees"
    for name in sorted(set(defaults) - set(tables["uses"])):
        yield f"{name} has a default, but is not used"
