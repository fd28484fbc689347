"""`cosmos delete`: delete a prompt or a run, with all that was made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import typer

from cosmos_pipelines.cli.asking import agreed
from cosmos_pipelines.cli.exit_codes import FAILED, one_line, say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import DryRun, Force, Json, PromptId, RunId, open_api

app = new_app(help="Delete a prompt or a run with its files. First shows what will be deleted.")


@app.command()
def prompt(
    ctx: typer.Context,
    prompt: PromptId,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int | None:
    """Delete a prompt, the prompts that were enhanced from it, their runs and files."""
    return _delete(ctx, "prompt", prompt, force=force, dry_run=dry_run, as_json=as_json)


@app.command()
def run(
    ctx: typer.Context,
    run: RunId,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int | None:
    """Delete a run, the 4K runs of its video, and their files."""
    return _delete(ctx, "run", run, force=force, dry_run=dry_run, as_json=as_json)


def _delete(
    ctx: typer.Context,
    kind: Literal["prompt", "run"],
    wanted: str,
    *,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> int | None:
    api = open_api(ctx)
    plan = api.plan_deletion(kind, wanted)
    lines = _lines(plan)
    if dry_run:
        write_json(plan) if as_json else write("\n".join(lines))
        say("Nothing was done: --dry-run.")
        return None
    for line in lines:
        say(line)
    if not agreed(f"Delete this {kind} and all of the above?", force=force):
        return FAILED
    delete = api.delete_prompt if kind == "prompt" else api.delete_run
    gone = delete(plan["id"])
    if as_json:
        write_json(gone)
    else:
        write(gone["id"])
    return None


def _lines(plan: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing to delete, and a line with the bytes that this frees."""
    prompts = [f"prompt {p['id']}  {p['name']}: {one_line(p['text'])}" for p in plan["prompts"]]
    runs = [f"run {r['id']}  {r['model_type']}, {r['status']}" for r in plan["runs"]]
    directories = [f"directory {path}" for path in plan["directories"]]
    return [*prompts, *runs, *directories, f"{plan['bytes']:,} bytes in all"]
