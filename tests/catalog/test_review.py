from __future__ import annotations

import pytest
from sqlalchemy import event

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.new_run import new_run
from cosmos_pipelines.errors import InputError
from tests.catalog.rows import OWNER, add_run, complete

NOBODY = "rs_" + "0" * 32


def many(catalog: Catalog, number: int) -> list[str]:
    rows = [new_run("transfer", "preview", "local", {"seed": n}) for n in range(number)]
    return [run.id for run in catalog.add_runs(rows)]


def test_a_thousand_runs_are_rated_in_one_transaction_and_each_is_news(catalog: Catalog) -> None:
    ids = many(catalog, 1000)
    begun: list[str] = []
    cursor = str(catalog.newest_revision())
    event.listen(catalog.engine, "commit", lambda _: begun.append("commit"))
    marked = catalog.rate_runs([*ids, NOBODY], 4)
    assert begun == ["commit", "commit"]  # 1,001 ids
    assert {run.rating for run in catalog.list_runs(limit=None)} == {4}
    assert [*marked.failed] == [NOBODY]
    changes, _ = catalog.changes_since(cursor, limit=2000)
    assert {change.id for change in changes} == {*ids}
    assert len({change.revision for change in changes}) == 1000


def test_what_does_not_change_a_run_is_no_news(catalog: Catalog) -> None:
    run = add_run(catalog, tags=["night"])
    cursor = str(catalog.newest_revision())
    assert catalog.tag_runs([run.id], add=["Night"]).steps == {}
    assert catalog.changes_since(cursor)[0] == []


def test_a_change_of_many_runs_is_taken_back_to_what_each_had(catalog: Catalog) -> None:
    ids = many(catalog, 3)
    catalog.rate(ids[0], 5)
    catalog.tag(ids[1], ["night"])
    before = {run.id: (run.rating, run.tags) for run in catalog.list_runs()}
    rated = catalog.rate_runs(ids, 2)
    tagged = catalog.tag_runs(ids, ["night", "hero"])
    for marked in (tagged, rated):
        assert catalog.take_back([*marked.steps.values()]).failed == {}
    assert {run.id: (run.rating, run.tags) for run in catalog.list_runs()} == before


def test_what_another_has_changed_since_is_not_taken_back(catalog: Catalog) -> None:
    mine, theirs = many(catalog, 2)
    steps = [*catalog.rate_runs([mine, theirs], 2).steps.values()]
    catalog.rate(theirs, 5)
    undone = catalog.take_back(steps)
    assert [*undone.failed] == [theirs]
    assert "changed again" in str(undone.failed[theirs])
    assert [catalog.get_run(run_id).rating for run_id in (mine, theirs)] == [None, 5]


def test_a_run_is_picked_or_rejected_but_never_both(catalog: Catalog) -> None:
    (run_id,) = many(catalog, 1)
    assert catalog.tag(run_id, ["picked", "night"]).tags == ["night", "picked"]
    marked = catalog.tag_runs([run_id], ["Rejected"])
    assert catalog.get_run(run_id).tags == ["night", "rejected"]
    catalog.take_back([*marked.steps.values()])
    assert catalog.get_run(run_id).tags == ["night", "picked"]
    for add in (catalog.tag, lambda i, t: catalog.tag_runs([i], t)):
        with pytest.raises(InputError, match="not both"):
            add(run_id, ["picked", "rejected"])
    with pytest.raises(InputError, match="not both"):
        add_run(catalog, tags=["picked", "rejected"])


def test_known_tags_are_those_that_runs_have(catalog: Catalog) -> None:
    run = add_run(catalog, tags=["night", "city"])
    add_run(catalog, tags=["night"])
    assert catalog.known_tags() == ["city", "night"]
    catalog.tag(run.id, remove=["city"])
    assert catalog.known_tags() == ["night"]


def test_only_runs_that_wait_are_cancelled_together(catalog: Catalog) -> None:
    waiting, ended, begun = add_run(catalog), complete(catalog, add_run(catalog)), add_run(catalog)
    assert catalog.claim(begun.id, OWNER)
    about_to_start = add_run(catalog, lease=OWNER)
    cursor = str(catalog.newest_revision())
    ids = [waiting.id, ended.id, begun.id, about_to_start.id, NOBODY]
    assert catalog.cancel_queued(ids) == {waiting.id}
    gone = catalog.get_run(waiting.id)
    assert (gone.status, gone.error_kind) == ("cancelled", "cancelled")
    assert gone.completed_at is not None
    assert catalog.get_run(begun.id).status == "uploading"
    assert [change.id for change in catalog.changes_since(cursor)[0]] == [waiting.id]
