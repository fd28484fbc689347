"""A port for a server that is started later."""

from __future__ import annotations

import socket
from contextlib import suppress
from random import SystemRandom
from typing import Final

_CHANCE: Final = SystemRandom()  # each worker has its own, whatever seeds tests set
_BELOW: Final = range(20_000, 32_000)
"""Below those that Linux gives to whoever asks for any port, of which the tests are many."""


def free_port() -> int:
    """A port of this machine that nobody has now, and that nobody gets by chance."""
    while True:
        port = _CHANCE.choice(_BELOW)
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("", port))
            return port
