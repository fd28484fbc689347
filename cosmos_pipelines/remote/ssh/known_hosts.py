"""Host keys that are known: files as sshd(8) describes them under SSH_KNOWN_HOSTS FILE FORMAT.

paramiko's own reader fails on a file with a line that it does not understand (`@cert-authority`),
and knows no wildcards.
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
    """A host key, and the file that has it."""

    file: Path
    kind: str
    """`ssh-ed25519`, ..."""
    blob: bytes
    revoked: bool

    def __str__(self) -> str:
        return f"{self.kind} {fingerprint(self.blob)}"


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def keys_of(name: str, file: Path) -> Iterator[KnownKey]:
    """Keys that a file has for a host: its name or `[name]:port`. No file, no keys.

    Raises:
        OSError: it cannot be read.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    for line in lines:
        words = line.split()
        marker = words.pop(0) if words and words[0] in MARKERS else None
        if len(words) < 3 or words[0].startswith("#") or marker == "@cert-authority":
            continue  # certificates of hosts are nothing that we can check
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
    # fnmatch reads [ as a set; here it is the start of [name]:port.
    return fnmatch.fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def _is_hash_of(name: str, pattern: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in pattern.split("|")[2:4])
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
