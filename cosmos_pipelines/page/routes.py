"""The routes of the review page, and of the pictures and videos that Dagster's page shows too."""

from __future__ import annotations

import functools
import gzip
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos_pipelines.errors import CosmosError, UnknownId
from cosmos_pipelines.page import strip
from cosmos_pipelines.page.screens import compare, log, order, prompts, queue, run, scenes, wall
from cosmos_pipelines.page.site import STATIC, Site

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Route

    from cosmos_pipelines.api.following import RunFile

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing that a prompt, a name or a log says can become a script, a style or a request."""

_SNIFFED = {"X-Content-Type-Options": "nosniff"}
KEPT = "private, max-age=31536000, immutable"


def routes(site: Site) -> list[BaseRoute]:
    """Return everything below /cosmos/; media is outside of what is compressed."""
    from starlette.responses import RedirectResponse
    from starlette.routing import Mount, Route

    return [
        Route("/cosmos", lambda _: RedirectResponse("/cosmos/")),
        *_media(site),
        Route("/cosmos/static/{version}/{path:path}", _static),
        Mount("/cosmos", _screens(site)),
    ]


def _screens(site: Site) -> Starlette:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def events(_: Request) -> Response:
        return StreamingResponse(site.feed.stream(), media_type="text/event-stream")

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, CosmosError)
        return _refusal(site, request, error)

    modules = (wall, compare, run, log, prompts, order, scenes, queue, strip)
    found = [route for module in modules for route in module.routes(site)]
    return Starlette(
        routes=[Route("/events", events), *found],
        middleware=[Middleware(GZipMiddleware, minimum_size=1024), Middleware(_Policy)],
        exception_handlers={CosmosError: failed},
    )


class _Policy:
    """Adds the headers of a page that runs nothing but its own files."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", CSP.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"same-origin"),
                ]
            await send(message)

        await self.app(scope, receive, with_headers)


def _refusal(site: Site, request: Request, error: CosmosError) -> Response:
    """Say an error as JSON where a script asked, as a line where a part of a page was asked for."""
    from starlette.responses import JSONResponse

    bad_input = error.exit_code == 2
    status = 404 if isinstance(error, UnknownId) else 400 if bad_input else 409
    if error.exit_code == 1:
        status = 503
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"error": error.message, "hint": error.hint}, status)
    part = request.headers.get("hx-request") == "true"
    template = "parts/refusal.html" if part else "refusal.html"
    return site.render(request, template, status=status, error=error.message, hint=error.hint)


def _media(site: Site) -> list[Route]:
    from starlette.routing import Route

    def run_file(what: RunFile) -> Any:
        return lambda request: _file(site.api.file_of_run(request.path_params["run_id"], what))

    def scene_picture(request: Request) -> Response:
        return _file(site.api.picture_of_scene(request.path_params["key"]))

    return [
        Route("/cosmos/preview/run/{run_id}.webp", run_file("preview")),
        Route("/cosmos/still/run/{run_id}.jpg", run_file("thumbnail")),
        Route("/cosmos/preview/scene/{key:path}.webp", scene_picture),
        Route("/cosmos/video/{run_id}.mp4", run_file("video")),
    ]


def _file(path: Path | None) -> Response:
    from starlette.responses import FileResponse, PlainTextResponse

    if path is None:
        return PlainTextResponse("There is no such file.", status_code=404)
    kept = {**_SNIFFED, "Cache-Control": "private, max-age=60"}
    return FileResponse(path, headers=kept)


def _static(request: Request) -> Response:
    from starlette.responses import PlainTextResponse, Response

    path = (STATIC / request.path_params["path"]).resolve()
    if not path.is_relative_to(STATIC) or not path.is_file():
        return PlainTextResponse("There is no such file.", status_code=404)
    kind = "text/javascript" if path.suffix in (".js", ".mjs") else mimetypes.guess_type(path)[0]
    headers = {**_SNIFFED, "Cache-Control": KEPT, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(_compressed(path), media_type=kind, headers=headers)
    return Response(path.read_bytes(), media_type=kind, headers=headers)


@functools.cache
def _compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9)
