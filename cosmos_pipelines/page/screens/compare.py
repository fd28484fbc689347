"""Compare: two to nine videos on one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

MODES = (
    ("side", "Side by side"),
    ("wipe", "Wipe"),
    ("difference", "Difference"),
    ("toggle", "A/B"),
    ("wall", "Wall"),
)
"""How videos are compared: the name in the address, and for people."""


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.routing import Route

    def compare(request: Request) -> Response:
        found = site.api.comparison(request.query_params.getlist("v"))
        names = [video["name"] for video in found["videos"]]
        for video in found["videos"]:
            others = (name for name in names if name != video["name"])
            video["without"] = address_of(others)
        for other in found["offered"]:
            other["with_it"] = address_of([*names, other["name"]])
        return site.render(request, "compare.html", modes=MODES, **found)

    return [Route("/compare", compare)]


def address_of(names: Iterable[str]) -> str:
    """Return the address of a comparison of these videos."""
    return "/cosmos/compare?" + urlencode([("v", name) for name in names], safe=":/")
