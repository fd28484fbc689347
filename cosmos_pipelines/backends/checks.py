"""Checks of the ground that runs stand on: what one is, and going through them in order. Pure.

A check whose prerequisite has failed is not made: its reason would be that one's.
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
    """What one look has found."""

    result: Result
    found: str
    do: str = ""
    """What to do about it, a command where there is one; empty where nothing is to be done."""


@dataclass(frozen=True)
class Check:
    """One thing to look at; `look` may raise CosmosError, which is a failure with its hint."""

    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()
    """Names of checks that come before this one and must not have failed."""
    place: Place = "here"


@dataclass(frozen=True)
class Checked:
    """A check with what it has found."""

    name: str
    place: Place
    result: Result
    found: str
    do: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def ok(found: str) -> Finding:
    """All is well."""
    return Finding("ok", found)


def warn(found: str, do: str) -> Finding:
    """It will work, but somebody should know."""
    return Finding("warn", found, do)


def fail(found: str, do: str) -> Finding:
    """It will not work like this."""
    return Finding("fail", found, do)


def go_through(checks: Sequence[Check]) -> Iterator[Checked]:
    """Make the checks in their order, each told as soon as it is made."""
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
    """What a program complained of, in one line."""
    text = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
    return text[:300] or f"exit code {done.exit_code}"
