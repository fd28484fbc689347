"""A copy of the catalog in one file, taken while others go on reading and writing."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.catalog.database import copy_into
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.files import writing


def backup(catalog: Catalog, path: Path) -> int:
    """Copy an SQLite catalog to a new file that appears when it is complete; returns its bytes.

    Raises:
        InputError: the file exists, its directory does not, or the catalog is in PostgreSQL.
        DiskFull: no room for it.
        CosmosError: it cannot be written there.
    """
    if not catalog.sqlite:
        raise InputError(
            "A catalog in PostgreSQL is not copied from here.", hint="Use `pg_dump` on its server."
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
