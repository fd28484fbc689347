"""What a new project makes on its first use, made once in a process and copied.

Held without a copy: by `tests/catalog/test_migrate.py`, `tests/test_at_once.py`, and by every test
that executes runs, as `make_project` copies the catalog alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sqlalchemy import make_url

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.settings import Settings


def lay_catalog(url: str) -> None:
    """Write an empty catalog to its place, if that is a file which is not there yet."""
    at = make_url(url)
    if at.get_backend_name() == "sqlite" and at.database and not Path(at.database).exists():
        Path(at.database).parent.mkdir(parents=True, exist_ok=True)
        Path(at.database).write_bytes(_catalog())


def lay_dagster(settings: Settings) -> None:
    """Write Dagster's directory without a record to its place, if it is not there yet."""
    if settings.postgres.url is None and not settings.dagster_dir.exists():
        for name, content in _dagster().items():
            file = settings.dagster_dir / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


@cache
def _catalog() -> bytes:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "cosmos.db"
        Catalog.open(f"sqlite:///{path}").close()
        return path.read_bytes()


@cache
def _dagster() -> Mapping[Path, bytes]:
    from cosmos_pipelines.resources.instance import open_instance

    with tempfile.TemporaryDirectory() as made:
        settings = Settings(home=Path(made))
        with open_instance(settings, captures=False):
            pass
        files = [path for path in settings.dagster_dir.rglob("*") if path.is_file()]
        return {path.relative_to(settings.dagster_dir): path.read_bytes() for path in files}
