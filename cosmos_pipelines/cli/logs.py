"""`cosmos logs`: print a run's log."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.parameters import RunId, open_api
from cosmos_pipelines.lines import PlainText

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
    """Print a run's log, as text: colours and other codes for a terminal are left out.

    The log itself, byte for byte, is the file logs/run.log of the run.
    """
    text, shown = PlainText(overwrites=follow and sys.stdout.isatty()), "\n"
    for piece in open_api(ctx).stream_log_text(run, follow=follow, tail=tail):
        shown = _print(text.add(piece)) or shown
        if follow:
            sys.stdout.flush()
    shown = _print(text.rest()) or shown
    if not shown.endswith("\n"):
        sys.stdout.write("\n")


def _print(text: str) -> str:
    sys.stdout.write(text)
    return text
