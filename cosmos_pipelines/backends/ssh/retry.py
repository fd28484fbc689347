"""Wait for a host that is unreachable for a while."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from loguru import logger

from cosmos_pipelines.errors import LinkLost, Unreachable

T = TypeVar("T")


class Retry:
    """Asks an unreachable host again for `wait_s` seconds, if the host was reached before.

    A host that was never reached is not asked again: most likely a setting is wrong.
    """

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self.reached = False

    def __call__(self, ask: Callable[[], T], wait_s: float | None = None) -> T:
        """Return the answer of `ask`, which is called again after a lost link.

        Raises:
            Unreachable: the host did not come back within `wait_s`.
        """
        return self.transfer(lambda _: ask(), wait_s)

    def transfer(self, ask: Callable[[Callable[[int], None]], T], wait_s: float | None = None) -> T:
        """As a call, for a transfer that is continued: `wait_s` counts from the last progress.

        `ask` gets a function to call with the number of bytes that have arrived so far.
        """
        since: float | None = None
        pause, before = 0.2, 0

        def arrived(count: int) -> None:
            nonlocal since, pause, before
            if count > before:
                since, pause = None, 0.2
            before = count

        while True:
            try:
                answer = ask(arrived)
            except Unreachable as e:
                if not self.reached and not isinstance(e, LinkLost):
                    raise
                since = time.monotonic() if since is None else since
                wait_out(e, since, self.wait_s if wait_s is None else wait_s)
                logger.warning("Waiting for {host}: {why}", host=e.host, why=e.message)
            else:
                self.reached = True
                return answer
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all at once
            pause = min(pause * 2, 5.0)


def wait_out(error: Unreachable, since: float, wait_s: float) -> None:
    """Return while it is right to wait for the host; `since`: `time.monotonic()` of its loss.

    Raises:
        Unreachable: the host did not come back within `wait_s`.
    """
    waited = time.monotonic() - since
    if waited < wait_s:
        return
    if wait_s == 0:
        raise error
    raise Unreachable(
        error.host,
        f"{error.host} has been unreachable for {waited:.0f} s. {error.message}",
        hint=error.hint,
    )
