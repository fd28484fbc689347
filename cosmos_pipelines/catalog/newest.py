"""The newest runs of a kind, each kind through an index that has its runs in the order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from sqlalchemy import Column, Row, Select, select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.tables import run_tags, runs


def newest_runs(
    database: Database,
    columns: Sequence[Column[Any]],
    equal: Mapping[str, Any],
    several: Mapping[str, Sequence[Any]],
    tag: str | None,
    limit: int | None,
    offset: int,
) -> list[Row[Any]]:
    """Return the rows of runs with these values, the newest first.

    `equal`: the value of a column; None: any value. `several`: the values that a column may have.
    An index has the runs of one value in the order of time, and not those of several: these are
    asked for one by one, and put together.
    """
    statement = _statement(columns, equal, tag)
    if limit is None:
        for name, values in several.items():
            statement = statement.where(runs.c[name].in_(values))
        return list(database.rows(statement.offset(offset)))
    parts = [
        statement.where(
            *(runs.c[name] == value for name, value in zip(several, values, strict=True))
        )
        for values in product(*several.values())
    ]
    if len(parts) == 1:
        return list(database.rows(parts[0].limit(limit).offset(offset)))
    rows = [row for part in parts for row in database.rows(part.limit(offset + limit))]
    rows.sort(key=lambda row: row.id)
    rows.sort(key=lambda row: row.created_at, reverse=True)
    return rows[offset : offset + limit]


def _statement(
    columns: Sequence[Column[Any]], equal: Mapping[str, Any], tag: str | None
) -> Select[Any]:
    statement = select(*columns)
    for name, value in equal.items():
        if value is not None:
            statement = statement.where(runs.c[name] == value)
    if tag is None:
        return statement.order_by(runs.c.created_at.desc(), runs.c.id)
    tagged = statement.join(run_tags, run_tags.c.run_id == runs.c.id).where(run_tags.c.tag == tag)
    return tagged.order_by(run_tags.c.created_at.desc(), run_tags.c.run_id)
