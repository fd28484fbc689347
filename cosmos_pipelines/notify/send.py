"""Sending one message to all addresses, by the library Apprise, which is an extra (`notify`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.lines import plain
from cosmos_pipelines.notify.addresses import Address
from cosmos_pipelines.runs.redact import MASK

if TYPE_CHECKING:
    import apprise

_TALKING: Final = ("apprise", "urllib3", "requests")
"""Loggers that may write a URL; nothing of theirs gets into a log of ours."""
_ONE_AT_A_TIME: Final = threading.Lock()
_LONGEST: Final = 300


@dataclass(frozen=True)
class Delivery:
    """What became of a message for one address."""

    address: str
    """As people are told it: its number and kind."""
    problem: str | None
    """None: it was taken there."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"address": self.address, "sent": self.problem is None, "problem": self.problem}


def send(
    addresses: Sequence[Address], title: str, body: str, *, bad: bool = False
) -> list[Delivery]:
    """Send plain text to each address, one after the other; `bad`: it tells of a failure.

    Raises:
        SettingsError: Apprise is not installed, or does not know an address; nothing was sent.
    """
    asset = _asset()
    with _ONE_AT_A_TIME, _heard() as heard:
        services = [(address, _service(address, asset, heard)) for address in addresses]
        return [
            Delivery(str(address), _send(address, service, title, body, bad, heard))
            for address, service in services
        ]


def _asset() -> apprise.AppriseAsset:
    """Settings of Apprise: no threads, no files of its own, no pictures from another host."""
    try:
        import apprise
    except ImportError:
        raise SettingsError(
            "Messages are sent by the library Apprise, which is not installed.",
            hint="Install it: `pip install 'cosmos-pipelines[notify]'`.",
        ) from None
    return apprise.AppriseAsset(
        app_id="Cosmos Pipelines",
        app_desc="Cosmos Pipelines",
        async_mode=False,
        image_path_mask="",
        image_url_mask="",
        image_url_logo="",
        secure_logging=True,
        storage_mode="memory",
    )


def _service(address: Address, asset: apprise.AppriseAsset, heard: list[str]) -> Any:
    import apprise

    heard.clear()
    service = apprise.Apprise.instantiate(address.url, asset=asset)
    if service is None:
        raise SettingsError(
            f"Apprise does not take {address} of [notify]: {_told(address, heard)}",
            hint="https://appriseit.com/services/ says how the URL of each service is written.",
        )
    return service


def _send(
    address: Address, service: Any, title: str, body: str, bad: bool, heard: list[str]
) -> str | None:
    import apprise

    heard.clear()
    one = apprise.Apprise()
    one.add(service)
    kind = apprise.NotifyType.FAILURE if bad else apprise.NotifyType.INFO
    sent = one.notify(
        title=title, body=body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
    )
    return None if sent else _told(address, heard)


def _told(address: Address, heard: list[str]) -> str:
    """What Apprise has said, without any part of the URL."""
    said = " ".join(dict.fromkeys(heard)) or "it says nothing of the reason."
    for secret in sorted(address.secrets(), key=len, reverse=True):
        said = said.replace(secret, MASK)
    return plain(" ".join(said.split()))[:_LONGEST]


class _Ear(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was said; more than some lines are of no use."""
        if record.name == "apprise" and len(self._heard) < 5:
            self._heard.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What Apprise says until the end of the block, which goes nowhere else."""
    heard: list[str] = []
    ear = _Ear(heard)
    loggers = [logging.getLogger(name) for name in _TALKING]
    before = [(one, one.propagate, one.handlers[:], one.level) for one in loggers]
    for one in loggers:
        one.propagate, one.handlers = False, [ear]
        one.setLevel(logging.WARNING)
    try:
        yield heard
    finally:
        for one, propagates, handlers, level in before:
            one.propagate, one.handlers = propagates, handlers
            one.setLevel(level)
