"""Connections and transactions on SQLite and PostgreSQL; translates errors of the database."""

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
from cosmos_pipelines.catalog.interrupts import interrupts_first
from cosmos_pipelines.catalog.records import utc_now
from cosmos_pipelines.catalog.tables import deletions, revisions
from cosmos_pipelines.catalog.turn import BUSY_S, begin_reading, begin_writing
from cosmos_pipelines.errors import CatalogAway, CosmosError, DiskFull, InputError

WRITING = "BEGIN IMMEDIATE"
AT_ONCE = 1000
"""Most values of one query; SQLite accepts 32,766."""


@dataclass
class Transaction:
    """A writing transaction: its connection, its time, and the revisions of its rows."""

    connection: Connection
    now: datetime
    _taken: int | None = None
    """The revision that was taken with the lock, until a row gets it."""

    @classmethod
    def begin(cls, connection: Connection) -> Self:
        """Take the lock, so that every later read of this transaction is current."""
        tx = cls(connection, utc_now())
        tx._taken = tx.revision()
        tx.now = utc_now()  # the wait for the lock may have been long
        return tx

    def revision(self) -> int:
        """Return the next revision; no two rows ever have the same revision.

        The counter is one row that every writer changes first and keeps locked until the commit
        (SQLite has only one writer anyway). So revisions become visible in their order: a reader
        that has read up to revision N never has to look below N again. Writes are few and short
        (GPU work takes minutes), so one writer at a time is enough.
        """
        if (taken := self._taken) is not None:
            self._taken = None
            return taken
        statement = update(revisions).values(value=revisions.c.value + 1)
        return int(self.connection.execute(statement.returning(revisions.c.value)).scalar_one())

    def revisions(self, number: int) -> range:
        """Return the next revisions, one for each of `number` rows (at least one)."""
        taken, self._taken = self._taken, None
        more = number if taken is None else number - 1
        last = taken
        if last is None or more:
            statement = update(revisions).values(value=revisions.c.value + more)
            counted = self.connection.execute(statement.returning(revisions.c.value))
            last = int(counted.scalar_one())
        return range(last - number + 1, last + 1)

    def stamp(self) -> dict[str, Any]:
        """Return the columns that every change of a row sets."""
        return {"updated_at": self.now, "revision": self.revision()}

    def revive(self, kind: str, *thing_ids: str) -> None:
        """Remove the records of deletions: the rows exist again, and followers see only that."""
        for start in range(0, len(thing_ids), AT_ONCE):
            some = thing_ids[start : start + AT_ONCE]
            gone = (deletions.c.kind == kind) & deletions.c.id.in_(some)
            self.connection.execute(delete(deletions).where(gone))


class Database:
    """An engine with the two kinds of transactions; base of the catalog's parts."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.where = self.url.render_as_string(hide_password=True)
        if self.url.database and self.url.get_backend_name() == "sqlite":
            self.where = self.url.database
        self.engine = _engine(self.url, self.where)
        self.writer = self.engine.execution_options(cosmos_begin=WRITING)
        alone = {"cosmos_begin": ""} if self.sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._single = self.engine.execution_options(**alone)

    @property
    def sqlite(self) -> bool:
        """Whether the database is SQLite; else it is PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def _used(self) -> Iterator[None]:
        """Tell a connection that breaks while it is given back as one that breaks in its use.

        SQLAlchemy asks `handle_error` about neither that nor the levels that it sets back then.
        """
        broken = self.engine.dialect.loaded_dbapi.Error
        try:
            with interrupts_first(self.engine):
                yield
        except broken as e:
            if self.sqlite:
                raise
            self.engine.dispose()  # its pool takes such a connection for one in use
            raise _lost(self.where, e) from e

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a reading transaction, for several SELECTs that belong together."""
        with self._used(), self.engine.connect() as connection, connection.begin():
            yield connection

    def rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        """Return the rows of one SELECT, which is its own transaction without BEGIN and COMMIT."""
        with self._used(), self._single.connect() as connection:
            return connection.execute(statement).all()

    def rows_with(
        self, statement: Select[Any], column: Column[Any], values: Iterable[str]
    ) -> list[Row[Any]]:
        """Return the rows of a SELECT whose `column` is one of `values`; one query per 1,000."""
        distinct = list(dict.fromkeys(values))
        return [
            row
            for start in range(0, len(distinct), AT_ONCE)
            for row in self.rows(statement.where(column.in_(distinct[start : start + AT_ONCE])))
        ]

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a writing transaction, one at a time; commit at the end, roll back on errors."""
        with self._used(), self.writer.begin() as connection:
            yield Transaction.begin(connection)

    def insert(self, table: Table) -> Any:
        """Return an INSERT that can have ON CONFLICT, which both databases support."""
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
        # writers are serialised by one row (Transaction.revision), whatever the server's default
        options = {"pool_pre_ping": True, "isolation_level": "READ COMMITTED"}
    engine = create_engine(url, json_serializer=to_json, **options)
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", lambda connection: _sqlite_begin(connection, where))
    event.listen(engine, "handle_error", lambda context: _translate(context, where))
    return engine


def _sqlite_connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 must not begin or commit by itself
    connection.execute("PRAGMA foreign_keys = ON")


def _sqlite_begin(connection: Connection, where: str) -> None:
    begin = connection.get_execution_options().get("cosmos_begin", "BEGIN")
    if begin == WRITING:
        begin_writing(connection, where)
    elif begin:
        begin_reading(connection)


_KNOWN_ERRORS: tuple[tuple[str, type[CosmosError], str, str], ...] = (
    ("database or disk is full", DiskFull, "no room is left on its disk", "Free some space."),
    ("No space left on device", DiskFull, "no room is left on its disk", "Free some space."),
    ("readonly database", InputError, "it is read-only", "Check the file's permissions."),
    ("unable to open database", CatalogAway, "it cannot be opened", "Check the permissions."),
    (
        "file is not a database",
        InputError,
        "it is not an SQLite database",
        "Restore a backup, or remove the file to start a new catalog.",
    ),
    ("malformed", InputError, "it is damaged", "Restore a backup."),
    ("database is locked", CosmosError, "another process keeps it locked", "Try again later."),
    ("locking protocol", CosmosError, "other processes keep it locked", "Try again later."),
    ("disk I/O error", CosmosError, "its disk cannot be read or written", "Check the disk."),
)


def _translate(context: ExceptionContext, where: str) -> None:
    """Raise an error of this project if the user can solve the problem."""
    cause = context.original_exception
    if context.is_pre_ping and context.is_disconnect:
        return  # the pool connects again: the server has only been started again since
    if not isinstance(cause, Exception):  # an interrupt is not an error of the database
        # An open cursor would keep the transaction, although SQLAlchemy closes the connection.
        if context.execution_context is not None and context.execution_context.cursor is not None:
            context.execution_context.cursor.close()
        return
    message = _first_line(cause)
    if (ours := in_our_words(message, f"The catalog {where}")) is not None:
        raise ours from cause
    if context.connection is None:
        raise CatalogAway(
            f"The catalog {where} cannot be reached: {message}", hint="Check the database URL."
        ) from cause
    if context.is_disconnect:
        raise _lost(where, cause) from cause


def _first_line(error: Exception) -> str:
    """Of a database's error; the lines below may quote a row with any content."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _lost(where: str, error: Exception) -> CosmosError:
    return CosmosError(f"The connection to the catalog {where} was lost: {_first_line(error)}")


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


def in_our_words(message: str, subject: str) -> CosmosError | None:
    """Return an error of this project for a database's message about `subject`.

    None: the message is of no problem that a user can solve.
    """
    for part, kind, what, hint in _KNOWN_ERRORS:
        if part in message:
            return kind(f"{subject}: {what}.", hint=hint)
    return None


def sqlite_path(url: URL) -> Path | None:
    """Return the file of an SQLite URL; None for PostgreSQL, memory and `file:` URIs."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return None
    return Path(name)
