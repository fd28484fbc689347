"""`cosmos kill`: stop one run, or all runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cosmos_pipelines.cli.asking import agreed
from cosmos_pipelines.cli.ending import RUN_COLUMNS
from cosmos_pipelines.cli.exit_codes import FAILED, say
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
        bool, typer.Option("--all", help="Stop every active run and empty the queue.")
    ] = False,
    left: Annotated[
        bool, typer.Option("--stray", help="Stop active orders that belong to no run.")
    ] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Also stop the runs that share the run's model load.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> int | None:
    """Stop one run, or all runs. --all and --stray first show what they would stop, and ask."""
    if [wanted is not None, run is not None, everything, left].count(True) != 1:
        raise InputError("Give one of RS_ID, --all and --stray.")
    run = run if wanted is None else wanted
    api = open_api(ctx)
    if left:
        return _stray(api, force=force, as_json=as_json)
    if everything:
        state = api.check_status()
        runs = [*state["active"], *state["queued"]]
        for row in runs:
            say(f"would stop {row['id']}  {row['model_type']}, {row['status']}")
        if runs and not agreed(f"Stop {len(runs)} run(s)?", force=force):
            return FAILED
    stopped = api.kill(run, all=everything, batch=batch)
    if as_json:
        write_json(stopped)
    elif stopped:
        write_table(stopped, RUN_COLUMNS, cut=False)
    else:
        say("No run was active or queued.")
    return None


def _stray(api: CosmosAPI, *, force: bool, as_json: bool) -> int | None:
    state = api.check_status()
    for left in state["left"]:
        if left["what"] == "given up":
            say(
                f"leaves {left['id']} alone: {left['found']}. `cosmos run {left['id']}` goes on "
                f"with it, `cosmos kill {left['id']}` stops it."
            )
    orders = state["stray"]
    for order in orders:
        say(f"would stop {order}, which belongs to no run")
    if orders and not agreed(f"Stop {len(orders)} order(s)?", force=force):
        return FAILED
    stopped = api.kill_stray() if orders else []
    if as_json:
        write_json(stopped)
    else:
        say(f"Stopped {len(stopped)} order(s)." if stopped else "Every active order has a run.")
    return None
