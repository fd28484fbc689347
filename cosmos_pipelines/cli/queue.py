"""`cosmos queue`: what runs and what waits, the loads to come; pause, move, why, work."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cosmos_pipelines.cli.exit_codes import one_line, say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import (
    Columns,
    at_work,
    duration,
    engine_label,
    write,
    write_json,
    write_record,
    write_table,
)
from cosmos_pipelines.cli.parameters import Json, RunId, complete_runs, open_api

app = new_app(cls=TyperGroup, help="Show, plan, pause and change the queue, or work on it.")

Host = Annotated[str | None, typer.Option("--host", metavar="NAME", help="Only this place.")]
Engine = Annotated[str | None, typer.Option("--engine", metavar="NAME", help="Only this engine.")]
Row = dict[str, Any]


def _when(seconds: float | None, high: float | None = None) -> str:
    """A time from now; `high`: what nine of ten do not exceed."""
    if seconds is None:
        return "?"
    said = "now" if seconds < 1 else f"in {duration(seconds)}"
    return said if high is None or high - seconds < 1 else f"{said}, at most {duration(high)}"


def _money(amount: float | None, currency: str) -> str:
    return "" if amount is None else f"{amount:.2f} {currency}"


def _columns(currency: str) -> Columns:
    return {
        "#": lambda r: r.get("position", ""),
        "run": lambda r: r["id"],
        "type": lambda r: r["model_type"],
        "status": lambda r: "lost" if r.get("lost") else r["status"],
        "engine": lambda r: engine_label(r["engine"]),
        "where": lambda r: r["backend"],
        "starts": lambda r: _when(r["start_s"], r["start_p90_s"]) if "start_s" in r else "",
        "ends": lambda r: _when(r["end_s"], r["end_p90_s"]) if "end_s" in r else _when(r["left_s"]),
        "cost": lambda r: _money(r.get("cost"), currency),
        "with": lambda r: f"{len(r['shares'])} more" if r["shares"] else "",
        "what": lambda r: r["title"],
    }


@app.callback(invoke_without_command=True)
def queue(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=0, help="Most waiting runs.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what runs and what waits, in the order of its start; or give one of the commands.

    Times and costs come from earlier runs: half of such runs are done by then, and nine of ten by
    the second time. ? is not known.
    """
    if ctx.invoked_subcommand is not None:
        return
    api = open_api(ctx)
    found = api.look_at_queue(limit)
    if as_json:
        write_json(found)
        return
    for pause in found["pauses"]:
        say(_paused(pause))
    for worker in found["workers"]:
        say(one_line(at_work(worker)))
    _tell_if_nothing_starts(found)
    if found["not_counted"]:
        say(found["not_counted"])
    rows = [*found["running"], *found["waiting"]]
    if rows:
        write_table(rows, _columns(found["currency"]))
    if (more := found["waiting_in_all"] - len(found["waiting"])) > 0:
        say(f"{more} more wait; --limit shows more.")
    elif not rows:
        say("Nothing runs, and nothing waits.")


@app.command()
def plan(ctx: typer.Context, as_json: Json = False) -> None:
    """Show the loads that run and those to come: their runs, times and costs."""
    found = open_api(ctx).plan_queue()
    if as_json:
        write_json(found)
        return
    currency = found["currency"]
    for load in found["active"]:
        write(f"{'Runs' if load['started'] else 'Is sent'}: {_load(load, found['lanes'])}")
        record = {
            "starts": "" if load["started"] else _when(load["start_s"], load["start_p90_s"]),
            "ends": _when(load["end_s"], load["end_p90_s"]),
            "costs": _money(load["cost"], currency),
            "runs": load["run_ids"],
        }
        write_record(record, indent="  ")
    for number, load in enumerate(found["loads"], start=1):
        write(f"Load {number}: {_load(load, found['lanes'])}")
        record = {
            "starts": _when(load["start_s"], load["start_p90_s"]),
            "ends": _when(load["end_s"], load["end_p90_s"]),
            "saves": f"{duration(load['saved_s'])} of a GPU" if load["saved_s"] else "",
            "costs": _money(load["cost"], currency),
            "why": load["why"],
            "may change": [f"{run} ({', '.join(new)})" for run, new in load["added"].items()],
            "runs": load["run_ids"],
        }
        write_record(record, indent="  ")
    for run_id, why_not in found["unplaced"].items():
        say(f"{run_id} is in no load: {one_line(why_not)}")
    if not found["loads"]:
        say("Nothing that waits can be planned." if found["unplaced"] else "Nothing waits.")
        return
    in_all = [f"{len(found['loads'])} load{'s' if len(found['loads']) > 1 else ''}"]
    in_all += [f"ends {_when(found['ends_s'])}"] if found["ends_s"] is not None else []
    in_all += [f"{duration(found['saved_s'])} of a GPU saved"] if found["saved_s"] else []
    costs = [load["cost"] for load in found["loads"]]
    if known := [cost for cost in costs if cost is not None]:
        unknown = f" and {len(costs) - len(known)} of unknown cost" * (len(known) < len(costs))
        in_all.append(_money(sum(known), currency) + unknown)
    say(f"In all: {', '.join(in_all)}.")
    if found["not_planned"]:
        say(f"{found['not_planned']} more runs wait behind these.")


@app.command()
def pause(
    ctx: typer.Context,
    host: Host = None,
    engine: Engine = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; others are shown it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start nothing more that waits, until `cosmos queue resume`. What runs goes on."""
    made = open_api(ctx).pause_queue(host=host, engine=engine, reason=reason)
    if as_json:
        write_json(made)
    else:
        say(_paused(made))


@app.command()
def resume(
    ctx: typer.Context, host: Host = None, engine: Engine = None, as_json: Json = False
) -> None:
    """Start what waits again after `cosmos queue pause`, with the same options."""
    api = open_api(ctx)
    left = api.resume_queue(host=host, engine=engine)
    if as_json:
        write_json(left)
        return
    for one in left["pauses"]:
        say(f"Still there: {_paused(one)}")
    if not left["pauses"]:
        say("Nothing is paused any more.")
        _tell_if_nothing_starts(api.look_at_queue(limit=0))


@app.command()
def move(
    ctx: typer.Context,
    run: RunId,
    first: Annotated[bool, typer.Option("--first", help="Before all that waits.")] = False,
    before: Annotated[
        str | None,
        typer.Option(metavar="RS_ID", help="Just before this run.", autocompletion=complete_runs),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(min=-100, max=100, help="An hour earlier for each step up."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Move a waiting run in the queue: --first, --before RS_ID or --priority N."""
    moved = open_api(ctx).move_run(run, first=first, before=before, priority=priority)
    if as_json:
        write_json(moved)
    else:
        say(f"Run {moved['id']} is number {moved['position']} in the queue.")


@app.command()
def why(ctx: typer.Context, run: RunId, as_json: Json = False) -> None:
    """Say why a run has not started yet, and what to do; the host that it waits for is asked."""
    answer = open_api(ctx).why_queued(run)
    if as_json:
        write_json(answer)
        return
    place = f", number {answer['position']} in the queue" if answer["position"] else ""
    write(f"{answer['run_id']} {answer['status']}{place}")
    for reason in answer["reasons"]:
        command = f"  ({reason['do']})" if reason["do"] else ""
        write(f"  {one_line(reason['said'])}{command}")
    for worker in answer["workers"]:
        write(f"  {one_line(at_work(worker))}")


@app.command()
def work(
    ctx: typer.Context,
    keep_on: Annotated[
        bool, typer.Option("--keep-on", help="Also wait for runs that are ordered later.")
    ] = False,
) -> None:
    """Execute what waits from this terminal, where no daemon of `cosmos ui` runs.

    Ends when nothing is left that can be started. Ctrl-C stops what runs.
    """
    api = open_api(ctx)
    api.work_queue(until_empty=not keep_on, on_news=lambda news: say(one_line(news)))
    left = api.look_at_queue(limit=0)
    for one in left["pauses"]:
        say(_paused(one))
    if not left["waiting_in_all"]:
        say("Nothing waits.")
    else:
        waits = (
            "1 run waits" if left["waiting_in_all"] == 1 else f"{left['waiting_in_all']} runs wait"
        )
        say(f"{waits}, not to be started here now: `cosmos queue why RS_ID` says why.")


def _tell_if_nothing_starts(found: Row) -> None:
    """Say it where runs wait and neither a daemon nor a worker lives."""
    if found["waiting_in_all"] and found["daemon_gone"] and not found["workers"]:
        say("Nothing starts what waits: start `cosmos ui`, or give `cosmos queue work`.")


def _load(load: Row, lanes: list[Row]) -> str:
    """How many runs of which engine, where, and on which GPUs of that place."""
    runs = f"{len(load['run_ids'])} run{'s' if len(load['run_ids']) > 1 else ''}"
    those = [lanes[number] for number in load["lanes"]]
    numbers = ", ".join(str(lane["number"]) for lane in those)
    what = "" if load["place"] == "local" else "GPU "
    where = f", {what}{numbers} of {those[0]['of']}" if those and those[0]["of"] > 1 else ""
    return f"{runs} of {engine_label(load['engine'])} at {load['place']}{where}"


def _paused(pause: Row) -> str:
    kind, _, name = pause["scope"].partition(":")
    what = {"host": f"The place {name}", "engine": f"The engine {name}"}.get(kind, "The queue")
    reason = f": {pause['reason']}" if pause["reason"] else ""
    return f"{what} is paused by {pause['paused_by']}{reason}"
