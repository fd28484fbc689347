"""Find runs by what they have, in an order, a page at a time; count them; complete filters.

A page goes on where the last one ended, by the sorting values of its last run: rows that came or
went before that place move nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    and_,
    cast,
    exists,
    func,
    or_,
    select,
    true,
)

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.lookup import begins_with, in_bytes
from cosmos_pipelines.catalog.numbers import SETTINGS, number_of
from cosmos_pipelines.catalog.records import iso
from cosmos_pipelines.catalog.run_filter import RunFilter
from cosmos_pipelines.catalog.search import having_words
from cosmos_pipelines.catalog.tables import prompts, run_tags, runs
from cosmos_pipelines.errors import InputError, shown

NEWEST: Final = "newest"
OLDEST: Final = "oldest"
BATCH_TAG: Final = "batch:"
"""A run of a named batch has the tag `batch:NAME`."""
_EQUAL: Final = {
    "prompt": "prompt_id",
    "recipe": "recipe",
    "engine": "engine",
    "status": "status",
    "type": "model_type",
}
"""Filters whose value a column of runs has."""


@dataclass(frozen=True)
class Wanted:
    """Which runs are wanted, and in which order.

    `sort`: newest, oldest, rating (best first), or a number of numbers.py: the smallest first, with
    `-` before its name the largest. Runs without that number come last; equal ones newest first.
    `grouped`: not those whose parent is found as well.
    """

    filters: RunFilter
    sort: str = NEWEST
    grouped: bool = False


def find_ids(
    database: Database, wanted: Wanted, *, after: str | None = None, limit: int | None = None
) -> tuple[list[str], str | None]:
    """Return the ids of the runs, and the place where the next page begins; None: no more runs.

    Raises:
        InputError: an unknown sort, or `after` is no such place.
    """
    number, least_first = _order(database, wanted.sort)
    oldest = wanted.sort == OLDEST
    columns = [runs.c.id, runs.c.created_at, *([] if number is None else [number.label("number")])]
    statement = select(*columns).where(*_conditions(database, wanted))
    if after is not None:
        statement = statement.where(_behind(database, number, least_first, oldest, after))
    if number is not None:
        statement = statement.order_by(number.is_(None), number if least_first else number.desc())
    created = runs.c.created_at if oldest else runs.c.created_at.desc()
    statement = statement.order_by(created, in_bytes(database, runs.c.id))
    rows = database.rows(statement if limit is None else statement.limit(limit + 1))
    more = limit is not None and len(rows) > limit
    rows = rows[:limit]
    place = _place(rows[-1], number is not None) if more and rows else None
    return [row.id for row in rows], place


def find_cells(database: Database, wanted: Wanted, across: str) -> Sequence[Row[Any]]:
    """Return id, prompt_id, status, rating and `across` of runs of prompts, newest first.

    `across`: `recipe`, or the number of a setting.
    """
    column = runs.c.recipe if across == "recipe" else _setting(database, across)
    columns = (runs.c.id, runs.c.prompt_id, runs.c.status, runs.c.rating, column.label("across"))
    of_prompts = runs.c.prompt_id.is_not(None)
    statement = select(*columns).where(of_prompts, *_conditions(database, wanted))
    return database.rows(statement.order_by(runs.c.created_at.desc(), runs.c.id))


def count(database: Database, wanted: Wanted) -> int:
    """Return how many runs are wanted."""
    statement = select(func.count()).select_from(runs).where(*_conditions(database, wanted))
    return int(database.rows(statement)[0][0])


def among(database: Database, wanted: Wanted, run_ids: Iterable[str]) -> list[str]:
    """Return which of these runs are wanted."""
    statement = select(runs.c.id).where(*_conditions(database, wanted))
    return [row.id for row in database.rows_with(statement, runs.c.id, run_ids)]


def made_of(database: Database, run_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the runs that were made of each of these, also of those again, oldest first."""
    found: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
    root = {run_id: run_id for run_id in found}
    level = list(found)
    while level:
        children = select(runs.c.id, runs.c.parent_run_id).order_by(runs.c.created_at, runs.c.id)
        rows = database.rows_with(children, runs.c.parent_run_id, level)
        level = [row.id for row in rows if row.id not in root]
        for row in rows:
            if row.id not in root:
                root[row.id] = root[row.parent_run_id]
                found[root[row.id]].append(row.id)
    return found


def _conditions(database: Database, wanted: Wanted) -> list[ColumnElement[bool]]:
    found = _filtered(database, wanted.filters, runs)
    if wanted.grouped and wanted.filters.of is None:
        parent = runs.alias("parent")
        also = _filtered(database, wanted.filters, parent)
        same = exists().where(parent.c.id == runs.c.parent_run_id, *also)
        found.append(or_(runs.c.parent_run_id.is_(None), ~same))
    return found


def _filtered(database: Database, filters: RunFilter, of: Any) -> list[ColumnElement[bool]]:
    """Return what a row of `of` (runs, or another name of it) must have."""
    given = filters.given()
    found: list[ColumnElement[bool]] = [
        of.c[column].in_(getattr(filters, name)) for name, column in _EQUAL.items() if name in given
    ]
    if filters.scene:
        of_scene = select(prompts.c.id).where(prompts.c.scene.in_(filters.scene))
        found.append(of.c.prompt_id.in_(of_scene))
    if filters.words.strip():
        found.append(_has_words(database, filters.words.strip(), of))
    if filters.rating is not None:
        found.append(of.c.rating >= filters.rating)
    if filters.since is not None:
        found.append(of.c.created_at >= filters.since)
    found += [_tagged(of, [tag]) for tag in filters.tag]
    if filters.without:
        found.append(~_tagged(of, filters.without))
    if filters.batch:
        named = _tagged(of, [f"{BATCH_TAG}{name}" for name in filters.batch])
        found.append(or_(named, of.c.batch_id.in_(filters.batch)))
    if filters.of is not None:
        found.append(of.c.id.in_(_family(filters.of)))
    return found


def _has_words(database: Database, words: str, of: Any) -> ColumnElement[bool]:
    if words.startswith("rs_"):
        return begins_with(database, of.c.id, words)
    if words.startswith("ps_"):
        return begins_with(database, of.c.prompt_id, words)
    having = having_words(database, words)
    return true() if having is None else of.c.prompt_id.in_(having)


def _tagged(of: Any, tags: Iterable[str]) -> ColumnElement[bool]:
    with_tag = select(run_tags.c.run_id).where(run_tags.c.tag.in_([tag.lower() for tag in tags]))
    tagged: ColumnElement[bool] = of.c.id.in_(with_tag)
    return tagged


def _family(run_id: str) -> Any:
    """The ids of a run and of all that was made of it."""
    family = select(runs.c.id).where(runs.c.id == run_id).cte("family", recursive=True)
    children = select(runs.c.id).where(runs.c.parent_run_id == family.c.id)
    return select(family.union(children).c.id)


def _setting(database: Database, name: str) -> ColumnElement[Any]:
    return cast(number_of(database, f"{SETTINGS}.{name}"), BigInteger)


def _order(database: Database, sort: str) -> tuple[ColumnElement[Any] | None, bool]:
    """The number that is sorted by, and whether the smallest comes first."""
    if sort in (NEWEST, OLDEST):
        return None, False
    if sort == "rating":
        sort = "-rating"
    return number_of(database, sort.removeprefix("-")), not sort.startswith("-")


def _behind(
    database: Database,
    number: ColumnElement[Any] | None,
    least_first: bool,
    oldest: bool,
    after: str,
) -> ColumnElement[bool]:
    value, created, run_id = _read_place(after)
    at, same = runs.c.created_at, in_bytes(database, runs.c.id) > run_id
    later = or_(at > created if oldest else at < created, and_(at == created, same))
    if number is None:  # said twice, so that an index of time serves it
        return and_(at >= created if oldest else at <= created, later)
    if value is None:
        return and_(number.is_(None), later)
    beyond = number > value if least_first else number < value
    return or_(number.is_(None), beyond, and_(number == value, later))


def _place(row: Any, numbered: bool) -> str:
    values = [row.number if numbered else None, iso(row.created_at), row.id]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def _read_place(after: str) -> tuple[float | None, datetime, str]:
    try:
        value, created, run_id = json.loads(base64.urlsafe_b64decode(after.encode()))
        value = None if value is None else float(value)
        moment = datetime.fromisoformat(created)
    except (ValueError, TypeError, RecursionError) as e:
        raise InputError(f"{shown(after)} is no place in a list of runs.") from e
    if not isinstance(run_id, str) or moment.tzinfo is None:
        raise InputError(f"{shown(after)} is no place in a list of runs.")
    return value, moment, run_id
