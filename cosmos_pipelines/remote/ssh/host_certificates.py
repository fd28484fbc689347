"""Certificates of hosts: read, and checked as `ssh` does (cert_parse and sshkey_cert_check_host of
OpenSSH's sshkey.c; the format: its PROTOCOL.certkeys). paramiko reads the key in it and no more."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.remote.ssh.algorithms import CERTIFICATE

if TYPE_CHECKING:
    import paramiko

HOST: Final = 2
"""The number of a host's certificate; a user's is 1."""
_NUMBERS: Final = {"ssh-rsa": 2, "ssh-ed25519": 1}
"""How many fields a public key has; one of ECDSA has two, curve and point."""


@dataclass(frozen=True)
class Certificate:
    """A certificate, whose signature was not verified yet."""

    kind: int
    names: tuple[str, ...]
    valid_from: int
    """Seconds since 1970."""
    valid_until: int
    critical: bool
    """Whether there are critical options; no such option is known for hosts."""
    authority: bytes
    """The public key of the signer."""
    signed: bytes
    signature: bytes

    def problem(self, name: str, signatures: tuple[str, ...] | None) -> str | None:
        """Return why the certificate does not hold for a host of this name now; None if it does.

        `signatures`: the names of the allowed algorithms of signatures; None: all.
        """
        from paramiko import Message

        algorithm = Message(self.signature).get_string().decode(errors="replace")
        if self.kind != HOST:
            return "is not a certificate of a host"
        if time.time() < self.valid_from:
            return f"is valid from {_day(self.valid_from)} only"
        if time.time() >= self.valid_until:
            return f"expired on {_day(self.valid_until)}"
        if name not in self.names:
            return f"names {', '.join(self.names) or 'no host'}, not {name}"
        if self.critical:
            return "has critical options, which are unknown for hosts"
        if signatures is not None and algorithm not in signatures:
            return f"is signed with {algorithm}, which CASignatureAlgorithms leaves out"
        if (key := public_key(self.authority)) is None:
            return "is signed by a key of a type that cannot be checked here"
        try:
            verified = key.verify_ssh_sig(self.signed, Message(self.signature))
        except ValueError:  # not even the shape of a signature
            verified = False
        return None if verified else "has a wrong signature"


def certificate_of(key: paramiko.PKey) -> Certificate | None:
    """Return the certificate that a host has shown with its key; None if it is no certificate."""
    from paramiko import Message

    shown = key.public_blob
    if shown is None or not shown.key_type.endswith(CERTIFICATE):
        return None
    message = Message(shown.key_blob)
    plain = message.get_string().decode(errors="replace").removesuffix(CERTIFICATE)
    message.get_string()  # nonce
    for _ in range(_NUMBERS.get(plain, 2)):
        message.get_string()
    message.get_int64()  # serial number
    kind = message.get_int()
    message.get_string()  # key id
    names = _strings(message.get_binary())
    valid_from, valid_until = message.get_int64(), message.get_int64()
    critical = message.get_binary()
    message.get_string()  # extensions
    message.get_string()  # reserved
    authority = message.get_binary()
    signed = message.get_so_far()
    return Certificate(
        kind=kind,
        names=tuple(name.decode(errors="replace") for name in names),
        valid_from=valid_from,
        valid_until=valid_until,
        critical=bool(critical),
        authority=authority,
        signed=signed,
        signature=message.get_binary(),
    )


def public_key(blob: bytes) -> paramiko.PKey | None:
    """Return a public key, also the one in a certificate; None if it is of an unknown type."""
    from paramiko import ECDSAKey, Ed25519Key, Message, RSAKey, SSHException

    kind = Message(blob).get_string().decode(errors="replace").removesuffix(CERTIFICATE)
    classes: dict[str, Any] = {"ssh-rsa": RSAKey, "ssh-ed25519": Ed25519Key}
    if kind not in classes and not kind.startswith("ecdsa-sha2-"):
        return None
    try:
        key: paramiko.PKey = classes.get(kind, ECDSAKey)(data=blob)
    except (SSHException, ValueError):
        return None
    return key


def _strings(blob: bytes) -> list[bytes]:
    from paramiko import Message

    message, found = Message(blob), []
    while message.get_remainder():
        found.append(message.get_binary())
    return found


def _day(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return "an unknown day"
