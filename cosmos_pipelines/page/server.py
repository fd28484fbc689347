"""The server behind `cosmos ui`: the review page and Dagster's page on one address.

One process, one port: the guard in front of everything, the routes of this project, Dagster's web
app for all other paths, and Dagster's daemon as a child process. Where the review page is served
alone, nothing of Dagster is imported.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.page.access import Access, Addresses, access_of, addresses_of
from cosmos_pipelines.page.guard import Guard
from cosmos_pipelines.page.recipes import following_recipes
from cosmos_pipelines.page.refusals import handlers
from cosmos_pipelines.page.routes import Policy, elsewhere, routes
from cosmos_pipelines.page.site import Site
from cosmos_pipelines.settings import Settings, environment_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp
    from uvicorn import Server


POLL_MS: Final = 1000
"""Milliseconds between two requests of the page for new states (Dagster's default: 2000)."""
SHUTDOWN_S: Final = 3
"""Seconds that open connections may last after the end; Dagster's page never closes its own."""


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    dagster: bool = True,
    ready: Callable[[Addresses], None],
    say: Callable[[str], None],
) -> None:
    """Serve until interrupted; `ready` is called with the addresses once requests are answered.

    `dagster`: with Dagster's page and its daemon. `say` gets warnings for the user: a daemon that
    died.

    Raises:
        InputError: the port is busy (the hint names a free port), this machine does not have the
            address, or the file of the token cannot be used.
        CosmosError: the secret of the page cannot be kept.
    """
    with _bound(host, port) as listening:
        access = access_of(settings, host, port)
        addresses = addresses_of(access, host, settings.ui.dagster_url, dagster=dagster)
        with _application(settings, access, lambda: ready(addresses), say, dagster=dagster) as app:
            server = server_of(app)
            try:
                server.run(sockets=[listening])
            except KeyboardInterrupt:  # uvicorn raises the signal again after its normal end
                return


@contextmanager
def _application(
    settings: Settings,
    access: Access,
    started: Callable[[], None],
    say: Callable[[str], None],
    *,
    dagster: bool,
) -> Iterator[Starlette]:
    """Yield the page of a project, with Dagster's behind it and its daemon beside it or without."""
    if not dagster:
        with CosmosAPI(settings=settings) as api:
            yield application(api, access=access, started=started)
        return
    from cosmos_pipelines.daemon import WORKSPACE, Daemon
    from cosmos_pipelines.resources.dagster_private import web_app
    from cosmos_pipelines.resources.instance import open_instance

    with (
        _environment(settings),
        open_instance(settings) as instance,
        CosmosAPI(settings=settings) as api,
        Daemon(settings, say),
        web_app(instance, WORKSPACE, poll_ms=POLL_MS) as (dagster_app, reload),
        following_recipes(api, reload),
    ):
        yield application(api, dagster_app, access=access, started=started)


def application(
    api: CosmosAPI,
    dagster_app: ASGIApp | None = None,
    *,
    access: Access | None = None,
    started: Callable[[], None] = lambda: None,
) -> Starlette:
    """Return the review page, with the guard in front of everything.

    `dagster_app`: Dagster's application, for all other paths; without it they lead to
    `[ui] dagster_url`. `access`: who may open the page; default: as `[ui]` says.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Mount

    ui = api.settings.ui
    access = access or access_of(api.settings, ui.host, ui.port)
    site = Site(api, access.form_token, "" if dagster_app else ui.dagster_url)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        started()
        yield
        site.hosts.end()

    app = Starlette(
        routes=[*routes(site), Mount("/", dagster_app) if dagster_app else elsewhere(site)],
        lifespan=lifespan,
        middleware=[Middleware(Guard, access=access), Middleware(Policy)],
        exception_handlers=handlers(site),
    )
    app.state.end_streams = site.feed.end
    return app


def server_of(app: Starlette) -> Server:
    """Return the server of the page; it ends the pages' event streams first when it ends."""
    import uvicorn

    class Ending(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.end_streams()
            await super().shutdown(sockets)

    return Ending(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # an address may hold the token
            timeout_graceful_shutdown=SHUTDOWN_S,
            lifespan="on",
        )
    )


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
