"""The news of the project, pushed to every open page: one look at the catalog serves all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from loguru import logger

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import CosmosError

LOOK_S: Final = 0.25
"""Seconds between two looks at the catalog while a page is open."""
MOST_WAITING: Final = 1000
"""Events that are kept for a page that reads none; then its stream ends, and it reads all anew."""
ALIVE_S: Final = 15.0
"""Seconds after which a silent stream says that it is alive."""


class _Listener:
    """One open page: what it has not got yet, and what it was told of the catalog last."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()
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

    async def stream(self) -> AsyncIterator[str]:
        """Yield server-sent events until the page is closed or the server ends.

        The first event, `hello`, says that the stream has begun. `trouble`: why the catalog cannot
        be read; `well`: it can be read; one of both comes first, then where it changes. `change`: a
        list of {kind, id, deleted}.
        """
        listener = _Listener()
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
