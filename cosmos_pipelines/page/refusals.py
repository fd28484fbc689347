"""What the page answers where it cannot do what was asked: one line, in the form of the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cosmos_pipelines.errors import CatalogAway, CosmosError, UnknownId
from cosmos_pipelines.foreign import as_text
from cosmos_pipelines.page.routes import HEADERS
from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def handlers(site: Site) -> Mapping[Any, Any]:
    """Return what answers an error of a route, by the kind of the error."""
    from starlette.exceptions import HTTPException

    def failed(request: Request, error: CosmosError) -> Response:
        return _refusal(site, request, _status(error), error.message, error.hint)

    def unrouted(request: Request, error: HTTPException) -> Response:
        missing = error.status_code == 404
        said = "There is no such page." if missing else f"{error.detail}."
        return _refusal(site, request, error.status_code, said, None)

    def unexpected(request: Request, _: Exception) -> Response:  # the server logs the traceback
        said = "The server has failed at this."
        hint = "What happened is in the output of `cosmos ui`."
        answer = _refusal(site, request, 500, said, hint)
        answer.headers.update(HEADERS)  # it is made outside of `Policy`
        return answer

    return {CosmosError: failed, HTTPException: unrouted, Exception: unexpected}


def _status(error: CosmosError) -> int:
    if isinstance(error, UnknownId):
        return 404
    if isinstance(error, CatalogAway) or error.exit_code == 1:
        return 503
    return 400 if error.exit_code == 2 else 409


def _refusal(site: Site, request: Request, status: int, error: str, hint: str | None) -> Response:
    """Say it as JSON where a script asked, as a line where a part of a page was asked for."""
    from starlette.responses import JSONResponse

    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"error": as_text(error), "hint": hint and as_text(hint)}, status)
    part = request.headers.get("hx-request") == "true"
    template = "parts/refusal.html" if part else "refusal.html"
    away = status == 503
    return site.render(request, template, status=status, error=error, hint=hint, away=away)
