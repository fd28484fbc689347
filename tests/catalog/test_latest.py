"""`latest` stands for the newest run."""

from __future__ import annotations

import pytest

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import UnknownId


def test_latest_is_the_newest_run_of_all_or_of_an_operation(catalog: Catalog) -> None:
    first = catalog.add_run("transfer", "preview", "local", {})
    second = catalog.add_run("upscale", "preview", "local", {})
    assert catalog.get_run("latest").id == second.id
    assert catalog.get_run("latest-transfer").id == first.id


def test_latest_of_none_is_unknown(catalog: Catalog) -> None:
    with pytest.raises(UnknownId, match="latest-enhance"):
        catalog.get_run("latest-enhance")
