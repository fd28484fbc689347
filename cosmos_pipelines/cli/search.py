"""`cosmos search`: find prompts by words."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.listing import PROMPTS
from cosmos_pipelines.cli.output import write_json, write_table
from cosmos_pipelines.cli.parameters import Json, open_api

app = new_app()


@app.command()
def search(
    ctx: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words that text and name must have.")
    ],
    limit: Annotated[int, typer.Option(min=1, help="Number of prompts at most, best first.")] = 20,
    as_json: Json = False,
) -> None:
    """Find prompts by words of their text or name, best first."""
    rows = open_api(ctx).search_prompts(" ".join(words), limit=limit)
    if as_json:
        write_json(rows)
    else:
        write_table(rows, PROMPTS)
