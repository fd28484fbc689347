"""One run: its player, its story, its settings, its files, its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    def run(request: Request) -> Response:
        found = site.api.get_run(request.path_params["run_id"])
        (card,) = site.api.cards([found["id"]])
        return site.render(request, "run.html", run=card)

    def player(request: Request) -> Response:
        return RedirectResponse(f"/cosmos/run/{request.path_params['run_id']}")

    return [Route("/run/{run_id}", run), Route("/player/{run_id}", player)]
