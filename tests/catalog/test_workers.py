"""Signs of life of those who work on the queue."""

from __future__ import annotations

from datetime import timedelta

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.records import utc_now
from cosmos_pipelines.catalog.tables import workers
from cosmos_pipelines.catalog.workers import SIGN_S


def test_a_worker_is_told_from_its_first_sign_of_life_to_its_end(catalog: Catalog) -> None:
    catalog.sign_on("one", "ada@studio", "studio")
    catalog.sign_on("two", "bob@laptop", "laptop")
    first = catalog.list_workers()[0]
    catalog.sign_on("one", "ada@studio", "studio")
    one, two = catalog.list_workers()
    assert (one.owner, one.person, one.machine) == ("one", "ada@studio", "studio")
    assert one.began_at == first.began_at
    assert one.seen_at > first.seen_at
    assert two.owner == "two"
    catalog.sign_off("one")
    catalog.sign_off("nobody")
    assert [worker.owner for worker in catalog.list_workers()] == ["two"]


def test_an_old_sign_is_no_sign_of_life_and_is_removed_by_the_next_one(catalog: Catalog) -> None:
    catalog.sign_on("dead", "ada@studio", "studio")
    with catalog.write() as tx:
        old = tx.now - timedelta(seconds=SIGN_S)
        tx.connection.execute(workers.update().values(seen_at=old))
    assert catalog.list_workers() == []
    assert catalog.list_workers(utc_now() - timedelta(seconds=5)) != []
    catalog.sign_on("next", "bob@laptop", "laptop")
    assert [one.owner for one in catalog.list_workers(utc_now() - timedelta(seconds=5))] == ["next"]
