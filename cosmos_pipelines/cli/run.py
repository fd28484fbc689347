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
    """Execute runs that exist: pending, failed or left behind.

    Pending ones start, failed ones are tried again, and those that were left behind by a process
    that died are adopted where they are. The exit code is that of the worst run.
    """
    api = open_api(ctx)
    wanted = [api.get_run(one)["id"] for one in runs]
    with shown_lines(ctx, api) as on_line:
        done = api.execute_runs(wanted, on_line=on_line)
    return finish(done, as_json=as_json, single=len(runs) == 1)
