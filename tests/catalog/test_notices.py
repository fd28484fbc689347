"""What people are told: each thing once, also by several processes and after a restart."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.notices import Notice
from cosmos_pipelines.catalog.records import utc_now
from tests.catalog.rows import add_run, fail

NONE = timedelta()
HOUR = timedelta(hours=1)


def notice(key: str, at: datetime | None = None) -> Notice:
    return Notice(key, "failed", f"{key} failed", at or utc_now())


def taken(catalog: Catalog, every: timedelta = NONE, gathered: timedelta = NONE) -> list[str]:
    return [one.key for one in catalog.take_notices(every=every, gathered=gathered)]


def test_the_same_thing_is_told_once_however_often_it_is_seen(catalog: Catalog) -> None:
    catalog.add_notices([notice("a"), notice("b")])
    catalog.add_notices([notice("b")])
    assert taken(catalog) == ["a", "b"]
    catalog.add_notices([notice("a"), notice("c")])
    assert taken(catalog) == ["c"]
    assert taken(catalog) == []


def test_of_two_processes_one_tells_it(catalog: Catalog) -> None:
    with Catalog.open(catalog.url.render_as_string(hide_password=False)) as other:
        other.add_notices([notice("a")])
        assert [taken(catalog), taken(other)] == [["a"], []]


def test_after_a_message_the_next_one_waits_and_has_all_that_came_meanwhile(
    catalog: Catalog,
) -> None:
    catalog.add_notices([notice("a")])
    assert taken(catalog, HOUR) == ["a"]
    catalog.add_notices(notice(str(n)) for n in range(40))
    assert taken(catalog, HOUR) == []
    assert catalog.count_untold() == 40
    assert len(taken(catalog)) == 40


def test_the_first_thing_waits_for_what_comes_with_it(catalog: Catalog) -> None:
    catalog.add_notices([notice("a")])
    assert taken(catalog, gathered=HOUR) == []
    catalog.add_notices([notice("b", utc_now() - 2 * HOUR)])
    assert taken(catalog, gathered=HOUR) == ["b", "a"]


def test_what_nobody_has_taken_is_told_the_next_time(catalog: Catalog) -> None:
    catalog.add_notices([notice("a")])
    found = catalog.take_notices(every=HOUR, gathered=NONE)
    catalog.give_back_notices(found)
    assert catalog.last_told() is None
    assert catalog.take_notices(every=HOUR, gathered=NONE) == found


def test_what_waited_for_days_is_no_news(catalog: Catalog) -> None:
    catalog.add_notices([notice("old", utc_now() - timedelta(days=3)), notice("new")])
    assert taken(catalog) == ["new"]


def test_what_goes_on_is_told_when_it_begins_and_when_it_ends(catalog: Catalog) -> None:
    assert catalog.open_notice("host:gpu1", "host_away", "gpu1 is away")
    assert not catalog.open_notice("host:gpu1", "host_away", "gpu1 is still away")
    assert set(catalog.open_notices("host_away")) == {"host:gpu1"}
    assert taken(catalog) == ["host:gpu1"]
    assert catalog.close_notice("host:gpu1", "gpu1 answers again")
    assert not catalog.close_notice("host:gpu1", "gpu1 answers again")
    assert [n.said for n in catalog.take_notices(every=NONE, gathered=NONE)] == [
        "gpu1 answers again"
    ]
    assert catalog.open_notice("host:gpu1", "host_away", "gpu1 is away again")
    assert taken(catalog) == ["host:gpu1"]


def test_what_is_not_to_be_told_is_remembered_nevertheless(catalog: Catalog) -> None:
    assert catalog.open_notice("queue", "queue_empty", "at work", told=False)
    assert taken(catalog) == []
    assert not catalog.open_notice("queue", "queue_empty", "at work")
    assert catalog.close_notice("queue")
    assert taken(catalog) == []


def test_each_ended_run_is_found_once_by_its_revision(catalog: Catalog) -> None:
    fail(catalog, add_run(catalog), order="od_0")
    at = catalog.newest_revision()
    runs = [fail(catalog, add_run(catalog), order=f"od_{n}", message="x\x00y") for n in range(5)]
    add_run(catalog)
    found: list[str] = []
    for _ in range(4):
        some, at = catalog.ended_after(at, 2)
        found += [one.run_id for one in some]
    assert found == [run.id for run in runs]
    assert catalog.ended_after(at + 10**6, 2)[0] == []


@given(steps=st.lists(st.sampled_from(["see", "take", "restart", "undelivered"]), max_size=30))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_happens_nothing_is_told_twice_and_nothing_forgotten(
    catalog: Catalog, steps: list[str]
) -> None:
    base = catalog.newest_revision()
    seen = told = 0
    for step in steps:
        if step == "see":
            catalog.add_notices([notice(f"{base}.{seen}")])
            seen += 1
        elif step == "restart":  # it looks at all of it again
            catalog.add_notices(notice(f"{base}.{n}") for n in range(seen))
        else:
            found = catalog.take_notices(every=NONE, gathered=NONE)
            if step == "undelivered" and found:
                catalog.give_back_notices(found)
            else:
                assert {n.key for n in found} == {f"{base}.{n}" for n in range(told, seen)}
                told = seen
    assert len(taken(catalog)) == seen - told
