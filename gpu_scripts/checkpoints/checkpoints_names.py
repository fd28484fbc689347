"""Checks of names, commits and addresses: no path leaves its directory, no password is shown. Pure.

A hub gives the names of a repository's files and its commit, and both become paths here.
Standard library only, Python 3.10 or newer.
"""

from __future__ import annotations

import re
from base64 import b64encode
from ipaddress import ip_address
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

COMMIT = re.compile(r"[0-9a-f]{7,64}")
_REPO = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_REVISION = re.compile(r"[A-Za-z0-9._+-]+(/[A-Za-z0-9._+-]+)*")


def is_repo(text: str) -> bool:
    """Whether the text is a plain `owner/name`."""
    return bool(_REPO.fullmatch(text)) and _no_dots(text)


def is_revision(text: str) -> bool:
    """Whether the text is a plain branch, tag or commit."""
    return bool(_REVISION.fullmatch(text)) and _no_dots(text)


def _no_dots(text: str) -> bool:
    return ".." not in text and "." not in text.split("/")


def stays_inside(path: str) -> bool:
    """Whether a relative path stays below the directory to which it is added."""
    pure = PurePosixPath(path)
    climbs = pure.is_absolute() or ".." in pure.parts or not pure.parts
    return not climbs and "\\" not in path and path.isprintable()


def shown(text: str) -> str:
    """Return a wrong text, quoted and cut, for a line of the log."""
    quoted = ascii(text)
    return quoted if len(quoted) <= 80 else f"{quoted[:79]}…"


def host_of(address: str) -> str:
    """Return only host and port of an address."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an invalid address"
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def endpoint_of(address: str) -> tuple[str, str | None]:
    """Return an endpoint without user and password, and both as a header's value (or None).

    Raises:
        ValueError: the address is wrong; the message does not contain the address.
    """
    wrong = ValueError("HF_ENDPOINT is not an address like https://HOST or https://HOST:PORT")
    try:
        parts = urlsplit(address.strip().rstrip("/"))
        _ = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise wrong
    user, at, _ = parts.netloc.rpartition("@")
    basic = b64encode(unquote(user).encode()).decode() if at else None
    return f"{parts.scheme}://{host_of(address)}{parts.path}", basic


def keeps_secrets(address: str) -> bool:
    """Whether nobody else can read what is sent to this address: HTTPS, or on this machine."""
    parts = urlsplit(address)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
