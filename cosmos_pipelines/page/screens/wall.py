"""The wall: tiles of what was made, found by filters; a sweep as a grid."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.api.finding import FILTERS
from cosmos_pipelines.errors import CatalogAway, InputError
from cosmos_pipelines.page.site import Site
from cosmos_pipelines.page.wall_query import HIDDEN, WallQuery

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

FIRST_TILES: Final = 40
"""Tiles that come with the page; the others follow as one scrolls to them."""
MOST_TILES: Final = 120
"""Tiles of one request."""
IDS_AT_ONCE: Final = 2_000
GRID_ROWS: Final = 40
VALUES: Final = 40
"""Values that are offered for a filter."""


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    api = site.api

    def wall(request: Request) -> Response:
        query = _query(request)
        now = datetime.now(UTC).isoformat()
        shared: dict[str, Any] = {
            "query": query,
            "chips": query.chips(),
            "now": now,
            "fields": _fields(),
        }
        shared["sort_words"] = _in_words(query.sort.removeprefix("-"))
        try:
            return site.render(request, "wall.html", **shared, **_found(site, query))
        except CatalogAway:
            raise
        except InputError as e:
            nothing: dict[str, Any] = {
                "runs": [],
                "grid": None,
                "total": 0,
                "next": None,
                "empty": None,
            }
            return site.render(request, "wall.html", status=400, **shared, **nothing, error=e)

    def tiles(request: Request) -> Response:
        wanted = request.query_params.getlist("id")[:MOST_TILES]
        return site.render(request, "parts/tiles.html", runs=api.tiles(wanted))

    def ids(request: Request) -> Response:
        query = _query(request)
        found = api.find_run_ids(
            sort=query.sort,
            after=request.query_params.get("after") or None,
            limit=IDS_AT_ONCE,
            grouped=True,
            **query.arguments(),
        )
        return JSONResponse(found)

    def news(request: Request) -> Response:
        wanted = request.query_params.getlist("id")[:MOST_TILES]
        among = {*api.runs_among(wanted, grouped=True, **_query(request).arguments())}
        cards = api.cards(wanted)
        found = [{"id": c["id"], "created": c["created_at"]} for c in cards if c["id"] in among]
        parents = {card["parent_run_id"] for card in cards if card["parent_run_id"]}
        return JSONResponse({"found": found, "parents": sorted(parents)})

    def values(request: Request) -> Response:
        name, text = (request.query_params.get(key, "") for key in ("name", "text"))
        if name == "sort":
            numbers = api.recorded_numbers()
            return JSONResponse([{"value": n, "words": _in_words(n)} for n in numbers])
        return JSONResponse(api.filter_values(name, text[:200], VALUES))

    return [
        Route("/", wall),
        Route("/wall/tiles", tiles),
        Route("/wall/ids", ids),
        Route("/wall/news", news),
        Route("/wall/values", values),
    ]


def _query(request: Request) -> WallQuery:
    return WallQuery.read(request.query_params.multi_items())


def _fields() -> list[dict[str, Any]]:
    """The filters of the bar, from the fields of the filter."""
    return [{"name": name, **field} for name, field in FILTERS.items() if name not in HIDDEN]


def _in_words(number: str) -> str:
    """`outputs.timing.seconds` as `timing seconds`, `settings.seed` as `seed`."""
    return (
        number.removeprefix("outputs.")
        .removeprefix("settings.")
        .translate(str.maketrans("._", "  "))
    )


def _found(site: Site, query: WallQuery) -> dict[str, Any]:
    filters = query.arguments()
    if query.view == "grid":
        return _grid(site, query, filters)
    page = site.api.find_runs(sort=query.sort, limit=FIRST_TILES, grouped=True, **filters)
    total = len(page["runs"])
    if page["next"]:
        total = site.api.count_runs(grouped=True, **filters)
    empty = None if page["runs"] else _nothing(site, query)
    return {**page, "grid": None, "total": total, "empty": empty, "error": None}


def _grid(site: Site, query: WallQuery, filters: dict[str, Any]) -> dict[str, Any]:
    grid = site.api.sweep_grid(across=query.across, first=query.first, limit=GRID_ROWS, **filters)
    shown = [cell[0] for row in grid["rows"] for cell in row["cells"] if cell]
    grid["runs"] = {run["id"]: run for run in site.api.cards(shown)}
    grid["earlier"] = max(0, query.first - GRID_ROWS)
    grid["end"] = query.first + len(grid["rows"])
    empty = None if grid["rows"] else _nothing(site, query)
    return {
        "grid": grid, "runs": [], "next": None, "total": grid["prompts"],
        "empty": empty, "error": None,
    }  # fmt: skip


def _nothing(site: Site, query: WallQuery) -> dict[str, Any]:
    """What to do where nothing is found: which filter to leave out, or how to begin."""
    ways = []
    for name, values in query.filters.items():
        left = WallQuery(query.without(name))
        number = site.api.count_runs(grouped=True, **left.arguments())
        if number:
            what = FILTERS[name]["what"]
            url = query.url(filters=left.filters, first=0)
            ways.append({"what": what, "values": values, "number": number, "url": url})
    ways.sort(key=lambda way: -way["number"])
    new = not query.filters
    return {
        "ways": ways,
        "new": new,
        "scenes": len(site.api.list_scenes()) if new else 0,
        "prompts": len(site.api.list_prompts(limit=1)) if new else 0,
        "inputs": str(site.api.settings.inputs) if new else "",
    }
