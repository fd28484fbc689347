"""`cosmos tag`: add and remove tags of runs."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, RunId, open_api

app = new_app()


@app.command()
def tag(
    ctx: typer.Context,
    run: RunId,
    add: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG...]", help="Tags to add.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", "-r", metavar="TAG", help="A tag to remove.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add and remove tags of a run, and print the run's tags.

    The tags `picked` and `rejected` are verdicts: one takes the place of the other.
    """
    tagged = open_api(ctx).tag(run, add=add or [], remove=remove or [])
    if as_json:
        write_json(tagged)
    else:
        write(f"{tagged['id']}  {', '.join(tagged['tags'])}".rstrip())
