"""Copy the catalog to one file while other processes read and write the catalog."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.catalog.database import copy_into
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.files import writing


def backup(catalog: Catalog, path: Path) -> int:
    """Copy an SQLite catalog to a new file, which appears when complete; return its size in bytes.

    Raises:
        InputError: the file exists, its directory does not, or the catalog is in PostgreSQL.
        DiskFull: no room for the file.
        CosmosError: the file cannot be written.
    """
    if not catalog.sqlite:
        raise InputError(
            "`cosmos backup` cannot copy a catalog in PostgreSQL.",
            hint="Use `pg_dump` on the database server.",
        )
    if path.exists():
        raise _exists(path)
    if not path.parent.is_dir():
        raise InputError(f"There is no directory {path.parent}.")
    try:
        with writing(path, new=True, durable=True) as part:
            copy_into(catalog, part, path)
            size = part.stat().st_size
    except FileExistsError:
        raise _exists(path) from None
    return size


def _exists(path: Path) -> InputError:
    return InputError(f"{path} exists already.", hint="Name a new file.")
