"""Recipes: settings under a name; made, renamed, copied, removed and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cosmos_pipelines.page.asked import asked, fields, text
from cosmos_pipelines.page.groups import grouped
from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def post(path: str, act: Any) -> Route:
        async def answer(request: Request) -> Response:
            given = await asked(request)
            return JSONResponse(await run_in_threadpool(act, site, given))

        return Route(path, answer, methods=["POST"])

    return [
        Route("/recipes", lambda request: _screen(site, request)),
        Route("/recipes/compare", lambda request: _compare(site, request)),
        post("/recipes/draft", _draft),
        post("/recipes/save", _save),
        post("/recipes/rename", _rename),
        post("/recipes/delete", _delete),
    ]


def _screen(site: Site, request: Request) -> Response:
    """The list, and a form that is filled with the recipe that the address names."""
    found = [one for one in site.api.list_recipes() if one["model_type"] == "transfer"]
    wanted = request.query_params.get("recipe") or request.query_params.get("copy")
    filled = next((one for one in found if one["name"] == wanted), None)
    return site.render(
        request,
        "recipes.html",
        here="new",
        recipes=found,
        filled=filled,
        edited=bool(filled and request.query_params.get("recipe")),
        gone=wanted if wanted and filled is None else None,
        groups=grouped(site.api.fields_of("transfer")),
        engines=site.api.transfer_engines(),
    )


def _compare(site: Site, request: Request) -> Response:
    compared = site.api.compare_recipes(request.query_params.getlist("name"))
    return site.render(request, "parts/recipe_table.html", **compared)


def _draft(site: Site, given: Any) -> dict[str, Any]:
    engine = text(given, "engine") or None
    filled = fields(given, "filled")
    return site.api.draft_recipe(text(given, "name"), engine=engine, filled=filled)


def _save(site: Site, given: Any) -> dict[str, Any]:
    """Store a recipe; if a field is refused, return the draft with its problems."""
    draft = _draft(site, given)
    if not text(given, "name").strip():
        draft["problems"]["name"] = "The recipe has no name."
    if draft["problems"]:
        return draft
    made = site.api.create_recipe(
        text(given, "name"),
        engine=text(given, "engine") or None,
        replace=given.get("replace") is True,
        **draft["values"],
    )
    return {"name": made["name"]}


def _rename(site: Site, given: Any) -> dict[str, Any]:
    return {"name": site.api.rename_recipe(text(given, "name"), text(given, "new"))["name"]}


def _delete(site: Site, given: Any) -> dict[str, Any]:
    return site.api.delete_recipe(text(given, "name"))
