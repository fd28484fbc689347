"""`cosmos run`: execute runs that exist already."""

from __future__ import annotations

import typer

from cosmos_pipelines.cli.ending import finish
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.parameters import Json, RunIds, open_api
from cosmos_pipelines.cli.progress import shown_lines

app = new_app()


@app.command()
def run(ctx: typer.Context, runs: RunIds, as_json: Json = False) -> int:
    """Execute runs that exist: pending, failed or lost.

    Pending runs start, failed runs are tried again, and lost runs, whose process died, are
    continued. The exit code is the highest of all runs.
    """
    api = open_api(ctx)
    wanted = [api.get_run(word)["id"] for word in runs]
    with shown_lines(ctx, api) as on_line:
        done = api.execute_runs(wanted, on_line=on_line)
    return finish(done, as_json=as_json, single=len(runs) == 1)
