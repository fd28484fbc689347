"""`cosmos status`: show active and queued runs, GPUs, and what was left behind."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.exit_codes import one_line, say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import (
    Columns,
    age,
    at_work,
    duration,
    engine_label,
    write,
    write_json,
    write_record,
    write_table,
)
from cosmos_pipelines.cli.parameters import AllHosts, HostNames, Json, hosts_of, open_api
from cosmos_pipelines.errors import InputError

app = new_app()

SHOWN = 50
"""Active runs, and queued runs, that are listed; `--json` has all."""
RUNS: Columns = {
    "id": lambda r: r["id"],
    "type": lambda r: r["model_type"],
    "status": lambda r: "lost" if r.get("lost") else r["status"],
    "engine": lambda r: engine_label(r["engine"]),
    "where": lambda r: r["backend"],
    "for": lambda r: duration(r["seconds"]),
    "by": lambda r: r["ordered_by"],
    "progress": lambda r: (r["progress"] or {}).get("text", ""),
    "prompt": lambda r: r["prompt"],
}
GPUS: Columns = {
    "gpu": lambda g: g["index"],
    "load": lambda g: _or_unknown(g["load_percent"], " %"),
    "memory": lambda g: (
        f"{_or_unknown(g['memory_used_mib'])} of {_or_unknown(g['memory_total_mib'], ' MiB')}"
    ),
    "temperature": lambda g: _or_unknown(g["temperature_c"], " C"),
    "power": lambda g: _or_unknown(g["power_w"], " W"),
    "name": lambda g: g["name"] + (f" ({g['fault']})" if g["fault"] else ""),
}
PAUSES: Columns = {
    "what": lambda p: p["scope"],
    "by": lambda p: p["paused_by"],
    "for": lambda p: age(p["paused_at"]),
    "reason": lambda p: p["reason"],
}
LEFT: Columns = {
    "what": lambda left: left["what"],
    "id": lambda left: left["id"],
    "next": lambda left: left["do"],
    "found": lambda left: left["found"],
}


def _or_unknown(value: float | None, unit: str = "") -> str:
    return "?" if value is None else f"{value:g}{unit}"


@app.command()
def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repeat until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two repeats.")] = 2.0,
    host: HostNames = None,
    every_host: AllHosts = False,
    as_json: Json = False,
) -> None:
    """Show active and queued runs, GPUs, and what was left behind.

    All hosts are asked at the same time. One that does not answer is told after some seconds.
    """
    if watch and as_json:
        raise InputError("--watch cannot be combined with --json: give one of them.")
    hosts = hosts_of(host, every_host)
    api = open_api(ctx)
    if not watch:
        _print(api.check_status(hosts=hosts), as_json=as_json)
        return
    before = None
    while True:
        now = api.check_status(hosts=hosts)
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")  # cursor home, clear
            _print(now, as_json=False)
        elif _timeless(now) != before:
            _print(now, as_json=False)
        before = _timeless(now)
        sys.stdout.flush()
        time.sleep(every)


def _other_engines(state: dict[str, Any]) -> dict[str, str]:
    """Return the engines of upscales and enhancements, if they differ from the main engine."""
    return {
        f"{kind} engine": engine_label(name)
        for kind in ("upscale", "enhance")
        if (name := state[f"{kind}_engine"]) != state["engine"]
    }


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
            **_other_engines(state),
            "runs": counts or "none",
        }
    )
    for title, rows in (("Active", state["active"]), ("Queued", state["queued"])):
        if rows:
            write(f"\n{title}")
            write_table(rows[:SHOWN], RUNS)
        if len(rows) > SHOWN:
            say(f"{len(rows) - SHOWN:,} more of them: `cosmos status --json` lists all.")
    if state["paused"]:
        write("\nPaused")
        write_table(state["paused"], PAUSES, cut=False)
    for place in state["places"]:
        _print_place(place)
    if state["not_counted"]:
        say(state["not_counted"])
    for worker in state["workers"]:
        say(one_line(at_work(worker)))
    if state["left"]:
        write("\nLeft behind")
        write_table(state["left"], LEFT, cut=False)
    if state["lost"]:
        say(f"{len(state['lost'])} run(s) lost their process. `cosmos recover` finishes them.")


def _print_place(place: dict[str, Any]) -> None:
    """Print a place's GPUs and problems; print nothing if it has neither."""
    name = place["name"]
    if place["gpus"]:
        write(f"\nGPUs of {name}")
        write_table(place["gpus"], GPUS)
    if place["gpu_problem"]:
        say(f"{name}: {one_line(place['gpu_problem'])} See `cosmos doctor`.")
    if place["problem"]:
        say(f"{name}: {one_line(place['problem'])} See `cosmos doctor`.")


def _timeless(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state without values that change all the time, to detect real changes."""
    rows = {
        key: [{k: v for k, v in row.items() if k != "seconds"} for row in state[key]]
        for key in ("active", "queued")
    }
    places = [{k: v for k, v in place.items() if k != "gpus"} for place in state["places"]]
    return state | rows | {"places": places}
