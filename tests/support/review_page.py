"""The review page of a real project on a real port, in a thread: without Dagster and its daemon."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.page.server import application
from tests.support.waiting import LONG_S, until


@contextmanager
def review_page(api: CosmosAPI) -> Iterator[str]:
    """Serve the page of a project; yield its URL."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = application(api, Starlette())
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started, "the page")
            yield url
        finally:
            server.should_exit = True
            thread.join(LONG_S)
