"""`cosmos ui`: serve the web page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.parameters import open_api

if TYPE_CHECKING:
    from cosmos_pipelines.page.access import Addresses

app = new_app()


@app.command()
def ui(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="The address to bind; default: as in cosmos.toml.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port; default: as in cosmos.toml.")
    ] = None,
    without_dagster: Annotated[
        bool, typer.Option("--without-dagster", help="The review page alone, without the daemon.")
    ] = False,
) -> None:
    """Serve the review page and Dagster's, with the daemon that executes queued runs, until Ctrl-C.

    On an address that other machines reach, the printed link has the token that lets in.
    """
    from cosmos_pipelines.page.server import serve

    settings = open_api(ctx).settings
    serve(
        settings,
        host=host or settings.ui.host,
        port=port or settings.ui.port,
        dagster=not without_dagster,
        ready=_tell,
        say=say,
    )


def _tell(addresses: Addresses) -> None:
    say(f"Review page:     {addresses.page}")
    if addresses.others:
        say(f"for others:      {addresses.others}")
    if addresses.dagster:
        say(f"Dagster's page:  {addresses.dagster}")
    if addresses.token_file:
        say("The page asks for the token in the file that [ui] token_file names.")
    say("Serving until Ctrl-C.")
