"""The strip on top of every screen: what runs, what waits, and what to do next."""

from __future__ import annotations

from datetime import UTC, datetime
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
        site.hosts.wake()
        now = datetime.now(UTC).isoformat()
        counts = site.api.count_states(request.query_params.get("since"))
        return site.render(
            request,
            "parts/strip.html",
            counts=counts,
            hosts=site.hosts.brief(),
            next_step=site.api.what_now(),
            inputs=str(site.api.settings.inputs),
            now=now,
        )

    return [Route("/strip", strip)]
