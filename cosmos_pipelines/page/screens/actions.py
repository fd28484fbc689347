"""Actions on runs, for every screen: JSON in, JSON out. See static/js/actions.js."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.page.asked import asked
from cosmos_pipelines.page.site import Site

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    Call = Callable[[Mapping[str, Any]], Any]

MOST_JSON: Final = 4 << 20
"""Bytes of the largest request: the way back of a change of 10,000 runs has a tenth of it."""
MOST_SHOWN: Final = 500
"""Runs whose state one request gets; its address has to stay short."""


def routes(site: Site) -> list[Route]:
    """Return the routes of the actions, below /cosmos."""
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def state(request: Request) -> Response:
        ids = [one for one in request.query_params.get("ids", "").split(",") if one]
        if len(ids) > MOST_SHOWN:
            raise InputError(f"The state of at most {MOST_SHOWN} runs can be asked for at once.")
        return JSONResponse(site.api.marks(ids), headers=_FRESH)

    def tags(_: Request) -> Response:
        return JSONResponse(site.api.known_tags(), headers=_FRESH)

    def action(call: Call) -> Any:
        async def answer(request: Request) -> Response:
            sent = await asked(request, MOST_JSON)
            return JSONResponse(await asyncio.to_thread(call, sent))

        return answer

    async def export(request: Request) -> Response:
        sent = await asked(request, MOST_JSON)
        ids: Any = sent.get("ids")
        form: Any = sent.get("form")
        text = await asyncio.to_thread(site.api.export_runs, ids, form)
        name = {"Content-Disposition": f'attachment; filename="runs.{form}"'}
        return Response(text, media_type=_MEDIA[str(form)], headers=name)

    return [
        Route("/runs/state", state),
        Route("/runs/tags", tags),
        Route("/runs/export", export, methods=["POST"]),
        *(
            Route(f"/runs/{name}", action(call), methods=["POST"])
            for name, call in _calls(site.api).items()
        ),
    ]


_FRESH: Final = {"Cache-Control": "no-store"}
_MEDIA: Final = {"csv": "text/csv", "json": "application/json"}


def _calls(api: CosmosAPI) -> Mapping[str, Call]:
    """What may be asked for; the API checks what was sent."""
    return {
        "rate": lambda sent: api.rate_runs(sent.get("ids"), sent.get("rating")),
        "verdict": lambda sent: api.judge_runs(sent.get("ids"), sent.get("verdict")),
        "tag": lambda sent: api.tag_runs(
            sent.get("ids"), sent.get("add") or (), sent.get("remove") or ()
        ),
        "tagged": lambda sent: _tagged(api, sent.get("ids")),
        "undo": lambda sent: api.undo_marks(sent.get("undo")),
        "plan": lambda sent: api.plan_orders(sent.get("what"), sent.get("ids")),
        "order": lambda sent: api.order_runs(sent.get("what"), sent.get("ids")),
        "cancel": lambda sent: api.cancel_waiting(sent.get("ids")),
        "plan-deletion": lambda sent: api.plan_deletions(sent.get("ids")),
        "delete": lambda sent: api.delete_runs(sent.get("ids"), sent.get("seen")),
    }


def _tagged(api: CosmosAPI, ids: Any) -> dict[str, Any]:
    """Return the tags of some runs with the number of runs, and all known tags."""
    count: dict[str, int] = {}
    for marks in api.marks(ids).values():
        for tag in marks["tags"]:
            count[tag] = count.get(tag, 0) + 1
    return {"tags": count, "known": api.known_tags()}
