"""The contract of the run folder: its files, and how their text is read. Opens no file.

Whoever executes the order can write there. What is read is checked, and names nothing outside.

order.json, inputs/, outputs/, the engine's documents   placed before the start
start.log                                               why run.sh refused to start
pid, boot_id, run.log                                   written by run.sh while the order runs
alive                                                   locked while it runs (on this machine)
stop                                                    the reason, written by `cancel`
finished.json                                           written by the program after each sample
result.json, exit_code                                  written by run.sh at the end, in this order
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Final, TypeVar, cast, get_args

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from cosmos_pipelines.backends.base import StopReason
from cosmos_pipelines.errors import BackendError, ErrorKind, InputError, shown
from cosmos_pipelines.foreign import parse_json
from cosmos_pipelines.frozen import Written
from cosmos_pipelines.identity import Identity
from cosmos_pipelines.operations.base import Order, Outcome, Verdict

T = TypeVar("T")
M = TypeVar("M", bound=Written)

ORDER: Final = "order.json"
LOG: Final = "run.log"
STARTED: Final = "pid"
STOP: Final = "stop"
RESULT: Final = "result.json"
EXIT_CODE: Final = "exit_code"
MESSAGES: Final = "start.log"
FINISHED: Final = "finished.json"
ALIVE: Final = "alive"
OURS: Final = frozenset(
    {ORDER, LOG, STARTED, STOP, RESULT, EXIT_CODE, MESSAGES, FINISHED, ALIVE, "boot_id", "reserve"}
)
"""Names in the run folder that no document of an order may take."""
LONGEST_NAME: Final = 200
"""Bytes of a name; that of what is not whole yet is longer."""
MOST: Final = 16 << 20
"""Bytes of an order that are read; it holds the requests of its runs."""
MOST_RECORD: Final = 4 << 20
"""Bytes of any other record that are read."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PID: Final = re.compile(
    r"([1-9][0-9]{0,9}) ([0-9]{1,19}) ([\x21-\x7e]{1,100})(?: ([0-9]{1,19}\.[0-9]{1,19}))?"
)
_CODE: Final = re.compile(r"-?[0-9]{1,5}")


def check_order_id(order_id: str) -> str:
    """Return the order id if it can name a folder and a container.

    Raises:
        InputError: the id cannot name them.
    """
    if not can_be_order(order_id):
        raise InputError(f"The order id {shown(order_id)} cannot name a run folder.")
    return order_id


def can_be_order(text: str) -> bool:
    """Whether a text, of a container's label for example, can be the id of an order."""
    return bool(_NAME.fullmatch(text)) and not text.endswith(".part")


def inside(name: str) -> PurePosixPath:
    """Return `name` as a relative path that stays below its folder.

    Raises:
        InputError: the name is empty, absolute, climbs with `..`, holds a control character, is
            longer than a file's name, or is not UTF-8.
    """
    path = PurePosixPath(name)
    if any("\ud800" <= c <= "\udfff" for c in name):
        raise InputError(f"The file name {shown(name)} is not UTF-8.")
    if any(len(part.encode(errors="replace")) > LONGEST_NAME for part in path.parts):
        raise InputError(f"The file name {shown(name)} is too long.")
    climbs = ".." in path.parts or path.is_absolute() or not path.parts
    if climbs or "\\" in name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InputError(f"The file name {shown(name)} leads out of the run folder.")
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
            raise InputError(
                f"The document {shown(name)} has the name of a record of the run folder."
            )
    for name, video in order.inputs.items():
        if not _SHA256.fullmatch(video.sha256):
            raise InputError(f"The input {shown(name)} has a wrong SHA-256: {shown(video.sha256)}.")
    if any("\0" in word for word in (*order.argv, *order.env, *order.env.values())):
        raise InputError(f"The order {order.id} has a zero byte in its command or environment.")


def read_start(text: str) -> Identity:
    """Read from `pid` which process run.sh is; `started` 0 and no `space`: it could not tell.

    Zeros and no boot where it says nothing of the kind (a power cut leaves it empty): such a run
    was started, and nothing of it lives.
    """
    found = _PID.fullmatch(text.strip())
    if found is None:
        return Identity(0, 0, "", "")
    return Identity(int(found[1]), int(found[2]), found[3], found[4] or "")


def read_order(text: str, order_id: str) -> Order:
    """Read the order that `order.json` holds.

    Raises:
        BackendError: it is no order, or another one than the folder is for.
    """

    def read() -> Order:
        order = Order.parse(_json(ORDER, text), what=ORDER)
        if order.id != order_id:
            raise InputError(f"it is of {shown(order.id)}")
        runs = [e.run_id for e in order.expected]
        if len(set(runs)) < len(runs) or not set(runs) <= set(order.run_ids):
            raise InputError("its files are not one of each of its runs")
        check(order)
        return order

    return _reading(ORDER, read)


OUTCOME: Final = (EXIT_CODE, RESULT, STOP, FINISHED)
"""The files that `read_outcome` reads, in the order of its arguments."""


def read_outcome(
    exit_code: str | None, result: str | None, stop: str | None, finished: str | None = None
) -> Outcome:
    """Return how an order ended, from the texts of its records (None: no such file).

    An order that ended without an exit code has the outputs that its program had finished.

    Raises:
        BackendError: a record is not what run.sh or the program writes; says which.
    """
    own = _Finished() if not finished else _record(_Finished, FINISHED, finished)
    made, code = own.outputs, None
    if exit_code is not None and result is not None:
        code = _reading(EXIT_CODE, lambda: _exit_code(exit_code))
        made = _record(_Result, RESULT, result).outputs
    stopped = _reading(STOP, lambda: _stop_reason(stop)) if stop else None
    return Outcome(
        exit_code=code,
        outputs={name: facts.sha256 for name, facts in made.items()},
        sizes={name: facts.size for name, facts in made.items() if facts.size is not None},
        stopped=stopped,
        finished=frozenset(own.outputs),
        failed={r: Verdict(kind=k, message=m) for r, (k, m) in own.failed.items()},
        samples=_noted(own.samples),
    )


def read_samples(text: str) -> dict[str, dict[str, Any]]:
    """Read what record.json, an output of the program, notes of each of its samples.

    Raises:
        InputError: it is not what the program writes.
    """
    samples = _Record.parse(_json("record.json", text), what="record.json").samples
    return _noted(samples)


class Sample(Written):
    """What a program noted of a sample that it has made; it may have noted more."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    seconds: float = Field(ge=0)
    load_s: float | None = Field(None, ge=0)


def _inside(name: str) -> str:
    return str(inside(name))


def _verdict(words: list[str]) -> tuple[ErrorKind, str]:
    if len(words) != 2 or words[0] not in get_args(ErrorKind):
        raise ValueError("is not a kind of failure and a sentence")
    return cast(ErrorKind, words[0]), words[1]


_Name = Annotated[str, AfterValidator(_inside)]


class _File(Written):
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    size: int | None = Field(None, ge=0)


class _Result(Written):
    """result.json, as run.sh writes it."""

    outputs: Mapping[_Name, _File]


class _Record(Written):
    """record.json, as the program writes it at its end."""

    samples: Mapping[str, Sample] = {}


class _Finished(Written):
    """finished.json, as the program writes it."""

    outputs: Mapping[_Name, _File] = {}
    failed: Mapping[str, Annotated[list[str], AfterValidator(_verdict)]] = {}
    samples: Mapping[str, Sample] = {}


def _record(model: type[M], name: str, text: str) -> M:
    return _reading(name, lambda: model.parse(_json(name, text), what=name))


def _json(name: str, text: str) -> Any:
    return parse_json(text, name, most=most_of(name))


def most_of(name: str) -> int:
    """Return the number of bytes of a record that are read."""
    return MOST if name == ORDER else MOST_RECORD


def _noted(samples: Mapping[str, Sample]) -> dict[str, dict[str, Any]]:
    return {run: sample.model_dump(exclude_unset=True) for run, sample in samples.items()}


def _exit_code(text: str) -> int:
    if not _CODE.fullmatch(text.strip()):
        raise InputError(f"it says {shown(text)}")
    return int(text)


def _stop_reason(text: str) -> StopReason:
    if text.strip() not in get_args(StopReason):
        raise InputError(f"it says {shown(text)}")
    return cast(StopReason, text.strip())


def _reading(name: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except InputError as e:
        raise unreadable(name, e) from None


def unreadable(name: str, why: InputError) -> BackendError:
    """Return the error for a record that cannot be used."""
    return BackendError("model_failed", f"The run's {name} cannot be read: {why}")
