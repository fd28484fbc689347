"""The algorithms of a connection: those of paramiko that the user's SSH configuration allows.

The one file that uses private parts of paramiko, which tells no algorithms that are not preferred.
Tried with paramiko 5.0 and 5.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from cosmos_pipelines.errors import NotAllowed

if TYPE_CHECKING:
    import paramiko

    from cosmos_pipelines.remote.ssh.config import Hop

CERTIFICATE: Final = "-cert-v01@openssh.com"
"""The ending of the types of certificates: PROTOCOL.certkeys of OpenSSH."""

Algorithms = Mapping[str, tuple[str, ...] | None]
"""The allowed names by option; None: the option does not restrict them."""

_OPTIONS: Final = (
    "kexalgorithms", "ciphers", "macs", "hostkeyalgorithms", "pubkeyacceptedalgorithms",
    "casignaturealgorithms",
)  # fmt: skip
_OLD_NAMES: Final = {"pubkeyacceptedalgorithms": "pubkeyacceptedkeytypes"}
"""Names before OpenSSH 8.5."""
_USERAUTH: Final = b"\x05\0\0\0\x0cssh-userauth"
"""SSH_MSG_SERVICE_REQUEST for logging in: RFC 4253."""
_WEAK: Final = re.compile("cbc|md5|sha1|-96")
"""What no hint should recommend."""
_RSA: Final = ("rsa-sha2-512", "rsa-sha2-256")

_AGREED: Final = (
    ("kexalgorithms", "KexAlgorithms", "way to exchange keys", "kex_algo_list"),
    ("hostkeyalgorithms", "HostKeyAlgorithms", "type of host key", "server_key_algo_list"),
    ("ciphers", "Ciphers", "cipher", "client_encrypt_algo_list"),
    ("macs", "MACs", "MAC", "client_mac_algo_list"),
)
"""Option, its name in sshd_config, what it is, and paramiko's name of the server's list."""


def allowed_by(options: Mapping[str, list[str]], defaults: Mapping[str, list[str]]) -> Algorithms:
    """Read the options of `ssh -G`, which have no + - ^ any more; `defaults`: those of `ssh`.

    A list that changes the default, as paramiko reads it from a file, restricts nothing.
    """
    found: dict[str, tuple[str, ...] | None] = {}
    for name in _OPTIONS:
        old = _OLD_NAMES.get(name, name)
        words = options.get(name) or options.get(old) or []
        text = words[0] if words else ""
        free = not text or text[0] in "+-^" or words == (defaults.get(name) or defaults.get(old))
        found[name] = None if free else tuple(text.split(","))
    return found


def allows(hop: Hop, option: str, name: str) -> bool:
    """Return whether the user's SSH configuration allows an algorithm."""
    names = hop.algorithms.get(option)
    return names is None or name in names


def signs_with(hop: Hop, kind: str) -> bool:
    """Return whether keys or certificates of this type may be offered to the host."""
    plain = kind.removesuffix(CERTIFICATE)
    end = kind.removeprefix(plain)
    names = _RSA if plain == "ssh-rsa" else (plain,)
    return any(allows(hop, "pubkeyacceptedalgorithms", name + end) for name in names)


def transport_to(hop: Hop, sock: Any) -> paramiko.Transport:
    """Return a transport over a socket, which offers what is allowed.

    Raises:
        NotAllowed: the SSH configuration allows nothing that paramiko has.
    """
    transport = _class()(sock, disabled_algorithms={
        "pubkeys": [name for name in _RSA if not allows(hop, "pubkeyacceptedalgorithms", name)
                    and not allows(hop, "pubkeyacceptedalgorithms", name + CERTIFICATE)],
    })  # fmt: skip
    security = transport.get_security_options()
    security.kex = _left(hop, "kexalgorithms", transport.every_kex)  # type: ignore[attr-defined]
    security.ciphers = _left(hop, "ciphers", security.ciphers)
    security.digests = _left(hop, "macs", security.digests)
    return transport


def host_key_types(transport: paramiko.Transport, hop: Hop, key: Callable[[str], int]) -> None:
    """Ask for the allowed types of host keys and host certificates, the smallest `key` first.

    Raises:
        NotAllowed: as `transport_to`.
    """
    plain = transport.get_security_options().key_types
    every = (*plain, *(name + CERTIFICATE for name in plain))
    transport.host_key_order = tuple(  # type: ignore[attr-defined]
        sorted(_left(hop, "hostkeyalgorithms", every), key=key)
    )


def no_agreement(transport: paramiko.Transport, hop: Hop) -> NotAllowed:
    """Return the error for a server with which no algorithm is shared, with both lists."""
    ours = _offered(transport)
    for option, word, what, theirs_name in _AGREED:
        theirs = transport.offered.get(theirs_name, [])  # type: ignore[attr-defined]
        if theirs and not set(theirs) & set(ours[option]):
            message = (
                f"{hop} and this machine share no {what}: the host has {', '.join(theirs)}; "
                f"here are {', '.join(ours[option])}."
            )
            known = set(theirs) & set(ours[f"all {option}"])
            hint = f"Allow one of ours on the host: {word} in its sshd_config."
            if known:
                hint = (
                    f"Your SSH configuration leaves out {', '.join(sorted(known))}: "
                    f"add one to {word} for {hop.name} there."
                )
            return NotAllowed(hop.name, message, hint=hint)
    return NotAllowed(hop.name, f"{hop} and this machine share no algorithm.",
                      hint=f"See `ssh -v {hop.name}`.")  # fmt: skip


def _offered(transport: paramiko.Transport) -> dict[str, tuple[str, ...]]:
    import paramiko

    security = transport.get_security_options()
    plain = security.key_types
    return {
        "kexalgorithms": tuple(security.kex),
        "hostkeyalgorithms": tuple(transport.preferred_keys),
        "ciphers": tuple(security.ciphers),
        "macs": tuple(security.digests),
        "all kexalgorithms": tuple(transport._kex_info),  # type: ignore[attr-defined]
        "all hostkeyalgorithms": (*plain, *(name + CERTIFICATE for name in plain)),
        "all ciphers": tuple(paramiko.Transport._cipher_info),  # type: ignore[attr-defined]
        "all macs": tuple(paramiko.Transport._mac_info),  # type: ignore[attr-defined]
    }


def _left(hop: Hop, option: str, ours: Iterable[str]) -> tuple[str, ...]:
    left = tuple(name for name in ours if allows(hop, option, name))
    if not left:
        word = next(word for name, word, *_ in _AGREED if name == option)
        raise NotAllowed(
            hop.name,
            f"Your SSH configuration allows for {hop} only {word} that cannot be used here: "
            f"{', '.join(hop.algorithms[option] or ())}.",
            hint=f"Add one of these to {word}: "
            f"{', '.join(name for name in ours if not _WEAK.search(name))}.",
        )
    return left


@cache
def _class() -> type[paramiko.Transport]:
    import paramiko

    # the name in RFC 8731 of what paramiko has by its older name
    old, new = "curve25519-sha256@libssh.org", "curve25519-sha256"
    info = paramiko.Transport._kex_info  # type: ignore[attr-defined]
    aliases = {new: info[old]} if old in info else {}

    class Transport(paramiko.Transport):
        """Keeps the server's lists for an error; offers exactly `host_key_order`; asks once."""

        _kex_info: ClassVar[dict[str, Any]] = {
            **info,
            **aliases,
        }

        def __init__(self, *given: Any, **more: Any) -> None:
            self.offered: dict[str, list[str]] = {}
            self.host_key_order: tuple[str, ...] | None = None
            self.asked_to_log_in = False
            super().__init__(*given, **more)

        @property
        def every_kex(self) -> tuple[str, ...]:
            return (*aliases, *self.preferred_kex)

        @property
        def preferred_keys(self) -> tuple[str, ...]:
            order = self.host_key_order
            return tuple(super().preferred_keys) if order is None else order

        def _send_message(self, data: Any) -> None:
            """Ask once for the service ssh-userauth: servers in Go hang up if asked again.

            paramiko asks before each attempt to log in, and logs in when the answer comes.
            """
            if not self.is_authenticated() and data.asbytes() == _USERAUTH:
                if self.asked_to_log_in:
                    handler: Any = self.auth_handler
                    handler._parse_service_accept(paramiko.Message(_USERAUTH[1:]))
                    return
                self.asked_to_log_in = True
            super()._send_message(data)  # type: ignore[misc]

        def _really_parse_kex_init(self, *given: Any, **more: Any) -> Any:
            parsed = super()._really_parse_kex_init(*given, **more)  # type: ignore[misc]
            self.offered = {name: list(value) for name, value in parsed.items()
                            if isinstance(value, list)}  # fmt: skip
            return parsed

    return Transport
