"""Wait for a host that gives no answer for a while, or none that can be understood."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from loguru import logger

from cosmos_pipelines.errors import (
    CosmosError,
    LinkLost,
    NotAllowed,
    SettingsError,
    Unreachable,
)

T = TypeVar("T")

MAY_PASS: Final = (Unreachable, NotAllowed, SettingsError)
"""Errors that say nothing about an order on a host that was reached before.

A login that is refused, another host key, an SSH configuration that somebody is editing: the next
look may work, and what runs on the host goes on meanwhile.
"""


class Retry:
    """Asks a host again for `wait_s` seconds, if the host was reached before.

    A host that was never reached is not asked again: most likely a setting is wrong.
    """

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self.reached = False

    def __call__(self, ask: Callable[[], T], wait_s: float | None = None) -> T:
        """Return the answer of `ask`, which is called again while the host gives none.

        Raises:
            Unreachable: the host gave no answer within `wait_s`.
            NotAllowed, SettingsError: the host was never reached, or `wait_s` is 0.
        """
        return self.transfer(lambda _: ask(), wait_s)

    def transfer(self, ask: Callable[[Callable[[int], None]], T], wait_s: float | None = None) -> T:
        """As a call, for a transfer that is continued: `wait_s` counts from the last progress.

        `ask` gets a function to call with the number of bytes that have arrived so far.
        """
        lost: tuple[CosmosError, float] | None = None
        pause, before = 0.2, 0

        def answers() -> None:
            nonlocal lost
            if lost is not None:
                host, away = host_of(lost[0]), time.monotonic() - lost[1]
                logger.info("{host} answers again after {s:.0f} s", host=host, s=away)
            lost = None

        def arrived(count: int) -> None:
            nonlocal pause, before
            if count > before:
                answers()
                pause = 0.2
            before = count

        while True:
            try:
                answer = ask(arrived)
            except MAY_PASS as e:
                if not self.reached and not isinstance(e, LinkLost):
                    raise
                first = lost is None
                lost = (e, time.monotonic() if lost is None else lost[1])
                wait_out(e, lost[1], self.wait_s if wait_s is None else wait_s)
                if first:
                    logger.warning("Waiting for {host}: {why}", host=host_of(e), why=e.message)
            else:
                self.reached = True
                answers()
                return answer
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all at once
            pause = min(pause * 2, 5.0)


def host_of(error: CosmosError) -> str:
    """Return the name of the host that an error of `MAY_PASS` is about."""
    return error.host if isinstance(error, Unreachable | NotAllowed) else "the host"


def wait_out(error: CosmosError, since: float, wait_s: float) -> None:
    """Return while it is right to wait for the host; `since`: `time.monotonic()` of its loss.

    Raises:
        Unreachable: the host gave no answer within `wait_s`; `error` itself if that is 0.
    """
    waited = time.monotonic() - since
    if waited < wait_s:
        return
    if wait_s == 0:
        raise error
    raise Unreachable(
        host_of(error),
        f"{host_of(error)} has given no usable answer for {waited:.0f} s. {error.message}",
        hint=error.hint,
    )
