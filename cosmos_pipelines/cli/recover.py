"""`cosmos recover`: finish lost runs."""

from __future__ import annotations

import typer

from cosmos_pipelines.cli.ending import finish
from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.parameters import Json, open_api
from cosmos_pipelines.cli.progress import shown_lines

app = new_app()


@app.command()
def recover(ctx: typer.Context, as_json: Json = False) -> int:
    """Adopt and finish the runs whose process died, or that were given up and still run."""
    api = open_api(ctx)
    with shown_lines(ctx, api) as on_line:
        runs = api.recover(on_line=on_line)
    if not runs:
        say("There is no lost run.")
    return finish(runs, as_json=as_json)
