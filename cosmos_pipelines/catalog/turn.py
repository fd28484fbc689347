"""SQLite has one writer at a time: the others wait their turn, and say so if it takes long."""

from __future__ import annotations

import logging
import time
from typing import Final

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


def begin_writing(connection: Connection, where: str) -> None:
    """Begin a writing transaction of an SQLite database; the writers before are waited for.

    The lock is taken first: a transaction that begins as a reader is refused at once, without any
    wait, if another process has written since.

    Raises:
        CosmosError: the database stays locked for `WAIT_S`, or cannot be written.
    """
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
