"""`cosmos doctor`: check what runs need."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer

from cosmos_pipelines.cli.exit_codes import BAD_INPUT, FAILED, GPU_SIDE, OK, one_line, say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import (
    AllHosts,
    BackendName,
    HostNames,
    Json,
    hosts_of,
    open_api,
)
from cosmos_pipelines.errors import SettingsError

app = new_app()

MARKS = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skipped": "-"}
EXIT = {"settings": BAD_INPUT, "host": GPU_SIDE, "here": FAILED}
"""The exit code by the place of the failed check, the most basic first."""

Row = dict[str, Any]


@app.command()
def doctor(
    ctx: typer.Context,
    backend: BackendName = None,
    host: HostNames = None,
    every: AllHosts = False,
    as_json: Json = False,
) -> int:
    """Check what runs need, here and on the GPU hosts.

    The hosts are asked at the same time, and each has a block of results, which comes when it is
    whole: one that is away holds up none.

    Exit code 0 if no check fails (warnings are allowed), 2 if settings are wrong, 4 if a check
    fails on the host, 1 if a check fails on this machine.
    """
    hosts = hosts_of(host, every)
    show = _ignore if as_json else _shower()
    try:
        rows = open_api(ctx).doctor(backend, hosts=hosts, on_check=show)
    except SettingsError as e:
        wrong = {"name": "settings", "place": "settings", "result": "fail"}
        rows = [wrong | {"found": e.message, "do": e.hint or ""}]
        show(rows[0])
    if as_json:
        write_json(rows)
    counts = {result: sum(row["result"] == result for row in rows) for result in MARKS}
    checks = "1 check" if len(rows) == 1 else f"{len(rows)} checks"
    say(f"{checks}: {', '.join(f'{n} {r}' for r, n in counts.items() if n)}.")
    failed = [row["place"] for row in rows if row["result"] == "fail"]
    return next((code for place, code in EXIT.items() if place in failed), OK)


def _shower() -> Callable[[Row], None]:
    """Return what prints each result, with a heading before those of a host."""
    shown = None

    def show(row: Row) -> None:
        nonlocal shown
        if row.get("host") not in (None, shown):
            write(f"\nHost {row['host']}")
        shown = row.get("host")
        _show(row)

    return show


def _show(row: Row) -> None:
    """Print a line for what was found, and a line for what to do about it."""
    write(f"{MARKS[row['result']]:<4}  {row['name']:<17}  {one_line(row['found'])}")
    if row["do"]:
        write(f"{'':25}-> {one_line(row['do'])}")
    sys.stdout.flush()


def _ignore(row: Row) -> None:
    """Print nothing: JSON is printed as a whole."""
