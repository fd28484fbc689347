"""The log of a run: which logs it has, pieces of them by offset, and what is added, as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.errors import CosmosError, InputError, shown
from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

FOLLOWERS: Final = 64
"""Pages that can follow a log at once; each has a thread, which waits most of the time."""
_BYTES: Final = "application/octet-stream"
_AS_IS: Final = {"Content-Encoding": "identity", "Cache-Control": "no-store"}
"""Nothing is compressed on its way, since a compressor keeps a line back until it has more."""


def routes(site: Site) -> list[Route]:
    """Return the routes of logs, below /cosmos."""
    from starlette.responses import FileResponse, JSONResponse, StreamingResponse
    from starlette.responses import Response as Plain
    from starlette.routing import Route

    threads = ThreadPoolExecutor(FOLLOWERS, thread_name_prefix="log")

    def logs(request: Request) -> Response:
        return JSONResponse(site.api.logs_of_run(_run(request)) | {"rules": site.api.log_rules()})

    def index(request: Request) -> Response:
        return JSONResponse(site.api.log_index(_run(request), _name(request)))

    def piece(request: Request) -> Response:
        offset, size = _number(request, "offset"), _number(request, "size")
        found = site.api.log_range(_run(request), _name(request), offset, size)
        headers = {"X-Log-Size": str(found["size"]), "X-Log-Generation": str(found["generation"])}
        return Plain(found["data"], media_type=_BYTES, headers=_AS_IS | headers)

    def follow(request: Request) -> Response:
        generation = _number(request, "generation") or None
        growth = site.api.log_growth(_run(request), _number(request, "offset"), generation)
        return StreamingResponse(_pushed(growth, threads), media_type=_BYTES, headers=_AS_IS)

    def download(request: Request) -> Response:
        path = site.api.log_path(_run(request), _name(request))
        return FileResponse(path, filename=f"{_run(request)}.{_name(request)}", media_type=_BYTES)

    return [
        Route("/log/{run_id}", logs),
        Route("/log/{run_id}/follow", follow),
        Route("/log/{run_id}/{name}", download),
        Route("/log/{run_id}/{name}/index", index),
        Route("/log/{run_id}/{name}/range", piece),
    ]


async def _pushed(growth: Iterator[bytes], threads: ThreadPoolExecutor) -> AsyncIterator[bytes]:
    """Yield pieces as they come; each wait is in a thread, and ends in a moment.

    A run that is deleted meanwhile, and a catalog that is away, end it: who asks again is told.
    """
    while True:
        waiting = threads.submit(next, growth, None)
        try:
            piece = await asyncio.wrap_future(waiting)
        except CosmosError:
            return
        if piece is None:
            return
        if piece:
            yield piece


def _run(request: Request) -> str:
    return str(request.path_params["run_id"])


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _number(request: Request, name: str) -> int:
    """A number of the query; 0 if it is not there. Raises InputError."""
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InputError(f"{name} is a number, not {shown(text)}.")
    return int(text)
