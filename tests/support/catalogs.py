"""Catalogs on both databases. A migration takes a third of a second: most tests get a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from cosmos_pipelines.catalog import Catalog
from tests.support.postgres import fresh_database

BOTH = ["sqlite", "postgresql"]


@pytest.fixture(params=BOTH)
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database without tables: an SQLite file, then one in PostgreSQL."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'outputs' / 'cosmos.db'}"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty catalog's file."""
    path = tmp_path_factory.mktemp("template") / "cosmos.db"
    Catalog.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Name of a database that holds an empty catalog."""
    with fresh_database(postgres_server) as url:
        Catalog.open(url).close()
        yield str(make_url(url).database)


@pytest.fixture(params=BOTH)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog, on both databases in turn."""
    if request.param == "sqlite":
        path = tmp_path / "outputs" / "cosmos.db"
        path.parent.mkdir()
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        with Catalog.open(f"sqlite:///{path}") as opened:
            yield opened
        return
    server, template = map(request.getfixturevalue, ("postgres_server", "postgres_template"))
    with fresh_database(server, template) as url, Catalog.open(url) as opened:
        yield opened
