"""Who may open the page: the server's names, the token that lets in, the token of its forms."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from loguru import logger

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.files import saying_why_not_written, writing
from cosmos_pipelines.foreign import expanded, read_secret
from cosmos_pipelines.settings import Settings

SECRET: Final = Path(".cosmos", "page-secret")
"""Where a project keeps the secret of its page, so that open pages outlive a restart."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""Bound addresses that mean all addresses, and which of these this machine itself can open."""
SHORTEST: Final = 16
"""Characters of a user's own token: nothing counts how often somebody guesses."""


@dataclass(frozen=True)
class Access:
    """Who may open the page of one server."""

    hosts: frozenset[str]
    """What a Host header may say besides the address that the connection came to."""
    port: int
    form_token: str = field(repr=False)
    """Every request of a page that changes something carries it; the same after a restart."""
    token: str | None = field(default=None, repr=False)
    """Lets in who has it; None: the page is open to everybody on this machine."""
    address: str | None = None
    """`[ui] address`."""
    person_header: str | None = None
    """`[ui] person_header`."""
    own_token: bool = False
    """Whether the user chose the token, so that it is never printed."""

    @property
    def cookie(self) -> str:
        """The name of the cookie; browsers send it to all ports of a host."""
        return f"cosmos_{self.port}"

    @property
    def pass_value(self) -> str:
        """The cookie's value, from which nobody can tell the token."""
        assert self.token is not None
        return _derived(self.token, "cookie")

    def is_token(self, given: str) -> bool:
        """Whether this is the token; takes as long for a wrong one as for the right one."""
        return self.token is not None and _same(given, self.token)

    def is_pass(self, given: str) -> bool:
        """Whether this is the cookie's value."""
        return self.token is not None and _same(given, self.pass_value)

    def is_form_token(self, given: str) -> bool:
        """Whether this is the token of a page of this project."""
        return _same(given, self.form_token)

    def knows(self, host: str, server: str) -> bool:
        """Whether a Host header is ours, or the address that the connection came to."""
        return host in self.hosts or host in _addressed(server, self.port)

    def origin(self, host: str) -> str:
        """The origin of our own pages that were opened at `host`."""
        if self.address is not None and urlsplit(self.address).netloc == host:
            return self.address
        return f"http://{host}"


def access_of(settings: Settings, host: str, port: int) -> Access:
    """Who may open the page of a project that is bound to `host`.

    Only who can reach the page on no other machine needs no token.

    Raises:
        InputError: the token's file cannot be used.
        CosmosError: the secret of the page cannot be kept.
    """
    ui = settings.ui
    public = urlsplit(ui.address).hostname if ui.address else None
    private = is_loopback(host) and (public is None or is_loopback(public))
    secret = _secret(settings.home / SECRET, needed=not private and ui.token_file is None)
    token = None if private else _derived(secret, "link")
    if ui.token_file is not None:
        token = _own_token(settings.home / expanded(ui.token_file))
    names = {*LOOPBACK, host, ui.host}
    if host in EVERYWHERE:
        names |= {socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}
    hosts = {authority(name, port) for name in names - EVERYWHERE.keys()}
    if ui.address:
        hosts.add(urlsplit(ui.address).netloc)
    return Access(
        frozenset(hosts),
        port,
        _derived(secret, "form"),
        token,
        ui.address,
        ui.person_header,
        bool(ui.token_file),
    )


@dataclass(frozen=True)
class Addresses:
    """What a person opens, in each the token where one is needed and was made here."""

    page: str
    """The review page, on this machine."""
    dagster: str | None
    """Dagster's page; None: nobody knows where it is."""
    others: str | None
    """The review page, for other machines."""
    token_file: bool
    """Whether the page will ask for the token of `[ui] token_file`."""


def addresses_of(access: Access, host: str, dagster_url: str | None, *, dagster: bool) -> Addresses:
    """What a person opens of a page that is bound to `host`."""
    query = f"?token={access.token}" if access.token and not access.own_token else ""
    here = f"http://{authority(EVERYWHERE.get(host, host), access.port)}"
    others = access.address
    if others is None and host in EVERYWHERE:
        others = f"http://{authority(socket.gethostname(), access.port)}"
    return Addresses(
        page=f"{here}/cosmos/{query}",
        dagster=f"{here}/{query}" if dagster else dagster_url,
        others=f"{others}/cosmos/{query}" if others else None,
        token_file=access.own_token,
    )


def authority(name: str, port: int) -> str:
    """A name or address and a port as a browser's Host header says them; 80 is left out."""
    shown = f"[{name}]" if ":" in name else name.lower()
    return shown if port == 80 else f"{shown}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _addressed(server: str, port: int) -> tuple[str, ...]:
    """What a Host header says of this address; one of IPv4 may come as `::ffff:10.0.0.5`."""
    try:
        address = ip_address(server)
    except ValueError:
        return ()
    return (authority(str(getattr(address, "ipv4_mapped", None) or address), port),)


def _own_token(file: Path) -> str:
    token = read_secret(file)
    if not token.isascii() or not token.isprintable() or " " in token or len(token) < SHORTEST:
        raise InputError(
            f"The text in {file} cannot be the token of the page: it needs at least {SHORTEST} "
            "characters of ASCII without blanks.",
            hint=f"`openssl rand -hex 24 > {file}` makes one.",
        )
    return token


def _secret(file: Path, *, needed: bool) -> str:
    """The secret of a project's page, made where there is none.

    Some file systems have no modes, so that others can read it. A page of this machine alone does
    without: then its open pages are to be loaded again after a restart.
    """
    if not file.exists():
        _make_secret(file)
    try:
        return read_secret(file)
    except InputError as e:
        if needed:
            raise
        logger.warning("Open pages will not outlive a restart of the server: {}", e)
        return secrets.token_urlsafe(32)


def _make_secret(file: Path) -> None:
    with saying_why_not_written(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), writing(file, new=True) as part:  # another was faster
        opened = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(opened, "w") as made:
            made.write(f"{secrets.token_urlsafe(32)}\n")


def _derived(secret: str, use: str) -> str:
    return hmac.new(secret.encode(), f"cosmos page {use}".encode(), hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
