"""Log in: check the server's host key, then offer the user's keys."""

from __future__ import annotations

import ipaddress
import shlex
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.errors import HostKeyChanged, HostKeyUnknown, LoginRefused, Unreachable
from cosmos_pipelines.remote.ssh.algorithms import CERTIFICATE, host_key_types
from cosmos_pipelines.remote.ssh.config import Hop
from cosmos_pipelines.remote.ssh.host_certificates import certificate_of
from cosmos_pipelines.remote.ssh.known_hosts import (
    KnownKey,
    add_key,
    fingerprint,
    is_in_list,
    keys_of,
)
from cosmos_pipelines.remote.ssh.user_keys import Tried, keys_for

if TYPE_CHECKING:
    import paramiko

_REVOKED: Final = "Ask the host's owner for its new key; do not log in before."
ASKED: Final = ("password", "keyboard-interactive")
"""Ways to log in that ask the user for something."""


def prefer_known_types(transport: paramiko.Transport, hop: Hop) -> None:
    """Ask for a host key of a known type; a key of another type would look like a changed key.

    Certificates come first if an authority is known, last if not.

    Raises:
        NotAllowed: the SSH configuration allows no type that paramiko has.
    """
    known = _known_keys(hop)
    kinds = {key.kind for key in known if not key.authority}
    authority = bool(authorities(hop))

    def place(algorithm: str) -> int:
        if algorithm.endswith(CERTIFICATE):
            return 0 if authority else 3
        return 1 if ("ssh-rsa" if algorithm.startswith("rsa-sha2") else algorithm) in kinds else 2

    host_key_types(transport, hop, place)


def authorities(hop: Hop) -> list[KnownKey]:
    """Return the known authorities whose certificates hold for a host."""
    return [key for key in _known_keys(hop) + _without_port(hop) if key.authority]


def check_host_key(hop: Hop, key: paramiko.PKey, jump: Hop | None) -> None:
    """Return if this key is a known key of the host, or has a certificate of a known authority.

    A new or changed key is accepted where StrictHostKeyChecking says so, and a new one added.

    Raises:
        HostKeyUnknown: no key of the host is known; the hint is the command that adds the key.
        HostKeyChanged: other keys are known, or this key is revoked.
    """
    if hop.localhost_is_trusted and _is_local(hop):
        return
    blob = key.asbytes()
    shown = f"{key.get_name()} {fingerprint(blob)}"
    _refuse_revoked(hop, key, shown)
    problem = _problem_of_certificate(hop, key)
    if problem is None:
        return
    plain = [k for k in _known_keys(hop) if not k.revoked and not k.authority]
    without_port = [k for k in _without_port(hop) if not k.revoked and not k.authority]
    if blob in {k.blob for k in plain or without_port}:
        return
    if not plain:
        if hop.new_keys != "refuse":
            _add(hop, key)
            return
        raise HostKeyUnknown(
            hop.name,
            f"The host key of {hop} is not known: {shown}.{problem}",
            hint="Compare the fingerprint with that of the host's owner, then add the key: "
            + _scan(hop, key, jump),
        )
    if hop.new_keys == "add and ignore changes":
        return
    old = next((k for k in plain if k.kind == key.get_name()), plain[0])
    raise HostKeyChanged(
        hop.name,
        f"THE HOST KEY OF {hop} HAS CHANGED: it shows {shown}; {old.file} has {old}.{problem} "
        "Someone may be listening in.",
        hint="Only if you know that the host was installed again: "
        f"{shlex.join(['ssh-keygen', '-R', hop.key_name, '-f', str(old.file)])} && "
        + _scan(hop, key, jump),
    )


def _refuse_revoked(hop: Hop, key: paramiko.PKey, shown: str) -> None:
    certificate = certificate_of(key)
    signers = {key.asbytes(), certificate.authority if certificate else b""}
    for known in _known_keys(hop) + _without_port(hop):
        if known.revoked and known.blob in signers:
            what = f"the host key {shown}, which is revoked in {known.file}."
            if known.blob != key.asbytes():
                what = f"a certificate of {known}, an authority that is revoked in {known.file}."
            raise HostKeyChanged(hop.name, f"{hop} shows {what}", hint=_REVOKED)
    if hop.revoked_keys is not None:
        whole = key.public_blob
        kind, blob = (whole.key_type, whole.key_blob) if whole else (key.get_name(), key.asbytes())
        if why := is_in_list(kind, blob, hop.revoked_keys):
            said = f"{hop} shows the host key {shown}, which {why}."
            raise HostKeyChanged(hop.name, said, hint=_REVOKED)


def _problem_of_certificate(hop: Hop, key: paramiko.PKey) -> str | None:
    """Return None if a known authority vouches for the key; else a sentence, empty without one."""
    certificate = certificate_of(key)
    known = {k.blob for k in authorities(hop)}
    if certificate is None:
        return " It shows no certificate of the known authority." if known else ""
    if certificate.authority not in known:
        return f" Its certificate is of an unknown authority, {fingerprint(certificate.authority)}."
    allowed = hop.algorithms.get("casignaturealgorithms")
    why = certificate.problem(hop.certificate_name.lower(), allowed)
    return why and f" Its certificate {why}."


def _is_local(hop: Hop) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(hop.address).is_loopback
    return hop.address == "localhost"


def _add(hop: Hop, key: paramiko.PKey) -> None:
    if hop.new_keys_file is not None:
        with suppress(OSError):  # as `ssh`, which connects: the key is new the next time too
            add_key(hop.key_name, key.get_name(), key.asbytes(), hop.new_keys_file,
                    hashed=hop.hashed_names)  # fmt: skip


def _scan(hop: Hop, key: paramiko.PKey, jump: Hop | None) -> str:
    """Return the command that adds a host's key; for a host behind a jump, it runs on the jump."""
    if hop.proxy_command is not None:
        return f"`ssh -o StrictHostKeyChecking=accept-new {shlex.quote(hop.name)} true`"
    file = hop.known_hosts[0] if hop.known_hosts else Path("~/.ssh/known_hosts")
    home = str(Path.home())
    shown = str(file)
    shown = "~" + shown.removeprefix(home) if shown.startswith(home + "/") else shlex.quote(shown)
    alias = hop.certificate_name != hop.address
    words = ["ssh-keyscan", *([] if alias else ["-H"])]
    words += ["-t", key.get_name().removeprefix("ssh-").split("-")[0]]
    words += [] if hop.port == 22 else ["-p", str(hop.port)]
    words = ["ssh", jump.name, *words] if jump else words
    renamed = f" | sed {shlex.quote(f's/^[^# ]*/{hop.key_name}/')}" if alias else ""
    return f"{shlex.join([*words, hop.address])}{renamed} >> {shown}"


def _known_keys(hop: Hop) -> list[KnownKey]:
    return [key for file in hop.known_hosts for key in keys_of(hop.key_name, file)]


def _without_port(hop: Hop) -> list[KnownKey]:
    """Return the keys of the host's name alone, which `ssh` takes where the port has no key."""
    name = hop.key_name_without_port
    return [key for file in hop.known_hosts for key in keys_of(name, file)] if name else []


def log_in(transport: paramiko.Transport, hop: Hop) -> None:
    """Offer the user's keys until the host accepts a key.

    Raises:
        LoginRefused: the host accepts no key; the message lists the keys.
        Unreachable: no answer in time.
    """
    from paramiko import AuthenticationException, BadAuthenticationType, SSHException

    ways = _ways_in(transport, hop)
    if transport.is_authenticated():
        return
    if "publickey" not in ways:
        raise _refusal_of_keys(hop, ways)
    tried = Tried()
    with ExitStack() as stack:
        for label, key in keys_for(hop, tried, stack):
            tried.labels.append(label)
            tried.offered += 1
            try:
                more = transport.auth_publickey(hop.user, key)
            except BadAuthenticationType as e:
                raise _refusal_of_keys(hop, e.allowed_types) from None
            except AuthenticationException as e:
                if "timeout" in str(e):
                    raise Unreachable(hop.name, f"{hop} did not answer the login.") from None
                if not transport.is_active():
                    tried.labels.append("(the host ended the connection)")
                    break
                if "agree" in str(e):
                    tried.labels[-1] += " (the host takes no signature that can be made here)"
            except (SSHException, OSError) as e:
                tried.labels[-1] += f" ({e})"
            else:
                if transport.is_authenticated():
                    return
                raise LoginRefused(
                    hop.name,
                    f"{hop} takes {label} of {hop.user} but wants {', '.join(more)} as well; runs "
                    "log in without questions.",
                    hint="Ask the host's owner for a login by key alone.",
                )
    raise LoginRefused(
        hop.name,
        f"{hop} does not let {hop.user} in. Tried: {tried}.",
        hint=_hint(hop, tried, ways),
    )


def _ways_in(transport: paramiko.Transport, hop: Hop) -> list[str]:
    """Ask as `ssh` does first, without a key; return the ways to log in.

    Raises:
        Unreachable: no answer.
    """
    from paramiko import BadAuthenticationType, SSHException

    try:
        return list(transport.auth_none(hop.user))
    except BadAuthenticationType as e:
        return list(e.allowed_types)
    except (SSHException, EOFError, OSError) as e:
        raise Unreachable(hop.name, f"{hop} did not answer the login: {e}.") from None


def _refusal_of_keys(hop: Hop, ways: list[str]) -> LoginRefused:
    return LoginRefused(
        hop.name,
        f"{hop} accepts no keys from {hop.user}, only: {', '.join(ways)}; runs log in by key, "
        "without questions.",
        hint="Ask the host's owner for a login by key (PubkeyAuthentication in its sshd_config).",
    )


def _hint(hop: Hop, tried: Tried, ways: list[str]) -> str:
    if tried.locked and not tried.offered:
        return f"Put the key into an agent: `ssh-add {shlex.quote(str(tried.locked[0]))}`."
    key_file = next((f for f in hop.key_files if f.is_file()), None)
    if key_file is not None and not tried.offered:
        return (
            "No key could be offered: repair what is said of them, or name another key with "
            "IdentityFile in your SSH configuration or `key` in cosmos.toml."
        )
    make = ""
    if key_file is None:
        key_file, make = Path("~/.ssh/id_ed25519"), "Make a key: `ssh-keygen -t ed25519`. "
    key_file = Path(str(key_file).removesuffix(".pub"))
    if not set(ways) & set(ASKED):  # ssh-copy-id has to log in itself
        return (
            f"{make}Is the user right? Let the key in: add the line of {key_file}.pub to "
            f"~/.ssh/authorized_keys of {hop.user} there, by another login or its provider's page."
        )
    port = [] if hop.port == 22 else ["-p", str(hop.port)]
    copy = ["ssh-copy-id", "-i", f"{key_file}.pub", *port, f"{hop.user}@{hop.address}"]
    return f"{make}Is the user right? Add your key on the host: `{shlex.join(copy)}`"
