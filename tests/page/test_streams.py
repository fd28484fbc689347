"""Streams of the page end where they should, and keep nothing for those who do not read."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx

from cosmos_pipelines.page.feed import MOST_WAITING, Feed
from tests.page.conftest import Gallery


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


def test_the_log_of_a_run_that_is_deleted_ends_without_an_error(gallery: Gallery) -> None:
    run = gallery.api.create_run(gallery.prompts["noon"])["id"]
    address = f"{gallery.url}/cosmos/log/{run}/follow?offset=0"
    with httpx.stream("GET", address, timeout=10) as answer:
        gallery.api.delete_run(run)
        assert (answer.status_code, answer.read()) == (200, b"")
    assert httpx.get(address).status_code == 404
