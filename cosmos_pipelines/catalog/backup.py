"""A copy of the catalog in one file, taken while others go on reading and writing."""

from __future__ import annotations

import os
from pathlib import Path

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, InputError


def backup(catalog: Catalog, path: Path) -> int:
    """Copy an SQLite catalog to a new file that appears when it is complete; returns its bytes.

    Raises:
        InputError: the file exists, its directory does not, or the catalog is in PostgreSQL.
        DiskFull: no room for it.
    """
    if not catalog.sqlite:
        raise InputError(
            "A catalog in PostgreSQL is not copied from here.", hint="Use `pg_dump` on its server."
        )
    if path.exists():
        raise InputError(f"{path} exists already.", hint="Name a new file.")
    if not path.parent.is_dir():
        raise InputError(f"There is no directory {path.parent}.")
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with catalog.engine.execution_options(cosmos_begin="").connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(part),))
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.rename(path)
    except CosmosError as e:
        part.unlink(missing_ok=True)
        raise type(e)(f"{path} cannot be written: {e.message}", hint=e.hint) from e
    return path.stat().st_size
