"""The news of the project, pushed to every open page: one look at the catalog serves all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from loguru import logger

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import CosmosError, InputError

LOOK_S: Final = 0.25
"""Seconds between two looks at the catalog while a page is open."""
MOST_WAITING: Final = 1000
"""Events that are kept for a page that reads none; then its stream ends, and it reads all anew."""
ALIVE_S: Final = 15.0
"""Seconds after which a silent stream says that it is alive."""


class _Listener:
    """One open page: what it has not got yet, and what it was told of the catalog last."""

    def __init__(self, since: str | None) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.since = since
        """The catalog's cursor when the page was made, until all changes after it are told."""
        self.told: str | None = "nothing yet"

    def tell(self, event: str) -> None:
        """Keep an event until it is read; of a page that reads none, keep only the end."""
        if self.queue.qsize() >= MOST_WAITING:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None)
        else:
            self.queue.put_nowait(event)


class Feed:
    """Follows the catalog while somebody listens."""

    def __init__(self, api: CosmosAPI) -> None:
        self._api = api
        self._listeners: set[_Listener] = set()
        self._following: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def listening(self) -> bool:
        """Whether a page is open."""
        return bool(self._listeners)

    def tell(self, name: str, data: Any) -> None:
        """Push an event to every open page; any thread may do so."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, _event(name, data))

    async def stream(self, since: str | None = None) -> AsyncIterator[str]:
        """Yield server-sent events until the page is closed or the server ends.

        The first event, `hello`, says that the stream has begun; one more, that so much has changed
        that the page is to be read anew. `trouble`: why the catalog cannot be read; `well`: it can
        be read; one of both comes first, then where it changes. `change`: a list of {kind, id,
        deleted}, also of what has changed after `since`, the catalog's cursor when the page was
        made.
        """
        listener = _Listener(since)
        self._listeners.add(listener)
        self._loop = asyncio.get_running_loop()
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())
        try:
            yield _event("hello", {})
            while True:
                try:
                    event = await asyncio.wait_for(listener.queue.get(), ALIVE_S)
                except TimeoutError:
                    yield ": alive\n\n"
                    continue
                if event is None:
                    return
                yield event
        finally:
            self._listeners.discard(listener)

    def end(self) -> None:
        """End all streams: the server does not wait for pages that are open."""
        for listener in self._listeners:
            listener.queue.put_nowait(None)

    async def _follow(self) -> None:
        cursor: str | None = None
        while self._listeners:
            trouble = None
            try:
                news = await asyncio.to_thread(self._api.changes, cursor)
                await self._catch_up()
            except CosmosError as e:
                trouble = str(e)
            except Exception as e:  # noqa: BLE001 - the next look may be better
                logger.exception("The page cannot read what is new.")
                trouble = f"What is new cannot be read ({type(e).__name__}): see the server's log."
            else:
                cursor = news["cursor"]
                if news["changes"]:
                    self._tell(_event("change", news["changes"]))
            self._tell_trouble(trouble)
            await asyncio.sleep(LOOK_S)

    async def _catch_up(self) -> None:
        """Tell new pages what has changed while they were on their way to the browser.

        Called after a look at the catalog: what comes later, the next look finds for all pages.
        """
        for listener in [one for one in self._listeners if one.since is not None]:
            for event in await asyncio.to_thread(self._missed, listener.since):
                listener.tell(event)
            listener.since = None

    def _missed(self, since: str | None) -> list[str]:
        try:
            news = self._api.changes(since)
        except InputError:  # no cursor of ours: nobody knows what the page has
            return [_event("hello", {})]
        if not news["changes"]:
            return []
        more = self._api.changes(news["cursor"])["changes"]
        return [_event("hello", {}) if more else _event("change", news["changes"])]

    def _tell_trouble(self, trouble: str | None) -> None:
        event = _event("trouble", {"message": trouble}) if trouble else _event("well", {})
        for listener in self._listeners:
            if listener.told != trouble:
                listener.told = trouble
                listener.tell(event)

    def _tell(self, event: str) -> None:
        for listener in self._listeners:
            listener.tell(event)


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
