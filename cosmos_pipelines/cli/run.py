"""`cosmos run`: execute runs that exist already, or make their results again."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.ending import finish, queued
from cosmos_pipelines.cli.exit_codes import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.parameters import Detach, Json, RunIds, open_api
from cosmos_pipelines.cli.progress import shown_lines
from cosmos_pipelines.errors import InputError

app = new_app()


@app.command()
def run(
    ctx: typer.Context,
    runs: RunIds = None,
    *,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Make their results again, as new runs with the same settings, of what is there "
            "now; the old ones are kept. Without any RS_ID: of all that are out of date.",
        ),
    ] = False,
    detach: Detach = False,
    as_json: Json = False,
) -> int:
    """Execute runs that exist: pending, failed or lost.

    Pending runs start, failed runs are tried again, and lost runs, whose process died, are
    continued. The exit code is the highest of all runs.
    """
    if not runs and not again:
        raise InputError("No run was given.", hint="See `cosmos list runs`.")
    if detach and not again:
        raise InputError("--detach is for --again.", hint="Leave it out.")
    api = open_api(ctx)
    wanted = [api.get_run(word)["id"] for word in runs] if runs else None
    single = wanted is not None and len(wanted) == 1
    if again and detach:
        queued(api.run_again(wanted, queue=True), as_json=as_json, single=single)
        return 0
    with shown_lines(ctx, api) as on_line:
        if again:
            done = api.run_again(wanted, on_line=on_line)
        else:
            done = api.execute_runs(wanted or [], on_line=on_line)
    if again and not done and not as_json:
        say("Nothing is out of date.")
    return finish(done, as_json=as_json, single=single)
