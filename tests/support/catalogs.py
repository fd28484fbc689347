"""Catalogs on both databases. A migration takes a third of a second: most tests get a copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from cosmos_pipelines.catalog import Catalog
from tests.support.postgres import fresh_database
from tests.support.templates import lay_catalog

BOTH = ["sqlite", "postgresql"]


@pytest.fixture(params=BOTH)
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database without tables: an SQLite file, then one in PostgreSQL."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'outputs' / 'cosmos.db'}"


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Name of a database that holds an empty catalog."""
    with fresh_database(postgres_server) as url:
        Catalog.open(url).close()
        yield str(make_url(url).database)


@contextmanager
def empty_catalog(request: pytest.FixtureRequest, directory: Path) -> Iterator[Catalog]:
    """An empty catalog on the database that is the fixture's parameter; SQLite's file below."""
    if request.param == "sqlite":
        url = f"sqlite:///{directory / 'outputs' / 'cosmos.db'}"
        lay_catalog(url)
        with Catalog.open(url) as opened:
            yield opened
        return
    server, template = map(request.getfixturevalue, ("postgres_server", "postgres_template"))
    with fresh_database(server, template) as url, Catalog.open(url) as opened:
        yield opened


@pytest.fixture(params=BOTH)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog, on both databases in turn."""
    with empty_catalog(request, tmp_path) as opened:
        yield opened
