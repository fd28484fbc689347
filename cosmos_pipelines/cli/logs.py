"""`cosmos logs`: print a run's log."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.parameters import RunId, open_api

app = new_app()


@app.command()
def logs(
    ctx: typer.Context,
    run: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Also print new lines until the run has ended.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Begin with the last N lines.")
    ] = None,
) -> None:
    """Print a run's log."""
    piece = "\n"
    for piece in open_api(ctx).stream_log_text(run, follow=follow, tail=tail):
        sys.stdout.write(piece)
        if follow:
            sys.stdout.flush()
    if not piece.endswith("\n"):
        sys.stdout.write("\n")
