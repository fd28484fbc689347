"""The changes of the catalog since a cursor, for systems that follow the catalog."""

from __future__ import annotations

from typing import Any, Final, Literal

from sqlalchemy import Connection, Table, select

from cosmos_pipelines.catalog.database import Database
from cosmos_pipelines.catalog.records import Change, Prompt, Run, SceneRow
from cosmos_pipelines.catalog.tables import deletions, prompts, revisions, runs, scenes
from cosmos_pipelines.errors import InputError

Kind = Literal["prompt", "run", "scene"]

_TABLES: Final[tuple[tuple[Kind, Table, str, type[Any]], ...]] = (
    ("scene", scenes, "key", SceneRow),
    ("prompt", prompts, "id", Prompt),
    ("run", runs, "id", Run),
)


class Changes(Database):
    """The catalog's part for systems that follow it."""

    def newest_revision(self) -> int:
        """Return a number that every change of a row makes larger: one cheap query."""
        return int(self.rows(select(revisions.c.value))[0].value)

    def changes_since(
        self, cursor: str | None = None, limit: int = 500
    ) -> tuple[list[Change], str]:
        """Return at most `limit` changes after `cursor`, in their order, and the next cursor.

        None is the beginning. A row that changed several times appears once, as it is now; a
        deleted row appears as deleted. No change is skipped: revisions become visible in their
        order (see Transaction.revision), and this method returns only changes up to the counter
        that it read first, so a writer between two of its queries cannot hide a row. A cursor from
        the future (the database was restored from a backup) starts from the beginning.

        Raises:
            InputError: this method never returned such a cursor.
        """
        with self.read() as connection:
            newest = int(connection.execute(select(revisions.c.value)).scalar_one())
            after = _position(cursor)
            after = 0 if after > newest else after
            found = [
                change
                for kind, table, key, record in _TABLES
                for change in _changed(connection, kind, table, key, record, (after, newest, limit))
            ]
            found += _deleted(connection, (after, newest, limit))
        found.sort(key=lambda change: change.revision)
        if len(found) > limit:
            found = found[:limit]
            return found, str(found[-1].revision)
        return found, str(newest)


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InputError(f"{cursor[:40]!r} is not a cursor of the catalog.")
    return int(cursor)


def _changed(
    connection: Connection,
    kind: Kind,
    table: Table,
    key: str,
    record: type[Any],
    span: tuple[int, int, int],
) -> list[Change]:
    after, newest, limit = span
    names = record.__dataclass_fields__
    statement = (
        select(table.c.revision, *(table.c[name] for name in names))
        .where(table.c.revision > after, table.c.revision <= newest)
        .order_by(table.c.revision)
        .limit(limit + 1)
    )
    changes = []
    for row in connection.execute(statement):
        values = dict(row._mapping)
        revision = values.pop("revision")
        changes.append(Change(kind=kind, id=values[key], revision=revision, row=record(**values)))
    return changes


def _deleted(connection: Connection, span: tuple[int, int, int]) -> list[Change]:
    after, newest, limit = span
    statement = (
        select(deletions.c.kind, deletions.c.id, deletions.c.revision)
        .where(deletions.c.revision > after, deletions.c.revision <= newest)
        .order_by(deletions.c.revision)
        .limit(limit + 1)
    )
    rows = connection.execute(statement)
    return [Change(kind=r.kind, id=r.id, revision=r.revision, row=None) for r in rows]
