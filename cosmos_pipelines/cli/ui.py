"""`cosmos ui`: serve the web page."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.parameters import open_api

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
) -> None:
    """Serve the web page, with the daemon that executes queued runs, until Ctrl-C."""
    from cosmos_pipelines.page.server import serve

    settings = open_api(ctx).settings
    serve(
        settings,
        host=host or settings.ui.host,
        port=port or settings.ui.port,
        ready=lambda url: say(f"Serving {url} until Ctrl-C."),
        say=say,
    )
