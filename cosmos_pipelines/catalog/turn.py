"""SQLite has one writer at a time: the others wait their turn, and say so if it takes long."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from typing import Final, cast

from sqlalchemy import Connection

from cosmos_pipelines.errors import CosmosError

BUSY_S: Final = 10
"""Seconds that SQLite itself waits for a file that another process keeps locked."""
TRY_S: Final = 1.0
"""Seconds of one try to begin. SQLite's wait is deaf to Ctrl-C; between two tries it is heard."""
SAY_S: Final = 5.0
"""Seconds of waiting after which the user is told."""
WAIT_S: Final = 120.0
"""Seconds of waiting after which a writer gives up: no writer of ours needs more than a moment."""
_BEGUN: Final = "cosmos_begun"
"""Key in the `info` of a connection: its last transaction."""


class _Begun(threading.local):
    """The transactions that this thread has begun last: by database, connection and mark."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[sqlite3.Connection, object, dict[str, object]]] = {}


_begun: Final = _Begun()


def begin_reading(connection: Connection) -> None:
    """Begin a reading transaction of an SQLite database."""
    connection.info[_BEGUN] = object()
    connection.exec_driver_sql("BEGIN")


def begin_writing(connection: Connection, where: str) -> None:
    """Begin a writing transaction of an SQLite database; the writers before are waited for.

    The lock is taken first: a transaction that begins as a reader is refused at once, without any
    wait, if another process has written since. A transaction of this thread that an interrupt left
    open is rolled back: nobody else can end it, and it would lock out every writer.

    Raises:
        CosmosError: the database stays locked for `WAIT_S`, or cannot be written.
    """
    _end_last(where)
    mark = connection.info[_BEGUN] = object()
    own = cast(sqlite3.Connection, connection.connection.dbapi_connection)
    _begun.last[where] = own, mark, connection.info
    began, said = time.monotonic(), False
    _set_timeout(connection, TRY_S)
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except CosmosError as e:
                waited = time.monotonic() - began
                if not is_locked(e) or waited >= WAIT_S:
                    raise
            if waited >= SAY_S and not said:
                said = True
                _say(f"Waiting for another process that writes to the catalog {where}.")
    finally:
        _set_timeout(connection, BUSY_S)


def _end_last(where: str) -> None:
    """Roll back what this thread wrote last, if the transaction is still open.

    SQLAlchemy itself loses a transaction if the interrupt comes between the transaction's begin and
    the note of it.
    """
    own, mark, info = _begun.last.pop(where, (None, None, {}))
    try:
        # In this order: another thread that uses the connection by now has set its mark before.
        if own is not None and own.in_transaction and info.get(_BEGUN) is mark:
            own.rollback()
    except sqlite3.ProgrammingError:
        return  # the connection is closed, and so is its transaction


def is_locked(error: CosmosError) -> bool:
    """Whether another process keeps the database locked, so that waiting may help."""
    return any(word in str(error.__cause__) for word in ("is locked", "locking protocol"))


def _set_timeout(connection: Connection, seconds: float) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    cursor.close()


def _say(sentence: str) -> None:
    """Where no log was set up, Python writes a warning to stderr."""
    logging.getLogger(__name__).warning(sentence)
