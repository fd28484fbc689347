"""A connection to the catalog's server that breaks at whatever moment is told; another is made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from sqlalchemy import event

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from tests.support.postgres import running_server, stopped


def several(catalog: Catalog) -> None:
    with catalog.read():
        catalog.list_runs()


def changed(catalog: Catalog) -> None:
    with catalog.write() as tx:
        tx.revision()


@pytest.mark.parametrize("use", [Catalog.list_prompts, several, changed])
def test_a_server_that_ends_when_its_connection_is_given_back_is_told_as_any_that_ends(
    use: Callable[[Catalog], object],
) -> None:
    with running_server() as server, Catalog.open(server) as catalog, ExitStack() as ended:
        use(catalog)
        times: list[int] = []

        def end(*_: object) -> None:
            times.append(1)
            if len(times) == 1:
                ended.enter_context(stopped(server))

        event.listen(catalog.engine, "reset", end)
        try:
            use(catalog)
        except CosmosError as e:
            assert "was lost: " in str(e)
        assert times
        ended.close()
        use(catalog)
