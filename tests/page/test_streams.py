"""Streams of the page end where they should, and keep nothing for those who do not read."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from cosmos_pipelines.page.feed import MOST_WAITING, Feed
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.many_runs import copy_run


def test_a_page_that_reads_no_news_keeps_no_memory_and_begins_anew(gallery: Gallery) -> None:
    async def slow_page() -> list[str]:
        feed = Feed(gallery.api)
        stream = feed.stream()
        first = await anext(stream)
        for number in range(3 * MOST_WAITING):
            feed.tell("job", {"id": number})
            if number % 100 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        read = [first, *[event async for event in stream]]
        assert not feed.listening
        return read

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests has a loop in this one
        read = thread.submit(asyncio.run, slow_page()).result()
    assert read[0].startswith("event: hello")
    assert len(read) <= MOST_WAITING + 1


def told(gallery: Gallery, since: str, until: str) -> list[str]:
    """The names of the events of a stream up to the first of a name."""
    names: list[str] = []
    address = f"{gallery.url}/cosmos/events?since={since}"
    with web.stream("GET", address) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
                if names[-1] == until:
                    return names
    raise AssertionError(names)


def test_a_page_is_told_what_has_changed_since_it_was_made(gallery: Gallery) -> None:
    now = gallery.api.changes()["cursor"]
    gallery.api.rate(gallery.videos["noon", "soft"], 4)
    assert told(gallery, now, "well") == ["hello", "change", "well"]
    assert told(gallery, gallery.api.changes()["cursor"], "well") == ["hello", "well"]


@pytest.mark.parametrize("since", ["", "no", "-1", "9" * 40, "²"], ids=range(5))
def test_a_page_whose_cursor_nobody_knows_reads_all_anew(gallery: Gallery, since: str) -> None:
    assert told(gallery, since, "well") == ["hello", "hello", "well"]


def test_a_page_that_missed_very_much_reads_all_anew(gallery: Gallery) -> None:
    now = gallery.api.changes()["cursor"]
    run = gallery.api.catalog.get_run(gallery.videos["noon", "soft"])
    copy_run(gallery.api.catalog, run, 501, request_key=None)
    assert told(gallery, now, "well") == ["hello", "hello", "well"]


def test_the_log_of_a_run_that_is_deleted_ends_without_an_error(gallery: Gallery) -> None:
    run = gallery.api.create_run(gallery.prompts["noon"])["id"]
    address = f"{gallery.url}/cosmos/log/{run}/follow?offset=0"
    with web.stream("GET", address) as answer:
        gallery.api.delete_run(run)
        assert (answer.status_code, answer.read()) == (200, b"")
    assert web.get(address).status_code == 404
