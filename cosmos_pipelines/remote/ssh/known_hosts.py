"""Read known host keys: files as sshd(8) describes them under SSH_KNOWN_HOSTS FILE FORMAT.

The reader of paramiko fails on a file with an unknown line (`@cert-authority`), and knows no
wildcards.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import hmac
import os
import subprocess
import tempfile
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
    authority: bool = False
    """Whether the key signs certificates of hosts; it is no host key then."""

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
        if len(words) < 3 or words[0].startswith("#"):
            continue
        patterns, kind, text = words[:3]
        try:
            blob = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        if _matches(name, patterns):
            yield KnownKey(file, kind, blob, marker == "@revoked", marker == "@cert-authority")


def add_key(name: str, kind: str, blob: bytes, file: Path, *, hashed: bool) -> None:
    """Append a host key as `ssh` does, with the name hashed if asked.

    Raises:
        OSError: the file cannot be written.
    """
    if hashed:
        salt = os.urandom(20)
        digest = hmac.digest(salt, name.lower().encode(), "sha1")
        name = "|".join(["", "1", *(base64.b64encode(x).decode() for x in (salt, digest))])
    line = f"{name} {kind} {base64.b64encode(blob).decode()}\n".encode()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("ab") as known:  # one write: other programs append to the file too
        if file.is_file() and known.tell() and not file.read_bytes().endswith(b"\n"):
            line = b"\n" + line
        known.write(line)


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
    return hmac.compare_digest(hmac.digest(salt, name.lower().encode(), "sha1"), digest)


def is_in_list(kind: str, blob: bytes, revoked: Path) -> str | None:
    """Return why `ssh` refuses a host key or certificate for a list of revoked keys, or None."""
    with tempfile.NamedTemporaryFile("w", suffix=".pub") as key:
        key.write(f"{kind} {base64.b64encode(blob).decode()}\n")
        key.flush()
        words = ["ssh-keygen", "-Q", "-f", str(revoked), key.name]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except FileNotFoundError:
            return f"cannot be looked up in {revoked}: ssh-keygen is not installed"
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").strip()
    return f"cannot be looked up in {revoked}: {said}" if said else f"is revoked in {revoked}"
