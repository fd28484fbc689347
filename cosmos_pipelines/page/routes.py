"""The routes of this project: previews, videos and a player."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_pipelines.catalog.folders import run_directory
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.ids import is_run_id
from cosmos_pipelines.page.player import player_page
from cosmos_pipelines.runs.inputs import scene_preview
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


def routes(settings: Settings, catalog: Catalog) -> list[Route]:
    """Return the routes for previews, videos (with ranges, for seeking) and a player."""
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    def run_preview(request: Request) -> Response:
        run_id = request.path_params["run_id"]
        if not is_run_id(run_id):
            return _missing("no such run")
        return _file(settings, run_directory(settings.outputs, run_id) / "preview.webp")

    def scene_picture(request: Request) -> Response:
        return _file(settings, scene_preview(settings, request.path_params["key"]))

    def video(request: Request) -> Response:
        run = _run(catalog, request.path_params["run_id"])
        name = run.outputs.get("video") if run else None
        return _file(settings, settings.home / name) if name else _missing("no video")

    def player(request: Request) -> Response:
        run = _run(catalog, request.path_params["run_id"])
        if run is None or "video" not in run.outputs:
            return _missing("no video")
        return HTMLResponse(player_page(catalog, settings, run))

    return [
        Route("/cosmos/preview/run/{run_id}.webp", run_preview),
        Route("/cosmos/preview/scene/{key:path}.webp", scene_picture),
        Route("/cosmos/video/{run_id}.mp4", video),
        Route("/cosmos/player/{run_id}", player),
    ]


def _run(catalog: Catalog, run_id: str) -> Run | None:
    return catalog.find_run(run_id) if is_run_id(run_id) else None


def _file(settings: Settings, path: Path) -> Response:
    """Return a file below outputs; answer 404 for any other path, also through links."""
    from starlette.responses import FileResponse

    real = path.resolve()
    if not real.is_relative_to(settings.outputs.resolve()) or not real.is_file():
        return _missing("not found")
    return FileResponse(real, headers={"Cache-Control": "private, max-age=60"})


def _missing(why: str) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(why, status_code=404)
