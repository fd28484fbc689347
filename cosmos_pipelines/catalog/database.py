"""Connections and transactions on SQLite and PostgreSQL, and their errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    Connection,
    Engine,
    ExceptionContext,
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


@dataclass
class Transaction:
    """A writing transaction: its connection, its time, and the revisions it hands out."""

    connection: Connection
    now: datetime

    def revision(self) -> int:
        """The next revision; no two rows ever have the same.

        The counter is one row that every writer changes first and keeps locked until it commits
        (SQLite has one writer anyway). Thus revisions become visible in their order: who has read
        up to revision N never has to look below N again. Writes here are few and short (GPU work
        takes minutes), so that one at a time is enough.
        """
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

    @property
    def sqlite(self) -> bool:
        """SQLite, else PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A reading transaction."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A writing transaction: one at a time, committed at the end, else rolled back."""
        with self._writer.begin() as connection:
            tx = Transaction(connection, utc_now())
            tx.revision()  # takes the lock, so that every later read of this transaction is current
            tx.now = utc_now()
            yield tx

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
    (
        "file is not a database",
        InputError,
        "it is not an SQLite database",
        "Restore a backup, or remove it to begin anew.",
    ),
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
    for part, kind, what, hint in _SAYINGS:
        if part in said:
            raise kind(f"The catalog {where}: {what}.", hint=hint) from cause
    if context.connection is None:
        raise InputError(
            f"The catalog {where} cannot be reached: {said}", hint="Check the database URL."
        ) from cause
    if context.is_disconnect:
        raise CosmosError(f"The connection to the catalog {where} was lost: {said}") from cause


def copy_into(database: Database, part: Path, path: Path) -> None:
    """Copy an SQLite database into a new file `part`, which is going to be `path`.

    Raises:
        DiskFull, CosmosError: it cannot be written; names `path`.
    """
    try:
        with database.engine.execution_options(cosmos_begin="").connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(part),))
    except CosmosError as e:
        raise type(e)(f"{path} cannot be written: {e.message}", hint=e.hint) from e


def sqlite_path(url: URL) -> Path | None:
    """The file of an SQLite URL; None for PostgreSQL, memory and `file:` URIs."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return None
    return Path(name)
