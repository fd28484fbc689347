"""`cosmos rate`: rate a run's result."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, RunId, open_api

app = new_app()


@app.command()
def rate(
    ctx: typer.Context,
    run: RunId,
    rating: Annotated[int, typer.Argument(min=0, max=5, help="1 is bad, 5 is good; 0: no rating.")],
    as_json: Json = False,
) -> None:
    """Rate a run's result from 1 to 5."""
    rated = open_api(ctx).rate(run, rating)
    if as_json:
        write_json(rated)
    else:
        write(f"{rated['id']}  {rated['rating'] or 'not rated'}")
