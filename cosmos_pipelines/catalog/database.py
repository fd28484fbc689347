"""Connections and transactions on SQLite and PostgreSQL, and their errors in our words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ExceptionContext,
    Row,
    Select,
    Table,
    create_engine,
    delete,
    event,
    make_url,
    update,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from cosmos_pipelines.catalog.columns import to_json
from cosmos_pipelines.catalog.records import utc_now
from cosmos_pipelines.catalog.tables import deletions, revisions
from cosmos_pipelines.errors import CosmosError, DiskFull, InputError

BUSY_S = 10
"""How long SQLite waits for another writer."""

AT_ONCE = 1000
"""Values of one query at most; SQLite takes 32,766."""


@dataclass
class Transaction:
    """A writing transaction: its connection, its time, and the revisions it hands out."""

    connection: Connection
    now: datetime
    _taken: int | None = None
    """The revision that came with the lock, until it is handed out."""

    @classmethod
    def begin(cls, connection: Connection) -> Self:
        """Take the lock, so that every later read of this transaction is current."""
        tx = cls(connection, utc_now())
        tx._taken = tx.revision()
        tx.now = utc_now()  # it may have waited for the lock
        return tx

    def revision(self) -> int:
        """The next revision; no two rows ever have the same.

        The counter is one row that every writer changes first and keeps locked until it commits
        (SQLite has one writer anyway). Thus revisions become visible in their order: who has read
        up to revision N never has to look below N again. Writes here are few and short (GPU work
        takes minutes), so that one at a time is enough.
        """
        if (taken := self._taken) is not None:
            self._taken = None
            return taken
        statement = update(revisions).values(value=revisions.c.value + 1)
        return int(self.connection.execute(statement.returning(revisions.c.value)).scalar_one())

    def stamp(self) -> dict[str, Any]:
        """The columns that every change of a row sets."""
        return {"updated_at": self.now, "revision": self.revision()}

    def revive(self, kind: str, thing_id: str) -> None:
        """Forget that a thing was deleted: it is there again, and followers shall see only that."""
        gone = (deletions.c.kind == kind) & (deletions.c.id == thing_id)
        self.connection.execute(delete(deletions).where(gone))


class Database:
    """An engine with the two kinds of transactions; base of the catalog's parts."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.where = self.url.render_as_string(hide_password=True)
        if self.url.database and self.url.get_backend_name() == "sqlite":
            self.where = self.url.database
        self.engine = _engine(self.url, self.where)
        self._writer = self.engine.execution_options(cosmos_begin="BEGIN IMMEDIATE")
        alone = {"cosmos_begin": ""} if self.sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._single = self.engine.execution_options(**alone)

    @property
    def sqlite(self) -> bool:
        """SQLite, else PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A reading transaction, for several SELECTs that belong together."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        """What one SELECT finds; it is a transaction by itself, without BEGIN and COMMIT."""
        with self._single.connect() as connection:
            return connection.execute(statement).all()

    def rows_with(
        self, statement: Select[Any], column: Column[Any], values: Iterable[str]
    ) -> list[Row[Any]]:
        """Those of what a SELECT finds whose `column` is one of `values`; a query each 1,000."""
        distinct = list(dict.fromkeys(values))
        return [
            row
            for at in range(0, len(distinct), AT_ONCE)
            for row in self.rows(statement.where(column.in_(distinct[at : at + AT_ONCE])))
        ]

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A writing transaction: one at a time, committed at the end, else rolled back."""
        with self._writer.begin() as connection:
            yield Transaction.begin(connection)

    def insert(self, table: Table) -> Any:
        """An INSERT that can have ON CONFLICT, which both databases write alike."""
        if self.sqlite:
            from sqlalchemy.dialects.sqlite import insert

            return insert(table)
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        return pg_insert(table)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError(
            "The database URL cannot be read.",
            hint="Write sqlite:///PATH or postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE.",
        ) from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise InputError(
            f"The catalog cannot use {parsed.get_backend_name()!r} databases.",
            hint="Write sqlite:///PATH or postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE.",
        )
    return parsed


def _engine(url: URL, where: str) -> Engine:
    if url.get_backend_name() == "sqlite":
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_S}}
    else:
        options = {"pool_pre_ping": True}
    engine = create_engine(url, json_serializer=to_json, **options)
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
    event.listen(engine, "handle_error", lambda context: _translate(context, where))
    return engine


def _sqlite_connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 shall not begin or commit by itself
    connection.execute("PRAGMA foreign_keys = ON")


def _sqlite_begin(connection: Connection) -> None:
    """A writer takes the lock first: a reader that wants to write later can be refused at once."""
    if begin := connection.get_execution_options().get("cosmos_begin", "BEGIN"):
        connection.exec_driver_sql(begin)


_SAYINGS: tuple[tuple[str, type[CosmosError], str, str], ...] = (
    ("database or disk is full", DiskFull, "no room is left on its disk", "Free some space."),
    ("No space left on device", DiskFull, "no room is left on its disk", "Free some space."),
    ("readonly database", InputError, "it is read-only", "Check its permissions."),
    ("unable to open database", InputError, "it cannot be opened", "Check its permissions."),
    ("file is not a database", InputError, "it is not an SQLite database", "Restore a backup."),
    ("malformed", InputError, "it is damaged", "Restore a backup."),
    ("database is locked", CosmosError, "another process keeps it locked", "Try again later."),
    ("disk I/O error", CosmosError, "its disk cannot be read or written", "Check the disk."),
)


def _translate(context: ExceptionContext, where: str) -> None:
    """Raise our own error for what a user can do something about."""
    cause = context.original_exception
    if not isinstance(cause, Exception):
        return  # an interrupt that came in the middle of a statement is no fault of the database
    # the first line only: those below may quote a row, hence anything
    said = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    if (ours := in_our_words(said, f"The catalog {where}")) is not None:
        raise ours from cause
    if context.connection is None:
        raise InputError(
            f"The catalog {where} cannot be reached: {said}", hint="Check the database URL."
        ) from cause
    if context.is_disconnect:
        raise CosmosError(f"The connection to the catalog {where} was lost: {said}") from cause


def in_our_words(said: str, subject: str) -> CosmosError | None:
    """What a database said of `subject`, where a user can do something about it; else None."""
    for part, kind, what, hint in _SAYINGS:
        if part in said:
            return kind(f"{subject}: {what}.", hint=hint)
    return None


def sqlite_path(url: URL) -> Path | None:
    """The file of an SQLite URL; None for PostgreSQL, memory and `file:` URIs."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return None
    return Path(name)
