"""Many copies of a run in the catalog, and of a Dagster run in Dagster's records, in seconds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
from sqlalchemy import MetaData, Table, func, insert, select, update

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.catalog.tables import revisions, runs

AT_ONCE = 5_000


def copy_run(catalog: Catalog, run: Run, count: int, **columns: Any) -> None:
    """Copy a run's row `count` times; `columns` are others in the copies. Each is newer."""
    with catalog.write() as tx:
        row = dict(tx.connection.execute(select(runs).where(runs.c.id == run.id)).mappings().one())
        last = tx.connection.execute(select(func.max(runs.c.revision))).scalar_one()
        numbers = range(last + 1, last + 1 + count)
        for some in _chunks(
            numbers,
            lambda n: {
                **row,
                **columns,
                "id": f"rs_{uuid.uuid4().hex}",
                "revision": n,
                "created_at": row["created_at"] + timedelta(milliseconds=n),
            },
        ):
            tx.connection.execute(insert(runs), some)
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
        for some in _chunks(range(count), lambda _: {"run_id": str(uuid.uuid4())}):
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


def _chunks(
    numbers: range, make: Callable[[int], dict[str, Any]]
) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(numbers), AT_ONCE):
        yield [make(n) for n in numbers[start : start + AT_ONCE]]
