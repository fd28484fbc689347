"""One look at what has happened, and one message about it when it is time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from cosmos_pipelines.catalog.records import iso
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.notify.addresses import Address, addresses_of
from cosmos_pipelines.notify.digest import digest, safe
from cosmos_pipelines.notify.send import Delivery, send
from cosmos_pipelines.settings import Settings

GATHER: Final = timedelta(seconds=20)
"""How long the first thing after a quiet time waits for what comes with it."""


@dataclass(frozen=True)
class SentMessage:
    """A message, and what became of it."""

    title: str
    deliveries: list[Delivery]

    @property
    def sent(self) -> bool:
        """Whether somebody was told."""
        return any(one.problem is None for one in self.deliveries)


def tell(
    catalog: Catalog,
    settings: Settings,
    addresses: Sequence[Address],
    gathered: timedelta = GATHER,
) -> SentMessage | None:
    """Tell all that waits to be told in one message, if it is time; None: nothing was told.

    What no address has taken waits for the next time. What one of them has taken is told no more:
    nobody hears the same twice. So it is after a crash in the middle.
    """
    every = timedelta(minutes=settings.notify.every_min)
    taken = catalog.take_notices(every=every, gathered=min(gathered, every))
    if not taken:
        return None
    try:
        title, body, bad = digest(settings.home.name, taken, settings.ui.address)
        message = SentMessage(title, send(addresses, title, body, bad=bad))
    except BaseException:
        catalog.give_back_notices(taken)
        raise
    if not message.sent:
        catalog.give_back_notices(taken)
    return message


def send_test(settings: Settings) -> list[Delivery]:
    """Send a message that says it is a test to every address.

    Raises:
        InputError, SettingsError: there is no address, or one that cannot be used.
    """
    addresses = addresses_of(settings, os.environ)
    if not addresses:
        raise SettingsError(
            "Nobody is told of anything: [notify] has no address.",
            hint="Name a file of mode 600 with an Apprise URL a line: "
            '`urls_file = "notify.urls"` in [notify].',
        )
    title = safe(f"{settings.home.name}: a test")
    return send(addresses, title, "This is a test of `cosmos notify --test`. Nothing has happened.")


def notify_state(catalog: Catalog, settings: Settings) -> dict[str, Any]:
    """Return to whom and of what is told, as plain JSON values; no URL is in it.

    Raises:
        InputError, SettingsError: the addresses cannot be read.
    """
    last = catalog.last_told()
    return {
        "addresses": [str(one) for one in addresses_of(settings, os.environ)],
        "events": list(settings.notify.events),
        "every_min": settings.notify.every_min,
        "waiting": catalog.count_untold(),
        "last_told": last and iso(last),
    }
