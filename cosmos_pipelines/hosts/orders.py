"""The orders of a GPU host's set-up: smoke test, verify and download of checkpoints. Pure.

These orders belong to no run; a count of orders without a run must leave them out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.lines import plain
from cosmos_pipelines.operations.base import Directory, Order

PREFIX: Final = "host-"
RESULT: Final = "checkpoints.json"
MANIFEST: Final = "manifest.json"
TOKEN: Final = "token"  # noqa: S105 - the name of the directory and of the file

Action = Literal["verify", "download"]

_PROGRESS: Final = re.compile(r"\[([0-9]{1,9})/([0-9]{1,9})\] ([0-9]{1,3}) % (.*)")


def of_host(order_id: str) -> bool:
    """Whether an order belongs to a host's set-up."""
    return order_id.startswith(PREFIX)


def smoke_order(
    engine: str, setup: HostSetup, directories: Sequence[Directory], token: str
) -> Order:
    """Return the order that imports the modules that a run of the engine needs."""
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
    """Return the order's id, different for each `remote_dir`: a second start finds the first order.

    `root`: the absolute path of `remote_dir`. Several users may share one Docker daemon.
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
    manifest: str,
) -> Order:
    """Return the order that verifies or downloads; `token`: the directory that holds the token.

    `manifest`: the manifest's text, sent with the order: the host may not have the engine's
    package. The same request gives the same `argv`, also if `only` has another order.
    """
    words = [action, *(["--deep"] if deep else [])]
    words += ["--only", ",".join(sorted(set(only)))] if only else []
    # The directory of the code is not needed, and may not exist yet.
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
            f"{{run}}/{MANIFEST}",
            *words,
        ),
        env=variables,
        documents={MANIFEST: manifest},
        inputs={},
        expected=(),
        gpus=0,
        directories=tuple(places),
        image=setup.image,
    )


@dataclass(frozen=True)
class CheckpointsProgress:
    """The progress of a download or verification, read from a line of the log."""

    done: int
    total: int
    """Files."""
    percent: int
    """Percent of the bytes."""
    text: str


def progress_of(line: str) -> CheckpointsProgress | None:
    """Return the progress in a line; None if the line holds no progress."""
    found = _PROGRESS.fullmatch(line.strip())
    return (
        CheckpointsProgress(int(found[1]), int(found[2]), int(found[3]), found[4])
        if found
        else None
    )


@dataclass(frozen=True)
class Smoke:
    """The result of a smoke test."""

    found: tuple[str, ...]
    missing: tuple[str, ...]
    exit_code: int | None
    """None: its process ended without an exit code."""

    @property
    def passed(self) -> bool:
        """Whether a module was imported, no import failed, and the exit code is 0."""
        return bool(self.found) and not self.missing and self.exit_code == 0


def how_it_ended(exit_code: int | None) -> str:
    """Describe the bad end of a process, for people."""
    if exit_code is None:
        return "its process ended without an exit code"
    by = f", signal {exit_code - 128}" if exit_code > 128 else ""
    return f"its process ended with exit code {exit_code}{by}"


def read_smoke(log: str, exit_code: int | None) -> Smoke:
    """Read the lines with `[SUCCESS]` and `[ERROR]` of a smoke test's log."""
    marked: Mapping[str, list[str]] = {"SUCCESS": [], "ERROR": []}
    for line in plain(log).splitlines():
        for mark, lines in marked.items():
            if f"[{mark}]" in line:
                lines.append(line.partition(f"[{mark}]")[2].strip())
    return Smoke(tuple(marked["SUCCESS"]), tuple(marked["ERROR"]), exit_code)
