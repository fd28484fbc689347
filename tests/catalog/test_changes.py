from __future__ import annotations

import threading

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.errors import InputError
from tests.catalog.rows import add_prompt, add_run


def test_changes_come_in_order_each_row_once_as_it_is_now(catalog: Catalog) -> None:
    catalog.put_scene("city", "/in/city", "d", {}, None)
    prompt = add_prompt(catalog)
    run = add_run(catalog, prompt_id=prompt.id)
    catalog.rate(run.id, 3)
    catalog.put_scene("city", "/in/city", "d2", {}, None)
    changes, cursor = catalog.changes_since(None)
    assert [(change.kind, change.id) for change in changes] == [
        ("prompt", prompt.id),
        ("run", run.id),
        ("scene", "city"),
    ]
    assert changes[1].row == catalog.get_run(run.id)
    assert catalog.changes_since(cursor) == ([], cursor)
    catalog.tag(run.id, add=["new"])
    assert [change.id for change in catalog.changes_since(cursor)[0]] == [run.id]


def test_pages_of_changes_lose_nothing(catalog: Catalog) -> None:
    made = [add_run(catalog).id for _ in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(5):
        changes, cursor = catalog.changes_since(cursor, limit=2)
        seen += [change.id for change in changes]
    assert seen == made


def test_a_cursor_from_a_lost_future_starts_over(catalog: Catalog) -> None:
    run = add_run(catalog)
    assert [change.id for change in catalog.changes_since("999999")[0]] == [run.id]


@pytest.mark.parametrize("cursor", ["x", "-1", "", "1.5", "٣", "9" * 30])
def test_a_cursor_that_is_none_is_refused(catalog: Catalog, cursor: str) -> None:
    with pytest.raises(InputError, match="not a cursor"):
        catalog.changes_since(cursor)


def test_a_follower_misses_nothing_that_writers_write_meanwhile(catalog: Catalog) -> None:
    made: list[str] = []
    done = threading.Event()

    def write() -> None:
        for _ in range(15):
            made.append(add_run(catalog).id)

    seen: set[str] = set()

    def follow() -> None:
        cursor: str | None = None
        while True:
            last = done.is_set()
            changes, cursor = catalog.changes_since(cursor, limit=3)
            seen.update(change.id for change in changes)
            if last and not changes:
                return

    writers = [threading.Thread(target=write) for _ in range(4)]
    follower = threading.Thread(target=follow)
    for thread in (follower, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    follower.join()
    assert len(made) == 60
    assert seen == set(made)
