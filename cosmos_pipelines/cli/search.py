"""`cosmos search`: find prompts by words."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.listing import PROMPTS
from cosmos_pipelines.cli.output import write_json, write_table
from cosmos_pipelines.cli.parameters import MOST, Json, open_catalog

app = new_app()


@app.command()
def search(
    ctx: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words that text and name must have.")
    ],
    limit: Annotated[
        int, typer.Option(min=1, max=MOST, help="Number of prompts at most, best first.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """Find prompts by words of their text or name, best first."""
    from cosmos_pipelines.catalog.search import search_prompts

    rows = [row.as_dict() for row in search_prompts(open_catalog(ctx), " ".join(words), limit)]
    if as_json:
        write_json(rows)
    else:
        write_table(rows, PROMPTS)
