"""`cosmos backup`: the catalog as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, open_api

app = new_app()


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that does not exist yet.")],
    as_json: Json = False,
) -> None:
    """Copy the catalog to one file, while others go on reading and writing it."""
    written = open_api(ctx).backup(file)
    if as_json:
        write_json(written)
    else:
        write(written["path"])
