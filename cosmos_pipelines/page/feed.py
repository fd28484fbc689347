"""The news of the project, pushed to every open page: one look at the catalog serves all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import CosmosError

LOOK_S: Final = 0.25
"""Seconds between two looks at the catalog while a page is open."""
ALIVE_S: Final = 15.0
"""Seconds after which a silent stream says that it is alive."""


class Feed:
    """Follows the catalog while somebody listens."""

    def __init__(self, api: CosmosAPI) -> None:
        self._api = api
        self._listeners: set[asyncio.Queue[str]] = set()
        self._following: asyncio.Task[None] | None = None
        self._trouble: str | None = None
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
        """Yield server-sent events until the page is closed.

        `change`: a list of {kind, id, deleted}. `trouble`: why the catalog cannot be read; `well`:
        it can be read again. The first event, `hello`, says that the stream has begun.
        """
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(queue)
        self._loop = asyncio.get_running_loop()
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())
        try:
            yield _event("hello", {})
            if self._trouble:
                yield _event("trouble", {"message": self._trouble})
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), ALIVE_S)
                except TimeoutError:
                    yield ": alive\n\n"
        finally:
            self._listeners.discard(queue)

    async def _follow(self) -> None:
        cursor: str | None = None
        while self._listeners:
            try:
                news = await asyncio.to_thread(self._api.changes, cursor)
            except CosmosError as e:
                self._tell_trouble(str(e))
            else:
                self._tell_trouble(None)
                cursor = news["cursor"]
                if news["changes"]:
                    self._tell(_event("change", news["changes"]))
            await asyncio.sleep(LOOK_S)

    def _tell_trouble(self, message: str | None) -> None:
        if message != self._trouble:
            self._trouble = message
            self._tell(_event("trouble", {"message": message}) if message else _event("well", {}))

    def _tell(self, event: str) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
