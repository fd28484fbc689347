"""`cosmos kill`: stop one run, or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cosmos_pipelines.cli.asking import agreed
from cosmos_pipelines.cli.door import FAILED, say
from cosmos_pipelines.cli.ending import ENDED
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write_json, write_table
from cosmos_pipelines.cli.parameters import Force, Json, complete_runs, open_api
from cosmos_pipelines.errors import InputError

if TYPE_CHECKING:
    from cosmos_pipelines.api import CosmosAPI

app = new_app()


@app.command()
def kill(
    ctx: typer.Context,
    wanted: Annotated[
        str | None,
        typer.Argument(
            metavar="RS_ID",
            help="The run to stop, by its id or the beginning of it.",
            autocompletion=complete_runs,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="RS_ID", help="The same.", autocompletion=complete_runs),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Stop every run in work and empty the queue.")
    ] = False,
    left: Annotated[
        bool, typer.Option("--orphans", help="Stop what executes without a run that owns it.")
    ] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Also stop the runs that share its model load.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> int | None:
    """Stop one run, or all. --all and --orphans show first what they would stop, and ask."""
    if [wanted is not None, run is not None, everything, left].count(True) != 1:
        raise InputError("Give one of RS_ID, --all and --orphans.")
    run = run if wanted is None else wanted
    api = open_api(ctx)
    if left:
        return _orphans(api, force=force, as_json=as_json)
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


def _orphans(api: CosmosAPI, *, force: bool, as_json: bool) -> int | None:
    victims = api.check_status()["orphans"]
    for one in victims:
        say(f"would stop {one}, which no run owns")
    if victims and not agreed(f"Stop {len(victims)} order(s)?", force=force):
        return FAILED
    stopped = api.kill_orphans() if victims else []
    if as_json:
        write_json(stopped)
    else:
        say(f"Stopped {len(stopped)}." if stopped else "Nothing runs without a run that owns it.")
    return None
