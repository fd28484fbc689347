"""Many copies of a run in the catalog, and of a Dagster run in Dagster's records, in seconds."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import Any

import dagster as dg
from sqlalchemy import Column, MetaData, Table, Text, func, insert, select, update

from cosmos_pipelines.catalog.columns import Json, PlainText, UtcTime, to_json
from cosmos_pipelines.catalog.records import Run, iso
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.catalog.tables import revisions, runs

AT_ONCE = 5_000


def copy_run(catalog: Catalog, run: Run, count: int, **columns: Any) -> None:
    """Copy a run's row `count` times; `columns` are others in the copies. Each is newer."""
    with catalog.write() as tx:
        row = dict(tx.connection.execute(select(runs).where(runs.c.id == run.id)).mappings().one())
        last = tx.connection.execute(select(func.max(runs.c.revision))).scalar_one()
        numbers = range(last + 1, last + 1 + count)
        copied, created = _stored({**row, **columns}), row["created_at"]
        made = (
            {
                **copied,
                "id": f"rs_{uuid.uuid4().hex}",
                "revision": n,
                "created_at": iso(created + timedelta(milliseconds=n)),
            }
            for n in numbers
        )
        for some in _chunks(made):
            tx.connection.execute(insert(_as_stored()), some)
        tx.connection.execute(update(revisions).values(value=numbers[-1] + 1))


def copy_dagster_run(instance: dg.DagsterInstance, run_id: str, count: int) -> None:
    """Copy a Dagster run with its tags `count` times; the run keys of the copies are others."""
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        in_dagster, run_tags = (
            Table(name, MetaData(), autoload_with=connection) for name in ("runs", "run_tags")
        )
        found = connection.execute(select(in_dagster).where(in_dagster.c.run_id == run_id))
        row = {name: value for name, value in found.mappings().one().items() if name != "id"}
        found = connection.execute(select(run_tags).where(run_tags.c.run_id == run_id))
        tags = {tag["key"]: tag["value"] for tag in found.mappings()}
        for some in _chunks({"run_id": str(uuid.uuid4())} for _ in range(count)):
            for one in some:
                one["run_body"] = row["run_body"].replace(run_id, one["run_id"])
            connection.execute(insert(in_dagster), [{**row, **one} for one in some])
            connection.execute(
                insert(run_tags),
                [
                    {"run_id": one["run_id"], "key": key, "value": _other(key, value, one)}
                    for one in some
                    for key, value in tags.items()
                ],
            )


def _other(key: str, value: str, one: dict[str, Any]) -> str:
    return f"{value}.{one['run_id']}" if key == "dagster/run_key" else value


def _stored(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a run as a database is given it: JSON and times are text."""

    def text(column: Column[Any], value: Any) -> Any:
        if isinstance(column.type, Json):
            return to_json(value)
        return iso(value) if isinstance(column.type, UtcTime) and value is not None else value

    return {name: text(runs.c[name], value) for name, value in row.items()}


def _as_stored() -> Table:
    """The table of runs for rows of `_stored`, of which no value is made ready once more."""
    texts = (Json, PlainText, UtcTime)
    columns = [Column(c.name, Text() if isinstance(c.type, texts) else c.type) for c in runs.c]
    return Table(runs.name, MetaData(), *columns)


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while some := list(islice(left, AT_ONCE)):
        yield some
