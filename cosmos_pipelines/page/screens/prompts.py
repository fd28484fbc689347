"""Prompts: texts for scenes, and what was made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cosmos_pipelines.errors import CatalogAway, InputError
from cosmos_pipelines.page.asked import asked, text
from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

MOST_RUNS = 60
"""Runs of a prompt that its page shows."""


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.routing import Route

    return [
        Route("/prompts", lambda request: _list(site, request, "prompts.html")),
        Route("/prompts/rows", lambda request: _list(site, request, "parts/prompt_rows.html")),
        Route("/prompts/new", lambda request: _form(site, request)),
        Route("/prompt/{prompt_id}", lambda request: _one(site, request, "prompt.html")),
        Route(
            "/prompt/{prompt_id}/story",
            lambda request: _one(site, request, "parts/prompt_story.html"),
        ),
        *_acts(site),
    ]


def _acts(site: Site) -> list[Route]:
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def draft(request: Request) -> Response:
        given = await asked(request)
        return JSONResponse(await run_in_threadpool(_draft, site, given))

    async def create(request: Request) -> Response:
        given = await asked(request)
        return JSONResponse(await run_in_threadpool(_create, site, given))

    async def enhance(request: Request) -> Response:
        given = await asked(request)
        wanted = request.path_params["prompt_id"]
        act = site.api.queue_enhancement
        return JSONResponse(await run_in_threadpool(act, wanted, key=text(given, "key")))

    return [
        Route("/prompts/draft", draft, methods=["POST"]),
        Route("/prompts", create, methods=["POST"]),
        Route("/prompt/{prompt_id}/enhance", enhance, methods=["POST"]),
    ]


def _list(site: Site, request: Request, template: str) -> Response:
    """The prompts that the address asks for: words, scene, and where the page begins."""
    words = request.query_params.get("words", "").strip()
    scene = request.query_params.get("scene") or None
    problem = None
    found: dict[str, Any] = {"prompts": [], "next": None, "cut": False}
    try:
        after = request.query_params.get("after")
        found = site.api.page_of_prompts(words=words, scene=scene, after=after)
    except CatalogAway:
        raise
    except InputError as e:
        problem = str(e)
    more = found["next"] and urlencode({"scene": scene or "", "after": found["next"]})
    return site.render(
        request,
        template,
        words=words,
        scene=scene,
        scenes=[] if template.startswith("parts/") else site.api.scenes_to_choose(),
        problem=problem,
        more=more,
        **found,
    )


def _form(site: Site, request: Request) -> Response:
    parent = request.query_params.get("edit")
    prompt = site.api.get_prompt(parent) if parent else None
    scene = prompt["scene"] if prompt else request.query_params.get("scene", "")
    return site.render(
        request,
        "prompt_form.html",
        here="prompts",
        parent=prompt,
        scene=scene,
        scenes=site.api.scenes_to_choose(),
    )


def _one(site: Site, request: Request, template: str) -> Response:
    prompt = site.api.story_of_prompt(request.path_params["prompt_id"])
    shown = site.api.cards(prompt["runs"][:MOST_RUNS])
    return site.render(
        request,
        template,
        here="prompts",
        prompt=prompt,
        cards=shown,
        picture=site.api.picture_of_scene(prompt["scene"]) is not None,
    )


def _draft(site: Site, given: Any) -> dict[str, Any]:
    negative = text(given, "negative_prompt")
    scene = text(given, "scene") or None
    return site.api.draft_prompt(text(given, "text"), scene, negative_prompt=negative)


def _create(site: Site, given: Any) -> dict[str, Any]:
    """Register a prompt; if a field is refused, return the draft with its problems."""
    draft = _draft(site, given)
    if draft["problems"]:
        return draft
    scene = site.api.get_scene(text(given, "scene"))
    made = site.api.create_prompt(
        text(given, "text"),
        scene["path"],
        negative_prompt=text(given, "negative_prompt") or None,
        parent=text(given, "parent") or None,
    )
    return {"id": made["id"], "name": made["name"], "created": made["created"]}
