"""The review page of a real project on a real port, in a thread: without Dagster and its daemon."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.page.access import access_of
from cosmos_pipelines.page.server import application, server_of
from tests.support import web
from tests.support.waiting import LONG_S, until


def visitor(url: str) -> httpx.Client:
    """A client that may change what is below /cosmos/, as a page of this server may."""
    client = web.client(base_url=url, headers={"Origin": url})
    page = client.get("/cosmos/compare").text
    client.headers["X-Cosmos-Token"] = page.split('name="cosmos-token" content="')[1].split('"')[0]
    return client


@contextmanager
def review_page(
    api: CosmosAPI,
    *,
    behind: ASGIApp | None = None,
    alone: bool = False,
    host: str = "127.0.0.1",
) -> Iterator[str]:
    """Serve the page of a project; yield its URL on this machine.

    `behind`: what stands in Dagster's place. `alone`: nothing does, as with `--without-dagster`.
    """
    with socket.socket() as listening:
        listening.bind((host, 0))
        port = listening.getsockname()[1]
        access = access_of(api.settings, host, port)
        server = server_of(
            application(api, None if alone else behind or Starlette(), access=access)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started, "the page")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(LONG_S)
