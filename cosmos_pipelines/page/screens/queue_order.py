"""The order of the queue: moved, paused, asked why, and what is to come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.page.asked import asked, text
from cosmos_pipelines.page.lanes import picture_of
from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


def routes(site: Site) -> list[Route]:
    """Return the routes of this part of the queue's screen, below /cosmos."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def move(request: Request) -> Response:
        given = await asked(request)
        moved = await run_in_threadpool(_move, site, given)
        return JSONResponse({"position": moved["position"]})

    async def pause(request: Request) -> Response:
        given = await asked(request)
        reason = text(given, "reason").strip() or None
        made = site.api.pause_queue(**_scope(given), reason=reason)
        site.hosts.look_at_daemon()
        return JSONResponse(made)

    async def resume(request: Request) -> Response:
        left = site.api.resume_queue(**_scope(await asked(request)))
        site.hosts.look_at_daemon()
        return JSONResponse(left)

    def why(request: Request) -> Response:
        return JSONResponse(site.api.why_queued(request.query_params.get("run", "")))

    return [
        Route("/queue/move", move, methods=["POST"]),
        Route("/queue/pause", pause, methods=["POST"]),
        Route("/queue/resume", resume, methods=["POST"]),
        Route("/queue/why", why),
        Route("/queue/plan", lambda request: _plan(site, request)),
    ]


def _plan(site: Site, request: Request) -> Response:
    """The loads that run and those to come: a lane for each GPU, and a table."""
    plan = site.api.plan_queue()
    names = [run_id for load in (*plan["active"], *plan["loads"]) for run_id in load["run_ids"]]
    cards = {card["id"]: card for card in site.api.cards([*names, *plan["unplaced"]])}
    unplaced: dict[str, list[str]] = {}
    for run_id, why in plan["unplaced"].items():
        unplaced.setdefault(why, []).append(run_id)
    costs = [load["cost"] for load in plan["loads"] if load["cost"] is not None]
    return site.render(
        request,
        "parts/queue_plan.html",
        plan=plan,
        picture=picture_of(plan, cards),
        titles={run_id: card["title"] for run_id, card in cards.items()},
        unplaced=unplaced,
        cost=sum(costs),
        no_cost=len(plan["loads"]) - len(costs),
    )


def _move(site: Site, given: Mapping[str, Any]) -> dict[str, Any]:
    priority = given.get("priority")
    if isinstance(priority, str):
        try:
            priority = int(priority)
        except ValueError:
            raise InputError("A priority is a whole number from -100 to 100.") from None
    return site.api.move_run(
        text(given, "run"),
        first=given.get("first") is True,
        before=text(given, "before") or None,
        priority=priority,
    )


def _scope(given: Mapping[str, Any]) -> dict[str, str | None]:
    """The arguments of a pause: of everything, of `host:NAME` or of `engine:NAME`."""
    kind, _, name = text(given, "scope").partition(":")
    if kind not in ("all", "host", "engine"):
        raise InputError("Say what shall be paused: all, host:NAME or engine:NAME.")
    return {
        "host": name if kind == "host" else None,
        "engine": name if kind == "engine" else None,
    }
