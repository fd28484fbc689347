"""Copy the catalog to one file while other processes read and write the catalog."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, InputError
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
            _copy(catalog, part, path)
            size = part.stat().st_size
    except FileExistsError:
        raise _exists(path) from None
    return size


def _copy(catalog: Catalog, part: Path, path: Path) -> None:
    try:
        with catalog.engine.execution_options(cosmos_begin="").connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(part),))
    except CosmosError as e:
        raise type(e)(f"{path} cannot be written: {e.message}", hint=e.hint) from e


def _exists(path: Path) -> InputError:
    return InputError(f"{path} exists already.", hint="Name a new file.")
