"""`cosmos kill`: stop one run, or all."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.asking import agreed
from cosmos_pipelines.cli.door import FAILED, say
from cosmos_pipelines.cli.ending import ENDED
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write_json, write_table
from cosmos_pipelines.cli.parameters import Force, Json, complete_runs, open_api
from cosmos_pipelines.errors import InputError

app = new_app()


@app.command()
def kill(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Option(metavar="RS_ID", help="The run to stop.", autocompletion=complete_runs),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Stop every run in work and empty the queue.")
    ] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Also stop the runs that share its model load.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> int | None:
    """Stop one run, or all. --all shows first what it would stop, and asks."""
    if (run is None) != everything:
        raise InputError("Give either --run RS_ID or --all.")
    api = open_api(ctx)
    if everything:
        state = api.check_status()
        victims = [*state["active"], *state["queued"]]
        for one in victims:
            say(f"would stop {one['id']}  {one['model_type']}, {one['status']}")
        if victims and not agreed(f"Stop {len(victims)} run(s)?", force=force):
            return FAILED
    stopped = api.kill(run, all=everything, batch=batch)
    if as_json:
        write_json(stopped)
    elif stopped:
        write_table(stopped, ENDED, cut=False)
    else:
        say("Nothing was running or waiting.")
    return None
