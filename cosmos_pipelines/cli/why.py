"""`cosmos why`: the cause of a failure, what shows it, and the next command."""

from __future__ import annotations

import typer

from cosmos_pipelines.cli.exit_codes import one_line
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, RunId, open_api

app = new_app()


@app.command()
def why(ctx: typer.Context, run: RunId, as_json: Json = False) -> None:
    """Say why a run failed, how one knows, and what to do."""
    told = open_api(ctx).why(run)
    if as_json:
        write_json(told)
        return
    kind = f" ({told['error_kind']})" if told["error_kind"] else ""
    write(f"{told['run_id']} {told['status']}{kind}")
    write(one_line(told["cause"]))
    file = None
    for one in told["evidence"]:
        if one["file"] != file:
            file = one["file"]
            write(f"\n{file}")
        number = f"{one['line']}: " if one["line"] else ""
        write(f"  {number}{one_line(one['text'])[:500]}")
    if told["diagnostics"]:
        write(f"\nMore is in {told['diagnostics']}")
    write("\nNext")
    for step in told["next"]:
        write(f"  {step['command']}  ({step['use']})")
