"""Orders that set a GPU host up: the smoke test, and checkpoints verified or downloaded. Pure.

They are of the host, not of a run: whoever counts orders without an owner leaves them out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.operations.base import Directory, Order

PREFIX: Final = "host-"
RESULT: Final = "checkpoints.json"
TOKEN: Final = "token"  # noqa: S105 - what its directory and its file are called

Action = Literal["verify", "download"]

_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
_PROGRESS: Final = re.compile(r"\[([0-9]{1,9})/([0-9]{1,9})\] ([0-9]{1,3}) % (.*)")


def of_host(order_id: str) -> bool:
    """Whether an order belongs to a host's set-up."""
    return order_id.startswith(PREFIX)


def smoke_order(
    engine: str, setup: HostSetup, directories: Sequence[Directory], token: str
) -> Order:
    """The order that imports what a run of the engine needs."""
    return Order(
        id=f"{PREFIX}{engine}-smoke-{token}",
        run_ids=(),
        engine=engine,
        model_type="smoke",
        argv=setup.smoke,
        env={**setup.env, "COSMOS_CWD": "{code}"},
        inputs={},
        expected=(),
        gpus=1,
        directories=tuple(directories),
        image=setup.image,
    )


def checkpoints_id(engine: str, root: str) -> str:
    """A function of our directory there: a second start finds the first, and no other user's.

    `root`: that directory, absolute. Several may share one Docker engine.
    """
    return f"{PREFIX}{engine}-checkpoints-{hashlib.sha256(root.encode()).hexdigest()[:8]}"


def checkpoints_order(
    engine: str,
    root: str,
    setup: HostSetup,
    directories: Sequence[Directory],
    action: Action,
    *,
    deep: bool,
    only: Sequence[str],
    token: Directory | None,
) -> Order:
    """The order that verifies or downloads; `token`: the directory that holds the token.

    The same wish is the same `argv`, in whatever order its words were given.
    """
    words = [action, *(["--deep"] if deep else [])]
    words += ["--only", ",".join(sorted(set(only)))] if only else []
    # The code is not needed, and may not be there yet.
    places = [d for d in directories if d.name in ("checkpoints", "huggingface")]
    env = {"checkpoints": ("COSMOS_CHECKPOINTS", "{checkpoints}"),
           "huggingface": ("HF_HOME", "{huggingface}")}  # fmt: skip
    variables = dict(env[place.name] for place in places)
    if token is not None:
        variables["HF_TOKEN_PATH"] = f"{{{token.name}}}/{TOKEN}"
        places.append(token)
    return Order(
        id=checkpoints_id(engine, root),
        run_ids=(),
        engine=engine,
        model_type="checkpoints",
        argv=(
            "{python}",
            "{scripts}/checkpoints/checkpoints.py",
            f"{{scripts}}/{setup.manifest}",
            *words,
        ),
        env=variables,
        inputs={},
        expected=(),
        gpus=0,
        directories=tuple(places),
        image=setup.image,
    )


@dataclass(frozen=True)
class Progress:
    """How far checkpoints are, as a line of the log tells."""

    done: int
    total: int
    """Files."""
    percent: int
    """Of the bytes."""
    text: str


def progress_of(line: str) -> Progress | None:
    """The progress that a line tells; None if it tells none."""
    found = _PROGRESS.fullmatch(line.strip())
    return Progress(int(found[1]), int(found[2]), int(found[3]), found[4]) if found else None


@dataclass(frozen=True)
class Smoke:
    """What a smoke test has found."""

    found: tuple[str, ...]
    missing: tuple[str, ...]
    exit_code: int | None
    """None: its process vanished."""

    @property
    def passed(self) -> bool:
        """Something was imported, nothing failed, and the process came to its own end."""
        return bool(self.found) and not self.missing and self.exit_code == 0


def how_it_ended(exit_code: int | None) -> str:
    """The end of a process that was no good one, for people."""
    if exit_code is None:
        return "its process vanished"
    by = f", signal {exit_code - 128}" if exit_code > 128 else ""
    return f"its process ended with exit code {exit_code}{by}"


def read_smoke(log: str, exit_code: int | None) -> Smoke:
    """The lines with `[SUCCESS]` and `[ERROR]` of a smoke test's log."""
    marked: Mapping[str, list[str]] = {"SUCCESS": [], "ERROR": []}
    for line in _ANSI.sub("", log).splitlines():
        for mark, lines in marked.items():
            if f"[{mark}]" in line:
                lines.append(line.partition(f"[{mark}]")[2].strip())
    return Smoke(tuple(marked["SUCCESS"]), tuple(marked["ERROR"]), exit_code)
