"""Scenes: passes, what changed, what was not taken, and preparing one from here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from cosmos_pipelines.errors import CosmosError, InputError, MediaError, UnknownId
from cosmos_pipelines.foreign import as_text, expanded, is_utf8
from cosmos_pipelines.page.call_form import fields_of
from cosmos_pipelines.page.depth_picture import HEIGHT, STRIP, WIDTH, depth_picture
from cosmos_pipelines.page.jobs import Report
from cosmos_pipelines.page.prepare_form import first_fields, groups_of
from cosmos_pipelines.page.site import Site, form_of, one

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

AT_ONCE: Final = 60
"""Scenes on one page."""
OLDER_SHOWN: Final = 200
"""Videos of an older render that are named; all are made again."""
PLANS_SHOWN: Final = 6
"""Scenes of a directory that are shown with pictures before they are prepared."""
KEYS_TOLD: Final = 10
"""Scenes that are named when many were made at once."""
PREPARE: Final = "prepare"


def routes(site: Site) -> list[Route]:
    """Return the routes of this screen, below /cosmos."""
    from starlette.routing import Route

    screen = _Scenes(site)
    return [
        Route("/scenes", screen.all),
        Route("/scenes/not-taken", screen.not_taken),
        Route("/scenes/jobs", screen.jobs),
        Route("/scenes/plan", screen.plan, methods=["POST"]),
        Route("/scenes/plan/still", screen.plan_still),
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
            fields=first_fields(fields_of(self._api.prepare_scene)),
            opened="prepare" in request.query_params,
            directory=request.query_params.get("prepare", ""),
            home=self._api.settings.home,
            inputs=self._api.settings.inputs,
        )

    def one(self, request: Request) -> Response:
        scene = self._api.look_at_scene(request.path_params["key"])
        depth = next((one["depth"] for one in scene["passes"] if one["depth"]), None)
        return self._site.render(
            request,
            "scene.html",
            scene=scene,
            sources=_sources(scene),
            depth=depth_picture(depth),
            depth_size=(WIDTH, HEIGHT, STRIP),
        )

    def not_taken(self, request: Request) -> Response:
        inputs, found = self._api.settings.inputs, self._api.not_taken()
        for told in found["directories"]:
            place = nearest_directory(inputs, told["name"])
            told["directory"] = place if is_utf8(place) else None  # no link can name it
        return self._site.render(request, "parts/not_taken.html", inputs=inputs, **found)

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

    async def plan(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        given = self._arguments(await form_of(request))
        return await run_in_threadpool(self._plan, request, given)

    def _plan(self, request: Request, given: dict[str, str]) -> Response:
        asked = {name: value for name, value in given.items() if name != "description"}
        plans, refusal = list[dict[str, Any]](), None
        try:
            plans = self._api.plan_scene(**_with_passes(asked))
        except CosmosError as e:
            refusal = str(e)
        fields = fields_of(self._api.prepare_scene)
        of_pictures = {name: v for name, v in asked.items() if name not in ("name", "scene")}
        return self._site.render(
            request,
            "parts/scene_plan.html",
            plans=plans,
            refusal=refusal,
            given=given,
            query=urlencode(of_pictures),
            usable=[plan for plan in plans if not plan["wrong"]],
            shown=PLANS_SHOWN,
            names=[plan["scene"] for plan in plans if plan["scene"]],
            groups=groups_of(fields, given, plans, refusal),
            description=next(f for f in fields if f["name"] == "description"),
        )

    def plan_still(self, request: Request) -> Response:
        from starlette.responses import PlainTextResponse, Response

        query = request.query_params
        fields = {f["name"] for f in fields_of(self._api.prepare_scene)} - {"name", "description"}
        asked = {name: query[name] for name in fields if query.get(name)}
        if "directory" not in asked:
            return PlainTextResponse("Name the directory.", status_code=404)
        try:
            picture = self._api.picture_of_plan(name=query.get("pass", ""), **_with_passes(asked))
        except CosmosError as e:
            return PlainTextResponse(as_text(e.message), status_code=404)
        if picture is None:
            return PlainTextResponse("There is no such pass.", status_code=404)
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def prepare(self, request: Request) -> Response:
        arguments = self._arguments(await form_of(request))
        key = tuple(sorted(arguments.items()))
        title = f"Prepare {arguments['directory']}"
        self._site.jobs.start(PREPARE, title, key, lambda report: self._prepared(report, arguments))
        return self.jobs(request)

    def _arguments(self, given: Mapping[str, list[str]]) -> dict[str, str]:
        """What was filled in; the directory as a whole path."""
        fields = {f["name"] for f in fields_of(self._api.prepare_scene)}
        arguments = {name: value for name in fields if (value := one(given, name))}
        if "directory" not in arguments:
            raise InputError("Name the directory of the rendered passes.")
        directory = self._api.settings.home / expanded(arguments["directory"])
        return arguments | {"directory": str(directory)}

    def _prepared(self, report: Report, given: Mapping[str, str]) -> None:
        """Prepare each scene of a directory; one that cannot be stops no other."""
        arguments = _with_passes(given)
        scene = arguments.pop("scene", None)
        found = {n: arguments[n] for n in ("directory", "passes") if n in arguments}
        there = self._api.scenes_in(**found, scene=scene)
        names = there["scenes"]
        notes = [{"note": f"Ignored: {one}."} for one in there["ignored"]]
        if len(names) == 1:
            made = self._api.prepare_scene(
                **arguments, scene=names[0] or None, progress=report.progress
            )
            report.job.link = f"scene-page/{made['key']}"
            report.job.text = f"{made['key']} is a scene."
            report.job.results = notes + [{"note": note} for note in made["notes"]]
            return
        keys, refused = list[str](), list[str]()
        for name in names:
            try:
                made = self._api.prepare_scene(
                    **arguments, scene=name, progress=partial(_step_of, report, name)
                )
                keys.append(made["key"])
                notes += [{"note": f"{name}: {note}"} for note in made["notes"]]
            except CosmosError as e:
                refused.append(f"{name}: {e}")
        report.job.results = notes
        if refused:
            raise MediaError(" ".join([_scenes_made(keys), *refused]))
        report.job.link, report.job.text = "scenes", _scenes_made(keys)

    def still(self, request: Request) -> Response:
        from starlette.responses import FileResponse, PlainTextResponse

        try:
            picture = self._api.picture_of_pass(
                request.path_params["key"], request.path_params["name"]
            )
        except (UnknownId, MediaError) as e:
            return PlainTextResponse(as_text(e.message), status_code=404)
        if picture is None:
            return PlainTextResponse("There is no such picture.", status_code=404)
        return FileResponse(picture, headers={"Cache-Control": "private, max-age=60"})


def nearest_directory(inputs: Path, name: str) -> Path:
    """The directory of a scene: one of several may be but a part of the names in it."""
    place = inputs / name
    while place != inputs and not place.is_dir():
        place = place.parent
    return place


def _step_of(report: Report, scene: str, step: str, done: int, total: int) -> None:
    report.progress(f"{scene}: {step}", done, total)


def _scenes_made(keys: Sequence[str]) -> str:
    if not keys:
        return "No scene was made."
    more = f" and {len(keys) - KEYS_TOLD} more" if len(keys) > KEYS_TOLD else ""
    return f"{len(keys)} scene{'' if len(keys) == 1 else 's'}: {', '.join(keys[:KEYS_TOLD])}{more}."


def _with_passes(given: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a call, with the passes one by one: `depth=z, segmentation=ids`."""
    if "passes" not in given:
        return dict(given)
    words = re.split(r"[,;\s]+(?=\w+=)", given["passes"].strip())
    return {**given, "passes": words}


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
