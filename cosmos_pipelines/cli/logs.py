"""`cosmos logs`: print a run's log."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write
from cosmos_pipelines.cli.parameters import RunId, open_api

app = new_app()


@app.command()
def logs(
    ctx: typer.Context,
    run: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Also print new lines until the run has ended.")
    ] = False,
) -> None:
    """Print a run's log."""
    for line in open_api(ctx).stream_logs(run, follow=follow):
        write(line)
        if follow:
            sys.stdout.flush()
