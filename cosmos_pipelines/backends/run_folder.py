"""The contract of the run folder: its files, and how their text is read. Opens no file.

order.json, inputs/, outputs/, the engine's documents   placed before the start
start.log                                               why run.sh refused to start
pid, boot_id, run.log                                   written by run.sh while the order runs
stop                                                    the reason, written by `cancel`
finished.json                                           written by the program after each sample
result.json, exit_code                                  written by run.sh at the end, in this order
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Final, cast

from cosmos_pipelines.backends.base import StopReason
from cosmos_pipelines.errors import BackendError, InputError
from cosmos_pipelines.operations.base import Order, Outcome

ORDER: Final = "order.json"
LOG: Final = "run.log"
STARTED: Final = "pid"
STOP: Final = "stop"
RESULT: Final = "result.json"
EXIT_CODE: Final = "exit_code"
MESSAGES: Final = "start.log"
FINISHED: Final = "finished.json"
OURS: Final = frozenset(
    {ORDER, LOG, STARTED, STOP, RESULT, EXIT_CODE, MESSAGES, FINISHED, "boot_id", "reserve"}
)
"""Names in the run folder that no document of an order may take."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def check_order_id(order_id: str) -> str:
    """Return the order id if it can name a folder and a container.

    Raises:
        InputError: the id cannot name them.
    """
    if not _NAME.fullmatch(order_id) or order_id.endswith(".part"):
        raise InputError(f"The order id {order_id!r} cannot name a run folder.")
    return order_id


def inside(name: str) -> PurePosixPath:
    """Return `name` as a relative path that stays below its folder.

    Raises:
        InputError: the name is empty or absolute, holds `..` or a control character.
    """
    path = PurePosixPath(name)
    climbs = ".." in path.parts or path.is_absolute() or not path.parts
    if climbs or "\\" in name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InputError(f"The file name {name!r} leads out of the run folder.")
    return path


def check(order: Order) -> None:
    """Refuse an order whose names would lead out of its run folder or into its records.

    Raises:
        InputError: the message names what is wrong.
    """
    check_order_id(order.id)
    for name in (*order.inputs, *(e.name for e in order.expected)):
        inside(name)
    for name in order.documents:
        if inside(name).parts[0] in OURS:
            raise InputError(f"The document {name!r} has the name of a record of the run folder.")
    for name, video in order.inputs.items():
        if not _SHA256.fullmatch(video.sha256):
            raise InputError(f"The input {name!r} has a wrong SHA-256: {video.sha256!r}.")
    if any("\0" in word for word in (*order.argv, *order.env, *order.env.values())):
        raise InputError(f"The order {order.id} has a zero byte in its command or environment.")


def read_start(text: str) -> tuple[int, int, str]:
    """Read the `pid` file: process id, start in clock ticks since boot (0: unknown), boot id."""
    pid, ticks, boot = text.split()
    return int(pid), int(ticks), boot


OUTCOME: Final = (EXIT_CODE, RESULT, STOP, FINISHED)
"""The files that `read_outcome` reads, in the order of its arguments."""


def read_outcome(
    exit_code: str | None, result: str | None, stop: str | None, finished: str | None = None
) -> Outcome:
    """Return how an order ended, from the texts of its records (None: no such file).

    An order that ended without an exit code has the outputs that its program had finished.

    Raises:
        BackendError: a record is not what run.sh or the program writes.
    """
    stopped = cast(StopReason, stop.strip()) if stop else None
    vanished = exit_code is None or result is None
    try:
        own = json.loads(finished) if finished else {"outputs": {}}
        record = own if vanished or result is None else json.loads(result)
        outputs = {name: facts["sha256"] for name, facts in record["outputs"].items()}
        failed = {run: {"kind": k, "message": m} for run, (k, m) in own.get("failed", {}).items()}
        code = None if vanished or exit_code is None else int(exit_code)
        samples = {"finished": [*own["outputs"]], "samples": own.get("samples", {})}
        facts = {"exit_code": code, "outputs": outputs, "stopped": stopped, "failed": failed}
        return Outcome.model_validate(facts | samples)
    except (ValueError, LookupError, TypeError, AttributeError) as e:
        raise BackendError("model_failed", f"The run's {RESULT} cannot be read: {e}.") from e
