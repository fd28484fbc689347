"""A PostgreSQL server that ends a connection at any moment of a statement, as at its restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from tests.catalog.rows import add_run

MOMENTS = ("begin", "before_cursor_execute", "after_cursor_execute", "commit")
WORK: dict[str, Callable[[Catalog, str], object]] = {
    "one SELECT": lambda catalog, _: catalog.newest_revision(),
    "several SELECTs": lambda catalog, run: catalog.get_run(run),
    "a change": lambda catalog, run: catalog.tag(run, add=["night"]),
}


@pytest.fixture
def catalog(postgres_url: str) -> Iterator[Catalog]:
    """A catalog with a run, on a real server."""
    with Catalog.open(postgres_url) as catalog:
        yield catalog


@contextmanager
def ended_at(catalog: Catalog, moment: str) -> Iterator[list[int]]:
    """Let the server end the connection at the first such moment; gives the ended ones."""
    admin = create_engine(catalog.url, isolation_level="AUTOCOMMIT")
    ended: list[int] = []

    def end(connection: Any, *_: object) -> None:
        if ended:
            return
        ended.append(connection.connection.dbapi_connection.info.backend_pid)
        with admin.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": ended[0]})

    event.listen(catalog.engine, moment, end)
    try:
        yield ended
    finally:
        event.remove(catalog.engine, moment, end)
        admin.dispose()


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_server_ends_a_connection_and_the_next_statement_has_another(
    catalog: Catalog, moment: str, work: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run = add_run(catalog)
    WORK[work](catalog, run.id)
    with ended_at(catalog, moment) as ended:
        try:
            WORK[work](catalog, run.id)
        except CosmosError as error:
            assert "was lost" in str(error)
        assert ended
    assert catalog.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    WORK[work](catalog, run.id)
    assert capfd.readouterr() == ("", "")
