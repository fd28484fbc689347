"""`cosmos why`: show the cause of a failure, its evidence, and the next command."""

from __future__ import annotations

import typer

from cosmos_pipelines.cli.exit_codes import one_line
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, RunId, open_api

app = new_app()


@app.command()
def why(ctx: typer.Context, run: RunId, as_json: Json = False) -> None:
    """Say why a run failed, with the evidence, and what to do."""
    answer = open_api(ctx).why(run)
    if as_json:
        write_json(answer)
        return
    kind = f" ({answer['error_kind']})" if answer["error_kind"] else ""
    write(f"{answer['run_id']} {answer['status']}{kind}")
    write(one_line(answer["cause"]))
    file = None
    for evidence in answer["evidence"]:
        if evidence["file"] != file:
            file = evidence["file"]
            write(f"\n{file}")
        number = f"{evidence['line']}: " if evidence["line"] else ""
        write(f"  {number}{one_line(evidence['text'])[:500]}")
    if answer["diagnostics"]:
        write(f"\nMore is in {answer['diagnostics']}")
    write("\nNext")
    for step in answer["next"]:
        write(f"  {step['command']}  ({step['use']})")
