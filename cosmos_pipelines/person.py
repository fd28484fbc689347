"""On whose behalf this process orders something: `name@machine`, as it is kept with every run."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LONGEST: Final = 100
_PERSON: ContextVar[str | None] = ContextVar("person", default=None)


@contextmanager
def ordering_as(name: str | None) -> Iterator[None]:
    """Whatever is ordered in this block is ordered by this person; None or no name: by the usual.

    It holds for this thread and for what it hands to other threads with its context.
    """
    before = _PERSON.set(clean_person(name) or _PERSON.get())
    try:
        yield
    finally:
        _PERSON.reset(before)


def person(usual: str | None = None) -> str:
    """Return who orders now: of the block, else `usual`, else the user of this process."""
    return _PERSON.get() or clean_person(usual) or user_here(os.getuid())


def user_here(uid: int) -> str:
    """Return a user of this machine as `name@machine`."""
    try:
        import pwd

        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run as a number without a name
        name = getpass.getuser() if uid == os.getuid() and _named() else f"uid{uid}"
    return f"{name}@{socket.gethostname()}"


def _named() -> bool:
    return any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME"))


def clean_person(name: str | None) -> str | None:
    """A name that somebody else has written, as one short line; None: it holds nothing."""
    words = "".join(c if c.isprintable() else " " for c in name or "").split()
    return " ".join(words)[:LONGEST] or None
