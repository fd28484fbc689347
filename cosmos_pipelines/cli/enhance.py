"""`cosmos prompt-enhance`: make better prompts from prompts."""

from __future__ import annotations

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
    complete_prompts,
    open_api,
)
from cosmos_pipelines.cli.progress import shown_lines
from cosmos_pipelines.operations import Enhance

app = new_app()


@app.command()
@takes_fields(Enhance)
def prompt_enhance(
    ctx: typer.Context,
    prompts: Annotated[
        list[str],
        typer.Argument(
            metavar="PS_ID...",
            help="Prompts: ids, beginnings of ids, or names.",
            autocompletion=complete_prompts,
        ),
    ],
    *,
    detach: Detach = False,
    priority: Priority = 0,
    dry_run: DryRun = False,
    engine: EngineName = None,
    backend: BackendName = None,
    as_json: Json = False,
    fields: dict[str, Any],
) -> int | None:
    """Make better prompts from prompts. Each enhancement is a separate run.

    If one prompt is refused, no run is made.
    """
    api = open_api(ctx)
    settings = {"engine": engine, "backend": backend, **fields}
    single = len(prompts) == 1
    if dry_run:
        planned(api.plan_enhance(prompts, **settings), as_json=as_json)
        return None
    if detach:
        queued(
            api.enhance_prompts(prompts, queue=True, priority=priority, **settings),
            as_json=as_json,
            single=single,
        )
        return None
    with shown_lines(ctx, api) as on_line:
        runs = api.enhance_prompts(prompts, on_line=on_line, **settings)
    return finish(runs, as_json=as_json, single=single)
