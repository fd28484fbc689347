"""`cosmos upscale`: make a 4K video from a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.ending import finish, planned, queued
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.options import takes_fields
from cosmos_pipelines.cli.parameters import (
    BackendName,
    Detach,
    DryRun,
    EngineName,
    Json,
    Priority,
    complete_runs,
    open_api,
)
from cosmos_pipelines.cli.progress import shown_lines
from cosmos_pipelines.operations import Upscale

app = new_app()


@app.command()
@takes_fields(Upscale)
def upscale(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RS_ID]",
            help="The run whose video to upscale; or give --video.",
            autocompletion=complete_runs,
        ),
    ] = None,
    *,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A video file instead of a run.")
    ] = None,
    detach: Detach = False,
    priority: Priority = 0,
    dry_run: DryRun = False,
    engine: EngineName = None,
    backend: BackendName = None,
    as_json: Json = False,
    fields: dict[str, Any],
) -> int | None:
    """Make a 4K video from a run's video or from a file. The upscale is a separate run."""
    api = open_api(ctx)
    settings = {"video": video, "engine": engine, "backend": backend, **fields}
    if dry_run:
        planned(api.plan_upscale(run, **settings), as_json=as_json)
        return None
    if detach:
        queued(
            [api.create_upscale(run, queue=True, priority=priority, **settings)],
            as_json=as_json,
            single=True,
        )
        return None
    with shown_lines(ctx, api) as on_line:
        made = api.upscale_run(run, on_line=on_line, **settings)
    return finish([made], as_json=as_json, single=True)
