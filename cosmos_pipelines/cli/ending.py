"""Print how runs ended: their data on stdout, errors on stderr, and return one exit code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from cosmos_pipelines.cli.exit_codes import OK, WRONG_STATE, say, tell
from cosmos_pipelines.cli.output import (
    Columns,
    engine_label,
    write,
    write_json,
    write_record,
    write_table,
)
from cosmos_pipelines.errors import exit_code_of

Row = dict[str, Any]


def result_of(run: Row) -> str:
    """Return a run's result: its video, its new prompt or text; else the kind of its error."""
    out = run["outputs"]
    result = out.get("video") or out.get("enhanced_prompt_id") or out.get("enhanced_text")
    return str(result or run["error_kind"] or "")


RUN_COLUMNS: Columns = {
    "id": lambda r: r["id"],
    "type": lambda r: r["model_type"],
    "status": lambda r: r["status"],
    "engine": lambda r: engine_label(r["engine"]),
    "result": result_of,
}


def finish(runs: Sequence[Row], *, as_json: bool, single: bool = False) -> int:
    """Print executed runs and return the highest of their exit codes.

    With `single` and exactly one run, its JSON is an object instead of a list.
    """
    if as_json:
        write_json(runs[0] if single and len(runs) == 1 else list(runs))
    elif runs:
        write_table(runs, RUN_COLUMNS, cut=False)
    return max((_ended(run) for run in runs), default=OK)


def queued(runs: Sequence[Row], *, as_json: bool, single: bool = False) -> None:
    """Print queued runs."""
    if as_json:
        write_json(runs[0] if single and len(runs) == 1 else list(runs))
    else:
        write_table(runs, RUN_COLUMNS, cut=False)
    say(
        "Queued. The daemon of `cosmos ui` executes the runs; `cosmos queue work` does where none "
        "runs. `cosmos queue` shows what waits."
    )


def planned(orders: Sequence[Row], *, as_json: bool) -> None:
    """Print orders of a dry run: their commands, expected files and notes."""
    if as_json:
        write_json(list(orders))
        return
    for plan in orders:
        _planned(plan)
        for note in plan["notes"]:
            say(f"note: {note}")
    say("Nothing was done: --dry-run.")


def _planned(plan: Row) -> None:
    order = plan["order"]
    own = list(order["argv"])
    model = own[own.index("--") + 1 :] if "--" in own else []
    env = order["env"]
    record: dict[str, object] = {
        "order": order["id"],
        "engine": plan["engine"],
        "backend": plan["backend"],
        "operation": order["model_type"],
        "runs": len(order["run_ids"]),
        "command": _typed(own[: len(own) - len(model)]),
        "model": _typed(model),
        "in": env.get("COSMOS_CWD"),
        "with": _typed([f"{k}={v}" for k, v in sorted(env.items()) if k != "COSMOS_CWD"]),
        "gpus": order["gpus"],
        "timeout": f"{order['timeout_s']} s",
        "inputs": sorted(order["inputs"]),
        "makes": [_made(file) for file in plan["expected"]],
    }
    if order["costs"]:
        record["chunks"] = sum(cost["chunks"] for cost in order["costs"].values())
        unknown = {"time": "unknown: no similar run has completed in this place"}
        record |= plan["estimate"]["said"] if plan["estimate"] else unknown
    write_record(record)
    documents = dict(order["documents"])
    if len(documents) > 1:  # request.json, for the program in gpu_scripts, is only in --json
        documents.pop("request.json", None)
    for name, text in documents.items():
        write(f"\n--- {name}")
        write(text.rstrip("\n"))


def _made(file: Row) -> str:
    if not file["width"]:
        return str(file["name"])
    size = f"{file['width']}x{file['height']}, {file['frames']} frames, {file['fps']} fps"
    return f"{file['name']} ({size})"


def _typed(words: Sequence[str]) -> str:
    """Return the words as a command to type; place holders have no quotation marks."""
    return re.sub(r"'([\w./:={}-]*)'", r"\1", shlex.join(words))


def _ended(run: Row) -> int:
    if run["status"] == "completed":
        return OK
    if run["status"] in ("failed", "cancelled"):
        kind = run["error_kind"] or "cancelled"
        why = run["error_message"] or ""
        why += "" if why.endswith((".", "!", "?")) else "."
        tell(f"Run {run['id']} {run['status']} ({kind}): {why} See `cosmos why {run['id']}`.")
        return exit_code_of(kind)
    tell(f"Run {run['id']} is {run['status']}: another process executes it. See `cosmos status`.")
    return WRONG_STATE
