"""The strip on top of every screen: what runs, what waits, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


def routes(site: Site) -> list[Route]:
    """Return the route of the strip, below /cosmos."""
    from starlette.routing import Route

    def strip(request: Request) -> Response:
        active = site.api.get_active_operations()
        waiting = site.api.list_runs(status="pending", limit=None)
        return site.render(request, "parts/strip.html", running=len(active), waiting=len(waiting))

    return [Route("/strip", strip)]
