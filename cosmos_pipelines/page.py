"""The server behind `cosmos ui`: Dagster's page, previews, videos and a player on one address.

One process, one port: our routes first, Dagster's web app for everything else, with its daemon as a
child. There is no authentication, so it binds a loopback address unless the settings say otherwise.
"""

from __future__ import annotations

import errno
import html
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.assets.instance import open_instance
from cosmos_pipelines.assets.intake import scene_preview
from cosmos_pipelines.assets.run_log import run_directory
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.daemon import WORKSPACE, Daemon
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.ids import is_run_id
from cosmos_pipelines.settings import Settings, environment_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp

POLL_MS: Final = 1000
"""How often the page asks for new states (Dagster's default: 2000)."""
SHUTDOWN_S: Final = 3
"""How long open connections may last after the end; the page's websockets never close alone."""


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted; `ready` is called with the URL once requests are answered.

    `say` is told what the user should know: an address that others can reach, a daemon that died.

    Raises:
        InputError: the port is busy (a free one is named), or the address is not ours.
    """
    tell = say or _nobody
    with _bound(host, port) as listening, _environment(settings):
        url = url_of(host, port)
        if not is_loopback(host):
            tell(f"Everybody who can reach {url} can see and start runs: there is no password.")
        _serve(settings, listening, url, ready or _nobody, tell)


def _serve(
    settings: Settings,
    listening: socket.socket,
    url: str,
    ready: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    import uvicorn
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.webserver import DagsterWebserver

    target = WorkspaceFileTarget([str(WORKSPACE)])
    with (
        open_instance(settings) as instance,
        Catalog.open(settings.catalog_url) as catalog,
        Daemon(settings, say),
        WorkspaceProcessContext(instance, target, code_server_log_level="warning") as workspace,
    ):
        dagster_app = DagsterWebserver(workspace, "", POLL_MS).create_asgi_app()
        app = application(settings, catalog, dagster_app, started=lambda: ready(url))
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_S, lifespan="on"
        )
        server = uvicorn.Server(config)
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:  # uvicorn raises the signal again once it has ended in order
            return


def application(
    settings: Settings,
    catalog: Catalog,
    dagster_app: ASGIApp,
    *,
    started: Callable[[], None] = lambda: None,
) -> Starlette:
    """Our routes in front of Dagster's application."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        started()
        yield

    return Starlette(
        routes=[*routes(settings, catalog), Mount("/", dagster_app)], lifespan=lifespan
    )


def routes(settings: Settings, catalog: Catalog) -> list[Route]:
    """Previews, videos (with ranges, so that one can seek) and a player."""
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
        return HTMLResponse(player_page(catalog, run))

    return [
        Route("/cosmos/preview/run/{run_id}.webp", run_preview),
        Route("/cosmos/preview/scene/{key:path}.webp", scene_picture),
        Route("/cosmos/video/{run_id}.mp4", video),
        Route("/cosmos/player/{run_id}", player),
    ]


def _run(catalog: Catalog, run_id: str) -> Run | None:
    return catalog.find_run(run_id) if is_run_id(run_id) else None


def _file(settings: Settings, path: Path) -> Response:
    """A file below outputs; anything else, also through links, is not there."""
    from starlette.responses import FileResponse

    real = path.resolve()
    if not real.is_relative_to(settings.outputs.resolve()) or not real.is_file():
        return _missing("not found")
    return FileResponse(real, headers={"Cache-Control": "private, max-age=60"})


def _missing(why: str) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(why, status_code=404)


def player_page(catalog: Catalog, run: Run) -> str:
    """HTML that plays a run's video and says what it is."""
    from cosmos_pipelines.assets.shown import engine_label

    prompt = catalog.get_prompt(run.prompt_id) if run.prompt_id else None
    out = run.outputs
    facts = [
        f"{out['width']} x {out['height']}",
        f"{out['frames']} frames",
        f"{out['fps']} a second",
    ]
    title = prompt.name if prompt else run.id
    return _PLAYER.format(
        title=html.escape(title),
        run_id=run.id,
        facts=html.escape(", ".join(facts)),
        text=html.escape(prompt.text if prompt else (run.source or {}).get("video", "")),
        engine=html.escape(engine_label(run.engine)),
    )


_PLAYER: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ margin: 0; background: #111; color: #ddd; font: 15px/1.5 system-ui, sans-serif }}
  main {{ max-width: 1280px; margin: 0 auto; padding: 16px }}
  video {{ width: 100%; max-height: 78vh; background: #000 }}
  h1 {{ font-size: 18px; margin: 12px 0 0 }}
  p {{ margin: 4px 0; max-width: 80ch }}
  code, .facts {{ color: #999 }}
  a {{ color: #9bf }}
  b {{ color: #fb5 }}
</style>
<main>
  <video src="/cosmos/video/{run_id}.mp4" controls autoplay loop muted playsinline></video>
  <h1>{title}</h1>
  <p>{text}</p>
  <p class="facts">{facts}, <b>{engine}</b></p>
  <p><code>{run_id}</code> <a href="/cosmos/video/{run_id}.mp4" download>Download</a></p>
</main>
</html>
"""


def url_of(host: str, port: int) -> str:
    """The address to open in a browser on this machine."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104
    shown = everywhere.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket, so that nobody can take the port between looking and serving."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
            s.listen(128)
        except OSError as e:
            raise _explained(e, host, port, family) from None
        yield s


def _explained(error: OSError, host: str, port: int, family: int) -> InputError:
    if error.errno == errno.EADDRINUSE:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.bind((host, 0))
            free = s.getsockname()[1]
        return InputError(
            f"Port {port} is in use.", hint=f"Take another, for example `cosmos ui --port {free}`."
        )
    return InputError(f"Cannot listen on {host}:{port}: {error.strerror}.")


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """The code server inherits this process's environment, so the settings must be in it."""
    import os

    before = dict(os.environ)
    os.environ.update(environment_of(settings))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _nobody(text: str) -> None:
    """Nobody listens."""
