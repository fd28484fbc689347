"""Order: prompts x recipes x seeds, told before they are queued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.routing import Route

    def order(request: Request) -> Response:
        return site.render(request, "order.html")

    return [Route("/new", order)]
