"""`cosmos status`: what runs where, what waits, what was left behind."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.door import say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import (
    Columns,
    duration,
    engine_label,
    write,
    write_json,
    write_record,
    write_table,
)
from cosmos_pipelines.cli.parameters import Json, open_api
from cosmos_pipelines.errors import InputError

app = new_app()

IN_WORK: Columns = {
    "id": lambda r: r["id"],
    "type": lambda r: r["model_type"],
    "status": lambda r: "lost" if r.get("lost") else r["status"],
    "engine": lambda r: engine_label(r["engine"]),
    "for": lambda r: duration(r["seconds"]),
    "prompt": lambda r: r["prompt"],
}


@app.command()
def status(
    ctx: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Show what runs where, what waits, what was left behind."""
    if watch and as_json:
        raise InputError("--watch prints many times, --json once; give one of them.")
    api = open_api(ctx)
    if not watch:
        _print(api.check_status(), as_json=as_json)
        return
    before = None
    while True:
        now = api.check_status()
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")  # cursor home, clear
            _print(now, as_json=False)
        elif _timeless(now) != before:
            _print(now, as_json=False)
        before = _timeless(now)
        sys.stdout.flush()
        time.sleep(every)


def _print(state: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(state)
        return
    counts = ", ".join(f"{n} {name}" for name, n in state["counts"].items() if n)
    write_record(
        {
            "home": state["home"],
            "catalog": state["catalog"],
            "backend": state["backend"],
            "engine": state["engine_label"],
            "runs": counts or "none",
        }
    )
    for title, rows in (("In work", state["active"]), ("Queued", state["queued"])):
        if rows:
            write(f"\n{title}")
            write_table(rows, IN_WORK)
    if state["lost"]:
        say(f"{len(state['lost'])} run(s) lost their process. `cosmos recover` finishes them.")
    if state["orphans"]:
        say(f"Executing without a run that owns it: {', '.join(state['orphans'])}.")


def _timeless(state: dict[str, Any]) -> dict[str, Any]:
    """The state without what changes by itself, to tell whether anything happened."""
    rows = {
        key: [{k: v for k, v in row.items() if k != "seconds"} for row in state[key]]
        for key in ("active", "queued")
    }
    return state | rows
