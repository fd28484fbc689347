"""Order: prompts x recipes x seeds, told before they are queued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cosmos_pipelines.errors import CatalogAway, InputError
from cosmos_pipelines.page.asked import asked, fields, text, texts
from cosmos_pipelines.page.groups import grouped, seeds_of
from cosmos_pipelines.page.screens import recipes
from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

MOST_CELLS = 300
"""Cells that the plan shows; all that are refused come first if there are more."""


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def plan(request: Request) -> Response:
        given = await asked(request)
        return JSONResponse(await run_in_threadpool(_plan, site, request, given))

    async def queue(request: Request) -> Response:
        given = await asked(request)
        return JSONResponse(await run_in_threadpool(_queue, site, given))

    async def undo(request: Request) -> Response:
        given = await asked(request)
        return JSONResponse(await run_in_threadpool(site.api.cancel_waiting, texts(given, "runs")))

    return [
        Route("/new", lambda request: _form(site, request)),
        Route("/order/prompts", lambda request: _prompts(site, request)),
        Route("/order/plan", plan, methods=["POST"]),
        Route("/order", queue, methods=["POST"]),
        Route("/order/undo", undo, methods=["POST"]),
        *recipes.routes(site),
    ]


def _form(site: Site, request: Request) -> Response:
    problem, again = None, None
    run_id = request.query_params.get("run")
    if run_id:
        try:
            again = _again(site, run_id)
        except CatalogAway:
            raise
        except InputError as e:
            problem = str(e)
    return site.render(
        request,
        "order.html",
        groups=grouped(site.api.fields_of("transfer"), without={"seed"}),
        engines=site.api.transfer_engines(),
        backends=site.api.list_backends(),
        recipes=[one for one in site.api.list_recipes() if one["model_type"] == "transfer"],
        scenes=[one["key"] for one in site.api.scenes_to_choose()],
        scene=request.query_params.get("scene"),
        again=again,
        problem=problem,
    )


def _again(site: Site, run_id: str) -> dict[str, Any]:
    """What the form is filled with to order a run again with changes; of a 4K, that of its video.

    Raises:
        InputError: there is no such run, or it made no video of a prompt.
    """
    run = site.api.get_run(run_id)
    if run["parent_run_id"]:
        run = site.api.get_run(run["parent_run_id"])
    if run["model_type"] != "transfer" or not run["prompt_id"]:
        raise InputError(f"Run {run_id} made no video of a prompt: choose prompts below.")
    defaults = {field["name"]: field["default"] for field in site.api.fields_of("transfer")}
    config = dict(run["execution_config"])
    seed = config.pop("seed", None)
    return {
        "run": run["id"],
        "prompts": [run["prompt_id"]],
        "seeds": "" if seed is None else str(seed),
        "engine": run["engine"],
        "backend": run["backend"],
        "filled": {
            name: value for name, value in config.items() if value not in (defaults.get(name), [])
        },
    }


def _prompts(site: Site, request: Request) -> Response:
    """Prompts to choose from, newest first or by words; or those of the ids that are asked for."""
    from starlette.responses import JSONResponse

    asked_for = request.query_params.getlist("id")
    if asked_for:
        found = site.api.find_prompts(asked_for)
        return JSONResponse({"prompts": [_choice(one) for one in found], "more": False})
    words = request.query_params.get("words", "")
    scene = request.query_params.get("scene") or None
    page = site.api.page_of_prompts(words=words, scene=scene, limit=100)
    shown = [_choice(one) for one in page["prompts"]]
    return JSONResponse({"prompts": shown, "more": bool(page["next"] or page["cut"])})


def _choice(prompt: Mapping[str, Any]) -> dict[str, str]:
    return {name: prompt[name] for name in ("id", "name", "scene")} | {"text": prompt["text"][:200]}


def _asked(site: Site, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arguments of an order, and a sentence for each field whose value is refused."""
    checked = site.api.check_fields("transfer", fields(given, "filled"))
    problems = checked["problems"]
    seeds: list[int] = []
    try:
        seeds = seeds_of(text(given, "seeds"))
    except InputError as e:
        problems["seeds"] = str(e)
    return {
        "prompt_ids": texts(given, "prompts"),
        "recipes": texts(given, "recipes"),
        "seeds": seeds,
        "engine": text(given, "engine") or None,
        "backend": text(given, "backend") or None,
        "upscale": given.get("upscale") is True,
        **checked["values"],
    }, problems


def _plan(site: Site, request: Request, given: Mapping[str, Any]) -> dict[str, Any]:
    order, problems = _asked(site, given)
    if problems or not order["prompt_ids"]:
        return {"problems": problems, "runs": 0, "refused": 0, "html": ""}
    plan = site.api.plan_order(**order)
    cells = plan.pop("cells")
    if len(cells) > MOST_CELLS:
        cells.sort(key=lambda cell: cell["refusal"] is None)
    html = site.render(
        request,
        "parts/plan.html",
        plan=plan,
        cells=cells[:MOST_CELLS],
        number=len(cells),
        default=next((one["name"] for one in site.api.list_backends() if one["default"]), None),
    )
    return {
        "problems": {},
        "runs": plan["runs"],
        "refused": plan["refused"],
        "html": bytes(html.body).decode(),
    }


def _queue(site: Site, given: Mapping[str, Any]) -> dict[str, Any]:
    order, problems = _asked(site, given)
    if problems:
        return {"problems": problems}
    shown = given.get("shown")
    return site.api.queue_order(
        **order,
        key=text(given, "key"),
        batch_name=text(given, "batch_name").strip() or None,
        shown=shown if isinstance(shown, int) else None,
        priority=given.get("priority") or 0,
    )
