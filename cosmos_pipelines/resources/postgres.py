"""Dagster's records in the PostgreSQL database of `[postgres]`, in a schema of their own.

Both catalog and Dagster have a table `runs`, so Dagster's tables are in the schema `dagster`, which
its connections look into first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.errors import CatalogAway
from cosmos_pipelines.settings import DAGSTER_VARIABLE, Settings, dagster_url

if TYPE_CHECKING:
    from sqlalchemy import Engine

SCHEMA: Final = "dagster"
_LOCK: Final = 0x636F736D6F73 - 2
"""PostgreSQL's advisory lock for Dagster's tables; see catalog/alone.py for the others."""
_WHOLE: Final = ("runs", "event_logs", "jobs", "job_ticks", "alembic_version")
_ready: set[str] = set()
"""URLs of which this process knows that everything is there."""


@contextmanager
def records_in_postgres(settings: Settings) -> Iterator[None]:
    """Open the instance inside this; one process of all machines at a time makes Dagster's tables.

    Nothing is done where `[postgres]` has no URL.
    """
    url = dagster_url(settings)
    if url is None:
        yield
        return
    os.environ[DAGSTER_VARIABLE] = url
    if url in _ready:
        yield
        return
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with _made(engine):
        yield
    _ready.add(url)


@contextmanager
def _made(engine: Engine) -> Iterator[None]:
    """The schema is there in this block; who comes first is alone until the block ends.

    Raises:
        CatalogAway: the database cannot be reached, or lets nobody make the schema.
    """
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    with ExitStack() as opened:
        try:
            connection = opened.enter_context(engine.connect())
            there = text("SELECT count(*) FROM unnest(:names) AS name WHERE to_regclass(name) > 0")
            names = [f"{SCHEMA}.{name}" for name in _WHOLE]
            if connection.execute(there, {"names": names}).scalar() != len(names):
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        except DBAPIError as e:
            where = engine.url.render_as_string(hide_password=True).partition("?")[0]
            said = str(e.orig or e).strip().splitlines()[0]
            raise CatalogAway(
                f"Dagster's records in {where} cannot be used: {said}",
                hint="Check [postgres] url; its user must be allowed to make a schema there.",
            ) from e
        yield  # the lock ends with the connection
