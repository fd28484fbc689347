"""`cosmos verify`: compare the catalog with the files."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmos_pipelines.cli.exit_codes import FAILED, OK, say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import Columns, write_json, write_table
from cosmos_pipelines.cli.parameters import Json, open_api

app = new_app()

PROBLEMS: Columns = {
    "kind": lambda p: p["kind"],
    "id": lambda p: p["id"],
    "fix": lambda p: p["fix"],
    "what": lambda p: p["message"],
    "path": lambda p: p["path"],
}


@app.command()
def verify(
    ctx: typer.Context,
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what can be repaired without any loss.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read every result and scene and compare hashes.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Compare the catalog with the files. Exit code 1 if a problem remains."""
    found = open_api(ctx).verify_integrity(fix=fix, deep=deep)
    problems, fixed = found["problems"], found["fixed"]
    if as_json:
        write_json(found)
    elif problems:
        write_table(problems, PROBLEMS, cut=False)
    fixable = sum(p["fix"] is not None for p in problems)
    hint = f" `--fix` repairs {fixable}." if fixable and not fix else ""
    say(f"{len(problems)} problem(s), {len(fixed)} repaired.{hint}")
    return OK if len(fixed) == len(problems) else FAILED
