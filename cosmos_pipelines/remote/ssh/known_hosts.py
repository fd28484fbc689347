"""Read known host keys: files as sshd(8) describes them under SSH_KNOWN_HOSTS FILE FORMAT.

The reader of paramiko fails on a file with an unknown line (`@cert-authority`), and knows no
wildcards.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARKERS: Final = ("@revoked", "@cert-authority")


@dataclass(frozen=True)
class KnownKey:
    """A host key, and the file that holds the key."""

    file: Path
    kind: str
    """`ssh-ed25519`, ..."""
    blob: bytes
    revoked: bool

    def __str__(self) -> str:
        return f"{self.kind} {fingerprint(self.blob)}"


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a key as `ssh-keygen -l` shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def keys_of(name: str, file: Path) -> Iterator[KnownKey]:
    """Yield the keys in a file for a host, `name` or `[name]:port`; none if the file is missing.

    Raises:
        OSError: the file cannot be read.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    for line in lines:
        words = line.split()
        marker = words.pop(0) if words and words[0] in MARKERS else None
        if len(words) < 3 or words[0].startswith("#") or marker == "@cert-authority":
            continue  # certificates of hosts cannot be checked here
        patterns, kind, text = words[:3]
        try:
            blob = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        if _matches(name, patterns):
            yield KnownKey(file, kind, blob, revoked=marker == "@revoked")


def _matches(name: str, patterns: str) -> bool:
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            found |= _is_hash_of(name, pattern)
        elif pattern.startswith("!"):
            if _fits(name, pattern[1:]):
                return False
        else:
            found |= _fits(name, pattern)
    return found


def _fits(name: str, pattern: str) -> bool:
    # fnmatch reads [ as the start of a set; here [ is the start of [name]:port.
    return fnmatch.fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def _is_hash_of(name: str, pattern: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in pattern.split("|")[2:4])
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
