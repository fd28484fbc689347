"""To whom messages go: Apprise URLs from a file of mode 600, or from the environment.

A URL holds a secret (the password of a mailbox, the token of a webhook): no text shows it, not
even in part. People are told an address by its number and kind: `address 2 (slack)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cosmos_pipelines.errors import InputError, SettingsError
from cosmos_pipelines.foreign import expanded, read_secret
from cosmos_pipelines.settings import NOTIFY_VARIABLE, Settings

MOST: Final = 20
"""Addresses: each may keep the daemon waiting for some seconds."""
_URL: Final = re.compile(r"([A-Za-z0-9]{2,20})://[^\s]+")
_PARTS: Final = re.compile(r"[/:@?&=#,]+")
_SHORTEST: Final = 4
"""A shorter part of a URL is no secret."""
_HOSTS: Final = frozenset({"form", "forms", "json", "jsons", "mailto", "mailtos", "xml", "xmls"})
"""Kinds whose URL begins with a host, after a user; that of others begins with a secret."""


@dataclass(frozen=True, repr=False)
class Address:
    """Where messages go. Its URL is never shown."""

    number: int
    url: str

    def __repr__(self) -> str:
        return f"Address({self})"

    def __str__(self) -> str:
        return f"address {self.number} ({self.kind})"

    @property
    def kind(self) -> str:
        """The kind of the address: `mailto`, `slack`, `json`."""
        return self.url.partition("://")[0].lower()

    def secrets(self) -> set[str]:
        """The parts of the URL that no text may show."""
        rest = self.url.partition("://")[2]
        parts = {part for part in _PARTS.split(rest) if len(part) >= _SHORTEST}
        if self.kind in _HOSTS:
            host = re.split(r"[/?#:]", rest.rpartition("@")[2], maxsplit=1)[0]
            parts.discard(host)
        return {self.url, rest, *parts}


def addresses_of(settings: Settings, environment: Mapping[str, str]) -> list[Address]:
    """Return where messages go; nothing: nobody is told of anything.

    Raises:
        InputError: the file cannot be read, or others can read it.
        SettingsError: a line is no URL; says which, and not what it holds.
    """
    text, where = environment.get(NOTIFY_VARIABLE, "").strip(), NOTIFY_VARIABLE
    if not text and (named := settings.notify.urls_file) is not None:
        file = settings.home / expanded(named)
        try:
            text, where = read_secret(file), str(file)
        except InputError as e:
            raise type(e)(f"[notify] urls_file: {e.message}", hint=e.hint) from None
    lines = [line.strip() for line in text.splitlines()]
    if where == NOTIFY_VARIABLE:  # a variable is often one line
        lines = text.split()
    found = list[Address]()
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        if not _URL.fullmatch(line):
            raise SettingsError(
                f"{where}: line {number} is no Apprise URL.",
                hint="Write one a line, as mailto://USER:PASSWORD@HOST or json://HOST/PATH.",
            )
        found.append(Address(len(found) + 1, line))
    if len(found) > MOST:
        raise SettingsError(f"{where} has {len(found)} addresses; at most {MOST} are told.")
    return found
