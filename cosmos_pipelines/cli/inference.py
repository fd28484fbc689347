"""`cosmos inference`: make videos from prompts."""

from __future__ import annotations

import re
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
    RecipeName,
    complete_prompts,
    open_api,
)
from cosmos_pipelines.cli.progress import shown_lines
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.foreign import expanded, read_stream, read_text
from cosmos_pipelines.operations import Transfer

app = new_app()


@app.command()
@takes_fields(Transfer)
def inference(
    ctx: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PS_ID...]",
            help="Prompts: ids, beginnings of ids, or names.",
            autocompletion=complete_prompts,
        ),
    ] = None,
    *,
    prompts_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="More prompts: one id or name a line; # comments; - is stdin."
        ),
    ] = None,
    recipe: RecipeName = None,
    batch_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Tag the runs with batch:NAME.")
    ] = None,
    upscale: Annotated[
        bool, typer.Option("--upscale", help="Also make a 4K video from every result.")
    ] = False,
    detach: Detach = False,
    priority: Priority = 0,
    dry_run: DryRun = False,
    engine: EngineName = None,
    backend: BackendName = None,
    as_json: Json = False,
    fields: dict[str, Any],
) -> int | None:
    """Make videos from prompts.

    Runs of several prompts share model loads where that changes no pixel. If one prompt is
    refused, no run is made. The exit code is the highest of all runs.
    """
    wanted = [*(prompts or []), *(_read(prompts_file) if prompts_file else [])]
    if not wanted:
        raise InputError("No prompt was given.", hint="See `cosmos list prompts`.")
    api = open_api(ctx)
    settings = {"recipe": recipe, "engine": engine, "backend": backend, **fields}
    single = len(wanted) == 1 and prompts_file is None
    if dry_run:
        planned(api.plan_inference(wanted, upscale=upscale, **settings), as_json=as_json)
        return None
    if detach:
        runs = api.batch_inference(
            wanted,
            batch_name=batch_name,
            upscale=upscale,
            queue=True,
            priority=priority,
            **settings,
        )
        queued(runs, as_json=as_json, single=single)
        return None
    with shown_lines(ctx, api) as on_line:
        runs = api.batch_inference(
            wanted, batch_name=batch_name, upscale=upscale, on_line=on_line, **settings
        )
    return finish(runs, as_json=as_json, single=single)


def _read(file: Path) -> list[str]:
    """Return the ids or names in a file, one a line; `-` and shell pipes are read as well."""
    if str(file) == "-":
        text = read_stream(0, "standard input")
    elif opened := re.fullmatch(r"/dev/(?:fd/(\d{1,6})|stdin)", str(file)):
        text = read_stream(int(opened[1] or 0), str(file) if opened[1] else "standard input")
    else:
        text = read_text(expanded(file))
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
