"""An empty project's page: for this machine alone, and for all that have its token."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.settings import Settings
from tests.support.review_page import review_page


class Behind:
    """What stands behind the guard in Dagster's place: counts what reaches it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        routes = [
            Route("/graphql", self._answer, methods=["GET", "POST"]),
            WebSocketRoute("/graphql", self._talk),
            Route("/{path:path}", self._answer),
        ]
        self.app = Starlette(routes=routes)

    async def _answer(self, request: Request) -> JSONResponse:
        self.reached.append(f"{request.method} {request.url.path}")
        return JSONResponse({"data": "yes"})

    async def _talk(self, socket: WebSocket) -> None:
        self.reached.append("websocket")
        await socket.accept(subprotocol="graphql-ws")
        await socket.send_json({"data": "yes"})
        await socket.close()


@pytest.fixture(scope="module")
def stands_behind() -> Behind:
    """What stands behind the guard of both pages."""
    return Behind()


@pytest.fixture
def behind(stands_behind: Behind) -> Behind:
    """The same, which nothing has reached in this test."""
    stands_behind.reached.clear()
    return stands_behind


@pytest.fixture(scope="module")
def page_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CosmosAPI]:
    """An empty project."""
    with CosmosAPI(settings=Settings(home=tmp_path_factory.mktemp("films"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def open_page(page_api: CosmosAPI, stands_behind: Behind) -> Iterator[str]:
    """A page of this machine alone."""
    with review_page(page_api, behind=stands_behind.app) as served:
        yield served


@pytest.fixture(scope="module")
def shut(page_api: CosmosAPI, stands_behind: Behind) -> Iterator[str]:
    """A page that other machines reach."""
    with review_page(page_api, behind=stands_behind.app, host="0.0.0.0") as served:
        yield served


def socket_opens(url: str, **headers: str) -> bool:
    """Whether Dagster's websocket can be opened."""
    try:
        address = f"{url.replace('http', 'ws', 1)}/graphql"
        with connect(address, additional_headers=headers, subprotocols=["graphql-ws"]) as opened:
            return json.loads(opened.recv()) == {"data": "yes"}
    except InvalidStatus as e:
        assert e.response.status_code == 403
        return False
