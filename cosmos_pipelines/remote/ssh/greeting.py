"""What the first words of a server say: it is busy, or it is no SSH server."""

from __future__ import annotations

import re
from typing import Final

from cosmos_pipelines.errors import Unreachable, shown
from cosmos_pipelines.remote.ssh.config import Hop

_BUSY: Final = re.compile(
    r"MaxStartups|not allowed at this time|no more|too many|try again|busy", re.IGNORECASE
)
"""Words of OpenSSH since 8.3, of OpenSSH since 9.8 (PerSourcePenalties), of others."""


class TurnedAway(Unreachable):
    """The server hung up before its banner, which may pass by itself."""


def no_ssh(hop: Hop, words: str | None, error: str, by_hand: str, *, hung_up: bool) -> Unreachable:
    """Return the error for a server with which no encrypted connection came about.

    `words`: what it said instead of its banner, None if the banner came; `error`: paramiko's.
    """
    if hung_up and words and _BUSY.search(words):
        return TurnedAway(
            hop.name,
            f"{hop} takes no login at the moment; it says {shown(words)}.",
            hint="Too many logins at once (MaxStartups in its sshd_config), or this address has to "
            "wait after failed logins (PerSourcePenalties). Try again in some minutes.",
        )
    if hung_up and words == "":
        # a command that reaches no server hangs up as well, each time
        kind = Unreachable if hop.proxy_command else TurnedAway
        return kind(
            hop.name,
            f"{hop} accepts connections and hangs up before it says that it is an SSH server.",
            hint="Too many logins at once (MaxStartups in its sshd_config), or a rule against this "
            f"address (hosts.deny, fail2ban)? {by_hand}",
        )
    said = f"it says {shown(words)}" if words else error or "it hung up"
    return Unreachable(
        hop.name, f"{hop} accepts connections but does not talk SSH: {said}.", hint=by_hand
    )
