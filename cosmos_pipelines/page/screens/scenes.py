"""Scenes: passes, what changed, what was not taken, and preparing one from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.errors import InputError, MediaError, UnknownId
from cosmos_pipelines.foreign import expanded
from cosmos_pipelines.page.call_form import fields_of
from cosmos_pipelines.page.jobs import Report
from cosmos_pipelines.page.site import Site, form_of, one

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

AT_ONCE: Final = 60
"""Scenes on one page."""
OLDER_SHOWN: Final = 200
"""Videos of an older render that are named; all are made again."""
PREPARE: Final = "prepare"


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.routing import Route

    screen = _Scenes(site)
    return [
        Route("/scenes", screen.all),
        Route("/scenes/not-taken", screen.not_taken),
        Route("/scenes/jobs", screen.jobs),
        Route("/scenes/prepare", screen.prepare, methods=["POST"]),
        Route("/scenes/older/{key:path}", screen.older),
        Route("/scenes/again/{key:path}", screen.again, methods=["POST"]),
        Route("/scenes/still/{key:path}/{name}.jpg", screen.still),
        Route("/scene-page/{key:path}", screen.one),
    ]


class _Scenes:
    """The handlers of the screen; those that read files are called in threads."""

    def __init__(self, site: Site) -> None:
        self._site, self._api = site, site.api

    def all(self, request: Request) -> Response:
        after = request.query_params.get("after", "")
        found = self._api.scenes_after(after, AT_ONCE + 1)
        return self._site.render(
            request,
            "scenes.html",
            scenes=found[:AT_ONCE],
            after=after,
            more=found[AT_ONCE - 1]["key"] if len(found) > AT_ONCE else None,
            fields=fields_of(self._api.prepare_scene),
            directory=request.query_params.get("prepare", ""),
            inputs=self._api.settings.inputs,
        )

    def one(self, request: Request) -> Response:
        scene = self._api.look_at_scene(request.path_params["key"])
        return self._site.render(request, "scene.html", scene=scene, sources=_sources(scene))

    def not_taken(self, request: Request) -> Response:
        return self._site.render(
            request,
            "parts/not_taken.html",
            inputs=self._api.settings.inputs,
            **self._api.not_taken(),
        )

    def older(self, request: Request) -> Response:
        return self._older(request, request.path_params["key"])

    async def again(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        key, fields = request.path_params["key"], await form_of(request)
        wanted = fields.get("run", [])
        made = await run_in_threadpool(self._api.make_older_again, key, wanted)
        return await run_in_threadpool(self._older, request, key, len(made))

    def _older(self, request: Request, key: str, made: int | None = None) -> Response:
        older = self._api.older_videos(key)
        todo = [video for video in older if video["replaced_by"] is None]
        return self._site.render(
            request,
            "parts/older.html",
            key=key,
            older=older,
            todo=todo,
            made=made,
            shown=OLDER_SHOWN,
        )

    def jobs(self, request: Request) -> Response:
        return self._site.render(request, "parts/jobs.html", jobs=self._site.jobs.of(PREPARE))

    async def prepare(self, request: Request) -> Response:
        given = await form_of(request)
        fields = {f["name"] for f in fields_of(self._api.prepare_scene)}
        arguments = {name: value for name in fields if (value := one(given, name))}
        if "directory" not in arguments:
            raise InputError("Name the directory of the rendered passes.")
        directory = self._api.settings.home / expanded(arguments["directory"])
        arguments["directory"] = str(directory)
        key = tuple(sorted(arguments.items()))
        title = f"Prepare {directory}"
        self._site.jobs.start(PREPARE, title, key, lambda report: self._prepared(report, arguments))
        return self.jobs(request)

    def _prepared(self, report: Report, arguments: Mapping[str, Any]) -> None:
        made = self._api.prepare_scene(**arguments, progress=report.progress)
        report.job.link = f"scene-page/{made['key']}"
        report.job.text = " ".join([f"{made['key']} is a scene.", *made["notes"]])

    def still(self, request: Request) -> Response:
        from starlette.responses import FileResponse, PlainTextResponse

        try:
            picture = self._api.picture_of_pass(
                request.path_params["key"], request.path_params["name"]
            )
        except (UnknownId, MediaError) as e:
            return PlainTextResponse(e.message, status_code=404)
        if picture is None:
            return PlainTextResponse("There is no such picture.", status_code=404)
        return FileResponse(picture, headers={"Cache-Control": "private, max-age=60"})


def _sources(scene: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The passes as the player takes them."""
    from urllib.parse import quote

    key = quote(scene["key"])
    return [
        {
            "name": one["name"],
            "label": one["name"].capitalize(),
            "url": f"/cosmos/scene/{key}/{one['name']}.mp4",
            "poster": f"/cosmos/scenes/still/{key}/{one['name']}.jpg",
            **{fact: one[fact] for fact in ("frames", "fps", "width", "height")},
        }
        for one in scene["passes"]
    ]
