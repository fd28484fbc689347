"""A lease that is kept, whatever happens to the catalog for a moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pytest

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.runs import lease
from tests.rig.machine import until
from tests.support.dagster_project import add_run
from tests.support.project import Project


class Locked(Catalog):
    """A catalog that is locked when a lease is to be renewed for the first time."""

    asked = 0

    def renew(
        self,
        run_ids: Iterable[str],
        owner: str,
        lease_s: float = 30,
        *,
        now: datetime | None = None,
    ) -> int:
        """Renew, but not at first."""
        self.asked += 1
        if self.asked == 1:
            raise CosmosError("The catalog is locked.")
        return super().renew(run_ids, owner, lease_s, now=now)


def test_a_lease_is_renewed_after_the_catalog_was_locked_for_a_moment(
    staged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_S", 0.6)
    run = add_run(staged, "works")
    with Locked.open(staged.settings.catalog_url) as catalog:
        claimed = catalog.claim(run.id, "me", lease_s=0.6)
        held = lease.Lease(catalog, "me")
        with held.keep([run.id]):
            until(lambda: catalog.asked >= 4, "the next renewals")
            left = catalog.get_run(run.id).leased_until
        assert left is not None
        assert claimed is not None and claimed.leased_until is not None
        assert left > claimed.leased_until
