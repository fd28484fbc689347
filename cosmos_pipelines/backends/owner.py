"""The name of a process as the catalog and Dagster keep it: who executes a run.

    <host>:<process id>:<start in clock ticks>:<boot id>:<namespaces>

The host name is for people: two machines may have the same one. See `Identity` for the rest.
"""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime
from typing import Final

from cosmos_pipelines.identity import Identity, State, own_identity

_OWNER: Final = re.compile(r"(.*):(\d{1,9}):(\d{1,19}):([^:]*):([^:]*)", re.DOTALL)


def owner_name() -> str:
    """Return the name of this process."""
    own = own_identity()
    return f"{socket.gethostname()}:{own.pid}:{own.started}:{own.boot_id}:{own.space}"


def owner_state(owner: str) -> State:
    """Whether the process of this name lives.

    `unknown` if the process cannot be seen from here, and for names that earlier versions gave
    (host, process id and time of the start): only its lease tells then.
    """
    process = _read(owner)
    return process.state() if process else "unknown"


def owner_holds(owner: str | None, until: datetime | None) -> bool:
    """Whether a process holds what it has leased `until` then.

    Whether a process that can be seen from here holds it, the process alone tells: clocks have no
    say, since they may be set. Of all others (of another machine, boot or container, or stopped by
    Ctrl-Z) the lease tells: it is renewed while they work.
    """
    if owner is None or until is None:
        return False
    state = owner_state(owner)
    return state == "alive" or (state != "gone" and until >= datetime.now(UTC))


def owner_seen_from_here(owner: str) -> bool:
    """Whether this process sees the processes of the boot and the container of that process."""
    process = _read(owner)
    return process is not None and process.seen_from_here()


def _read(owner: str) -> Identity | None:
    named = _OWNER.fullmatch(owner)
    return Identity(int(named[2]), int(named[3]), named[4], named[5]) if named else None


def owner_shown(owner: str | None) -> str:
    """Return the name of a process for a sentence to a user."""
    named = _OWNER.fullmatch(owner or "")
    if named is None:
        return owner or "no process"
    return f"process {named[2]} on {named[1]}"
