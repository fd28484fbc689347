"""The checks of `cosmos doctor`: the type of a check, and running checks in their order. Pure.

A check is skipped if a check that it needs has failed: the reason would be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.remote.ssh.connection import Completed

Result = Literal["ok", "warn", "fail", "skipped"]
Place = Literal["settings", "here", "host"]


@dataclass(frozen=True)
class Finding:
    """What a check has found."""

    result: Result
    found: str
    do: str = ""
    """What the user should do, as a command where possible; empty: nothing."""


@dataclass(frozen=True)
class Check:
    """One check; `look` makes it and may raise CosmosError, which counts as a failure."""

    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()
    """Names of earlier checks that must not have failed."""
    place: Place = "here"


@dataclass(frozen=True)
class Checked:
    """A check with its finding."""

    name: str
    place: Place
    result: Result
    found: str
    do: str = ""
    host: str | None = None
    """The name of the place that was looked at; None: this machine or the settings."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def ok(found: str) -> Finding:
    """Return a finding: nothing is wrong."""
    return Finding("ok", found)


def warn(found: str, do: str) -> Finding:
    """Return a finding: runs will work, but the user should know this."""
    return Finding("warn", found, do)


def fail(found: str, do: str) -> Finding:
    """Return a finding: runs will not work."""
    return Finding("fail", found, do)


def go_through(checks: Sequence[Check]) -> Iterator[Checked]:
    """Make the checks in their order and yield each result at once."""
    failed: dict[str, str] = {}
    for check in checks:
        if reason := next((failed[n] for n in check.needs if n in failed), None):
            failed[check.name] = reason
            yield Checked(check.name, check.place, "skipped", f"not checked: {reason} failed")
            continue
        try:
            finding = check.look()
        except CosmosError as e:
            finding = fail(e.message, e.hint or "")
        if finding.result == "fail":
            failed[check.name] = check.name
        yield Checked(check.name, check.place, finding.result, finding.found, finding.do)


def said_of(done: Completed) -> str:
    """Return the error text of a program in one line."""
    text = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
    return text[:300] or f"exit code {done.exit_code}"
