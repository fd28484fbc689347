"""`cosmos notify`: who is told of what, and a test of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cosmos_pipelines.cli.exit_codes import FAILED, OK, say
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import Columns, age, write, write_json, write_record, write_table
from cosmos_pipelines.cli.parameters import Json, open_api

app = new_app()

DELIVERIES: Columns = {
    "address": lambda d: d["address"],
    "sent": lambda d: d["sent"],
    "problem": lambda d: d["problem"],
}


@app.command()
def notify(
    ctx: typer.Context,
    test: Annotated[bool, typer.Option("--test", help="Send a test to every address.")] = False,
    as_json: Json = False,
) -> int:
    """Show who is told of what has happened; send a test.

    What GPUs were used for today is shown too, beside the limits of [budget].

    The addresses are those of [notify] in cosmos.toml. Exit code 1 if the test did not reach all.
    """
    api = open_api(ctx)
    if test:
        deliveries = api.send_test_message()
        if as_json:
            write_json(deliveries)
        else:
            write_table(deliveries, DELIVERIES, cut=False)
            _warn(api.budget_today())
        return OK if all(one["sent"] for one in deliveries) else FAILED
    state = {**api.message_state(), "budget": api.budget_today()}
    if as_json:
        write_json(state)
        return OK
    write_record(
        {
            "tells": ", ".join(state["addresses"]) or "nobody",
            "of": ", ".join(state["events"]),
            "at most every": f"{state['every_min']:g} min",
            "told last": state["last_told"] and f"{age(state['last_told'])} ago",
            "to be told next": state["waiting"] or None,
        }
    )
    write("")
    used = state["budget"]
    hours, money = used["gpu_hours_a_day"], used["money_a_day"]
    write_record(
        {
            "GPU hours today": f"{used['gpu_hours']:g}" + (f" of {hours:g}" if hours else ""),
            "money today": f"{used['money']:g}" + (f" of {money:g}" if money else "")
            + f" {used['currency']}",
            "GPU hours of a batch": used["gpu_hours_a_batch"],
            "money of a batch": used["money_a_batch"],
            "without a price": f"{used['unpriced_gpu_hours']:g} GPU hours",
        }
    )  # fmt: skip
    _warn(used)
    if not state["addresses"]:
        say("Nobody is told of anything: set `urls_file` in [notify].")
    return OK


def _warn(budget: dict[str, Any]) -> None:
    if budget["not_counted"]:
        say(budget["not_counted"])
