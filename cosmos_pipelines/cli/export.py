"""`cosmos export`: write runs or prompts to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, open_api

app = new_app()


@app.command()
def export(
    ctx: typer.Context,
    what: Annotated[Literal["runs", "prompts"], typer.Argument(help="What to write.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .json file.")],
    as_json: Json = False,
) -> None:
    """Write all runs or prompts to a .csv or .json file."""
    written = open_api(ctx).export(what, file)
    if as_json:
        write_json(written)
    else:
        write(written["path"])
        say(f"{written['rows']} {what}.")
