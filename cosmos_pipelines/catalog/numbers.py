"""The numbers that runs record, by which they can be sorted: columns, settings and outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Integer,
    Text,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
)

from cosmos_pipelines.catalog.columns import Json
from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.errors import InputError, nearest, shown

SETTINGS: Final = "settings"
"""What the column `execution_config` is called where a number is named."""
_COLUMN_OF: Final = {SETTINGS: "execution_config"}
_DURATION: Final = "duration_s"
_INTERNAL: Final = ("revision",)
_NAME: Final = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+){0,4}")
_LOOKED_AT: Final = 200
"""Newest runs in which the names of recorded numbers are looked for."""


def number_of(database: Database, name: str, of: Any = runs) -> ColumnElement[Any]:
    """Return a recorded number of a run; NULL where a run has none of this name.

    `name`: an integer column, `duration_s`, or a path as `outputs.size`, `settings.seed`,
    `outputs.timing.seconds`.

    Raises:
        InputError: no column is called so.
    """
    first, _, path = name.partition(".")
    column = of.c.get(_COLUMN_OF.get(first, first))
    if name == _DURATION:
        return _duration(database, of)
    if column is None or not _NAME.fullmatch(name) or name in _INTERNAL:
        raise _unknown(name)
    if not path:
        if not isinstance(column.type, Integer):
            raise _unknown(name)
        return cast(column, Float)
    if not isinstance(column.type, Json):
        raise _unknown(name)
    return _in_json(database, column, path.split("."))


def recorded_numbers(database: Database) -> list[str]:
    """Return the names of the numbers that the newest runs have, columns first."""
    of_columns = [
        column.name
        for column in runs.c
        if isinstance(column.type, Integer) and column.name not in _INTERNAL
    ]
    documents = [column for column in runs.c if isinstance(column.type, Json)]
    statement = select(*documents).order_by(runs.c.created_at.desc()).limit(_LOOKED_AT)
    named = {column: name for name, column in _COLUMN_OF.items()}
    found: dict[str, None] = {}
    for row in database.rows(statement):
        for column, value in row._mapping.items():
            found |= dict.fromkeys(_paths(value, named.get(column, column)))
    return [_DURATION, *of_columns, *sorted(found)]


def _duration(database: Database, of: Any) -> ColumnElement[Any]:
    start, end = of.c.started_at, of.c.completed_at
    if database.sqlite:
        # whole milliseconds, which is what SQLite's times have
        return func.round((func.julianday(end) - func.julianday(start)) * 86_400_000.0) / 1000.0
    return cast(func.extract("epoch", end - start), Float)


def _in_json(database: Database, column: Column[Any], path: list[str]) -> ColumnElement[Any]:
    if database.sqlite:
        where = literal("$" + "".join(f'."{part}"' for part in path))
        kinds = func.json_type(column, where).in_(("integer", "real"))
        return case((kinds, func.json_extract(column, where)), else_=None)
    steps = literal_column("'{" + ",".join(path) + "}'", Text)  # of `_NAME`: nothing to quote
    text = column.op("#>>")(steps)
    return case((func.jsonb_typeof(column.op("#>")(steps)) == "number", cast(text, Float)))


def _paths(value: Any, before: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _paths(one, f"{before}.{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool) and _NAME.fullmatch(before):
        yield before


def _unknown(name: str) -> InputError:
    known = [_DURATION, *(column.name for column in runs.c if isinstance(column.type, Integer))]
    near = nearest(name, known, 1)
    hint = f"Did you mean {near[0]}?" if near else "Name one as outputs.size or settings.seed."
    return InputError(f"Runs have no number {shown(name)} to sort by.", hint=hint)
