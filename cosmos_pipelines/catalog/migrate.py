"""Bring a database to the newest migration. Alembic is loaded only if a migration is missing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from cosmos_pipelines.catalog.database import Database, sqlite_path
from cosmos_pipelines.catalog.first import have_file
from cosmos_pipelines.catalog.tables import HEAD, VERSION_TABLE
from cosmos_pipelines.catalog.turn import WAIT_S, is_locked
from cosmos_pipelines.errors import CosmosError, InputError, StateError

SCRIPTS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x636F736D6F73  # "cosmos": PostgreSQL's advisory lock for migrating


def bring_up_to_date(database: Database, home: Path | None = None) -> None:
    """Make the tables of a new database; migrate an old database; change nothing in a current one.

    Any number of processes may do this at once: one process works, the others wait. `home`: the
    project's directory; paths below it that an older version stored become relative to it.

    Raises:
        InputError: the database belongs to another program or cannot be used.
        StateError: a newer version of this program wrote the database.
    """
    path = sqlite_path(database.url)
    ahead = True
    if path is not None:
        _make_directory(path.parent)
        ahead = have_file(path, lambda new: _migrate(new, home))
    with database.read() as connection:
        version = _version(connection)
        if version is None and (taken := _foreign_tables(connection)):
            version = _version(connection)  # another process may have made ours in between
            if version is None:
                raise _of_another_program(database.where, taken)
    if not ahead and os.access(database.where, os.W_OK):
        _write_ahead(database)
    if version == HEAD:
        return
    _migrate(database, home)


def _migrate(database: Database, home: Path | None) -> None:
    """Bring it to the newest version in one transaction, if no other process was faster."""
    with database.writer.begin() as connection:
        if not database.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        version = _version(connection)
        if version != HEAD:  # otherwise another process was faster
            _upgrade(connection, version, database.where, home)


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(
            f"The catalog's directory {directory} cannot be made: {e.strerror}."
        ) from None


def _version(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608


def _write_ahead(database: Database) -> None:
    """Switch SQLite to its write-ahead log, with which readers do not wait for a writer.

    The switch is stored in the file. SQLite itself does not wait for other processes here.
    """
    deadline = time.monotonic() + WAIT_S
    outside = database.engine.execution_options(cosmos_begin="")
    while True:
        try:
            with outside.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except CosmosError as e:
            if not is_locked(e) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _upgrade(connection: Connection, version: str | None, where: str, home: Path | None) -> None:
    """Run the migrations in the given transaction: all of them or none."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes |= {"connection": connection, "home": home}
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StateError(
            f"The catalog {where} was written by a newer version of Cosmos Pipelines.",
            hint="Update this installation.",
        )
    if version is None and (taken := _foreign_tables(connection)):
        raise _of_another_program(where, taken)
    command.upgrade(config, "head")


def _foreign_tables(connection: Connection) -> list[str]:
    """Tables that keep us out: in PostgreSQL, which Dagster may share, those of our names."""
    from sqlalchemy import inspect

    from cosmos_pipelines.catalog.tables import metadata

    names = inspect(connection).get_table_names()
    if connection.dialect.name != "sqlite":
        names = [name for name in names if name in metadata.tables]
    return sorted(names)


def _of_another_program(where: str, tables: list[str]) -> InputError:
    more = f" and {len(tables) - 5} more" if len(tables) > 5 else ""
    return InputError(
        f"The database {where} has tables of another program ({', '.join(tables[:5])}{more}).",
        hint="Set another database for the catalog.",
    )
