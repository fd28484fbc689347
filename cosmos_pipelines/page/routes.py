"""The routes of the review page, and of the pictures and videos that Dagster's page shows too."""

from __future__ import annotations

import functools
import gzip
import mimetypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos_pipelines.errors import UnknownId
from cosmos_pipelines.page import strip
from cosmos_pipelines.page.screens import (
    actions,
    compare,
    log,
    order,
    prompts,
    queue,
    queue_order,
    run,
    scenes,
    wall,
)
from cosmos_pipelines.page.site import STATIC, Site, is_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cosmos_pipelines.api.following import RunFile

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing that a prompt, a name or a log says can become a script, a style or a request."""

HEADERS = {
    "Content-Security-Policy": CSP,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
KEPT = "private, max-age=31536000, immutable"


def routes(site: Site) -> list[BaseRoute]:
    """Return everything below /cosmos/; media is outside of what is compressed."""
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import RedirectResponse
    from starlette.routing import Mount, Route

    return [
        Route("/cosmos", lambda _: RedirectResponse("/cosmos/")),
        *_media(site),
        Route("/cosmos/static/{version}/{path:path}", _static),
        Mount(
            "/cosmos",
            routes=_screens(site),
            middleware=[
                Middleware(GZipMiddleware, minimum_size=1024),
                Middleware(Since, newest=site.newest),
            ],
        ),
    ]


def elsewhere(site: Site) -> Route:
    """Return what answers all other paths where Dagster's page is not served here."""
    from starlette.exceptions import HTTPException
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    def leave(request: Request) -> Response:
        if request.url.path == "/":
            return RedirectResponse("/cosmos/")
        if site.dagster is None:
            raise HTTPException(404)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{site.dagster}{request.url.path}{query}")

    return Route("/{path:path}", leave)


def _screens(site: Site) -> list[Route]:
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def events(request: Request) -> Response:
        stream = site.feed.stream(request.query_params.get("since"))
        return StreamingResponse(stream, media_type="text/event-stream")

    modules = (actions, wall, compare, run, log, prompts, order, scenes, queue, queue_order, strip)
    found = [route for module in modules for route in module.routes(site)]
    return [Route("/events", events), *found]


class Since:
    """Notes the catalog's cursor before a page is made: its stream tells what changes after it."""

    def __init__(self, app: ASGIApp, newest: Callable[[], str | None]) -> None:
        self.app = app
        self.newest = newest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request; that of a whole page has `since` in its state."""
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import Request

        if scope["type"] == "http" and is_page(Request(scope)):
            scope.setdefault("state", {})["since"] = await run_in_threadpool(self.newest)
        await self.app(scope, receive, send)


class Policy:
    """Adds the headers of a page that runs nothing but its own files to all below /cosmos."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, and its answer with these headers where they are missing."""
        from starlette.datastructures import MutableHeaders

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        ours = scope["type"] == "http" and f"{scope['path']}/".startswith("/cosmos/")
        await self.app(scope, receive, with_headers if ours else send)


def _media(site: Site) -> list[Route]:
    from starlette.routing import Route

    def run_file(what: RunFile) -> Any:
        return lambda request: _file(site.api.file_of_run(request.path_params["run_id"], what))

    def scene_picture(request: Request) -> Response:
        return _file(site.api.picture_of_scene(request.path_params["key"]))

    def scene_video(request: Request) -> Response:
        try:
            return _file(site.api.video_of_pass(request.path_params["name"]))
        except UnknownId:
            return _file(None)

    return [
        Route("/cosmos/preview/run/{run_id}.webp", run_file("preview")),
        Route("/cosmos/still/run/{run_id}.jpg", run_file("thumbnail")),
        Route("/cosmos/preview/scene/{key:path}.webp", scene_picture),
        Route("/cosmos/video/{run_id}.mp4", run_file("video")),
        Route("/cosmos/scene/{name:path}.mp4", scene_video),
    ]


def _file(path: Path | None) -> Response:
    from starlette.responses import FileResponse, PlainTextResponse

    if path is None:
        return PlainTextResponse("There is no such file.", status_code=404)
    return FileResponse(path, headers={"Cache-Control": "private, max-age=60"})


@functools.cache
def _files() -> Mapping[str, Path]:
    """The static files by their paths in an address."""
    found = (path for path in STATIC.rglob("*") if path.is_file())
    return {path.relative_to(STATIC).as_posix(): path for path in found}


def _static(request: Request) -> Response:
    from starlette.responses import PlainTextResponse, Response

    path = _files().get(request.path_params["path"])
    if path is None:
        return PlainTextResponse("There is no such file.", status_code=404)
    kind = "text/javascript" if path.suffix in (".js", ".mjs") else mimetypes.guess_type(path)[0]
    headers = {"Cache-Control": KEPT, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(_compressed(path), media_type=kind, headers=headers)
    return Response(path.read_bytes(), media_type=kind, headers=headers)


@functools.cache
def _compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9)
