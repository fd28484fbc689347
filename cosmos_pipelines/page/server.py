"""The server behind `cosmos ui`: Dagster's page, previews, videos and a player on one address.

One process, one port: our routes first, Dagster's web app for everything else, with its daemon as a
child. There is no authentication, so it binds a loopback address unless the settings say otherwise.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.daemon import WORKSPACE, Daemon
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.page.routes import routes
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings, environment_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
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
        Catalog.open(settings.catalog_url, settings.home) as catalog,
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
