"""One process at a time, among all that use a catalog, for what no single statement can do."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import text

from cosmos_pipelines.catalog.database import Database, sqlite_path

_LOCK: Final = 0x636F736D6F74
"""PostgreSQL's advisory lock; that of migrations is one less."""


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Wait until no other process or thread is inside `alone` with this catalog.

    It holds up nobody who reads or writes the catalog. A process that dies gives it up. SQLite: a
    lock on the directory of the file; PostgreSQL: a lock of the server, for all machines.
    """
    if not database.sqlite:
        with database.read() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield
        return
    path = sqlite_path(database.url)
    if path is None:  # in memory: nobody else has it
        yield
        return
    lock = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
