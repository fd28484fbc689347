"""`cosmos clean`: remove what no run needs any more."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.exit_codes import FAILED, OK, say, tell
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import Columns, write_json, write_table
from cosmos_pipelines.cli.parameters import DryRun, Json, open_api

app = new_app()

KINDS: Columns = {
    "what": lambda k: k["kind"],
    "where": lambda k: k["place"],
    "number": lambda k: k["number"],
    "bytes": lambda k: f"{k['bytes']:,}",
}
THINGS: Columns = {
    "what": lambda r: r["kind"],
    "where": lambda r: r["place"],
    "bytes": lambda r: f"{r['bytes']:,}",
    "id": lambda r: r["id"],
}


@app.command()
def clean(
    ctx: typer.Context,
    older: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="How long nothing has used it: as 12h, 30d or 8w; default: as in cosmos.toml.",
        ),
    ] = None,
    dry_run: DryRun = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="A line for each thing, not for each kind.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Remove what no run needs any more. Results, scenes, prompts and runs are never touched.

    Run folders and containers of ended runs, uploaded inputs and scripts, records of ended loads,
    old Dagster runs and their logs. What an unfinished run needs stays, and what may still be
    collected. Exit code 1 if something could not be removed.
    """
    cleaned = open_api(ctx).clean(older=older, dry_run=dry_run)
    kinds, removed, problems = cleaned["kinds"], cleaned["removed"], cleaned["problems"]
    if as_json:
        write_json(cleaned)
    elif verbose and removed:
        write_table(removed, THINGS, cut=False)
    elif kinds:
        write_table(kinds, KINDS)
    for problem in problems:
        tell(problem)
    size = sum(kind["bytes"] for kind in kinds)
    say(f"{len(removed)} thing(s), {size:,} bytes{'' if dry_run else ' removed'}.")
    if dry_run:
        say("Nothing was done: --dry-run.")
    return FAILED if problems else OK
