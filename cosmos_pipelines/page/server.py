"""The server behind `cosmos ui`: the review page and Dagster's page on one address.

One process, one port: the routes of this project first, Dagster's web app for all other paths, and
Dagster's daemon as a child process. There is no authentication, so the server binds a loopback
address unless the settings name another address.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.daemon import WORKSPACE, Daemon
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.page.guard import new_token
from cosmos_pipelines.page.recipes import following_recipes
from cosmos_pipelines.page.routes import routes
from cosmos_pipelines.page.site import Site
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings, environment_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp


POLL_MS: Final = 1000
"""Milliseconds between two requests of the page for new states (Dagster's default: 2000)."""
SHUTDOWN_S: Final = 3
"""Seconds that open connections may last after the end; the page never closes its websockets."""


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted; `ready` is called with the URL once the server answers requests.

    `say` gets warnings for the user: an address that others can reach, a daemon that died.

    Raises:
        InputError: the port is busy (the hint names a free port), or this machine does not have the
            address.
    """
    tell = say or _drop
    with _bound(host, port) as listening, _environment(settings):
        url = url_of(host, port)
        if not is_loopback(host):
            tell(f"Everybody who can reach {url} can see and start runs: there is no password.")
        _serve(settings, listening, url, ready or _drop, tell)


def _serve(
    settings: Settings,
    listening: socket.socket,
    url: str,
    ready: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    import uvicorn

    from cosmos_pipelines.resources.dagster_private import web_app

    with (
        open_instance(settings) as instance,
        CosmosAPI(settings=settings) as api,
        Daemon(settings, say),
        web_app(instance, WORKSPACE, poll_ms=POLL_MS) as (dagster_app, reload),
        following_recipes(api, reload),
    ):
        app = application(api, dagster_app, started=lambda: ready(url))
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_S, lifespan="on"
        )
        server = uvicorn.Server(config)
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:  # uvicorn raises the signal again after its normal end
            return


def application(
    api: CosmosAPI,
    dagster_app: ASGIApp,
    *,
    started: Callable[[], None] = lambda: None,
) -> Starlette:
    """Return the routes of this project in front of Dagster's application."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        started()
        yield
        site.hosts.end()

    site = Site(api, new_token())
    return Starlette(routes=[*routes(site), Mount("/", dagster_app)], lifespan=lifespan)


def url_of(host: str, port: int) -> str:
    """Return the URL to open in a browser on this machine."""
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
    """Yield a listening socket, so that no other process can take the port before the start."""
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
            f"Port {port} is in use.", hint=f"Use another port: `cosmos ui --port {free}`."
        )
    return InputError(f"Cannot listen on {host}:{port}: {error.strerror}.")


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Put the settings into this process's environment, which the code server inherits."""
    import os

    before = dict(os.environ)
    os.environ.update(environment_of(settings))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _drop(text: str) -> None:
    """Drop a text that no caller wants."""
