"""Log in: check the server's host key, then offer the user's keys."""

from __future__ import annotations

import base64
import shlex
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.errors import HostKeyChanged, HostKeyUnknown, LoginRefused, Unreachable
from cosmos_pipelines.remote.ssh.config import Hop
from cosmos_pipelines.remote.ssh.known_hosts import KnownKey, fingerprint, keys_of

if TYPE_CHECKING:
    import paramiko

AGENT_S: Final = 60.0
"""Seconds for an answer of an agent, which may ask its user to touch a security key."""


def prefer_known_types(transport: paramiko.Transport, hop: Hop) -> None:
    """Ask for a host key of a known type; a key of another type would look like a changed key."""
    known = {key.kind for key in _known_keys(hop)}
    security = transport.get_security_options()

    def unknown(algorithm: str) -> bool:
        return ("ssh-rsa" if algorithm.startswith("rsa-sha2") else algorithm) not in known

    security.key_types = tuple(sorted(security.key_types, key=unknown))


def check_host_key(hop: Hop, key: paramiko.PKey, jump: Hop | None) -> None:
    """Return if this key is a known key of the host.

    Raises:
        HostKeyUnknown: no key of the host is known; the hint is the command that adds the key.
        HostKeyChanged: other keys are known, or this key is revoked.
    """
    blob = key.asbytes()
    shown = f"{key.get_name()} {fingerprint(blob)}"
    known = _known_keys(hop)
    same = [k for k in known if k.blob == blob]
    if revoked := next((k for k in same if k.revoked), None):
        raise HostKeyChanged(
            hop.name, f"{hop} shows the host key {shown}, which is revoked in {revoked.file}."
        )
    if same:
        return
    others = [k for k in known if not k.revoked]
    if not others:
        raise HostKeyUnknown(
            hop.name,
            f"The host key of {hop} is not known: {shown}.",
            hint="Compare the fingerprint with that of the host's owner, then add the key: "
            + _scan(hop, key, jump),
        )
    old = next((k for k in others if k.kind == key.get_name()), others[0])
    raise HostKeyChanged(
        hop.name,
        f"THE HOST KEY OF {hop} HAS CHANGED: it shows {shown}; {old.file} has {old}. "
        "Someone may be listening in.",
        hint="Only if you know that the host was installed again: "
        f"{shlex.join(['ssh-keygen', '-R', hop.key_name, '-f', str(old.file)])} && "
        + _scan(hop, key, jump),
    )


def _scan(hop: Hop, key: paramiko.PKey, jump: Hop | None) -> str:
    """Return the command that adds a host's key; for a host behind a jump, it runs on the jump."""
    words = ["ssh-keyscan", "-H", "-t", key.get_name().removeprefix("ssh-").split("-")[0]]
    words += [] if hop.port == 22 else ["-p", str(hop.port)]
    words = ["ssh", jump.name, *words] if jump else words
    file = hop.known_hosts[0] if hop.known_hosts else Path("~/.ssh/known_hosts")
    home = str(Path.home())
    shown = str(file)
    shown = "~" + shown.removeprefix(home) if shown.startswith(home + "/") else shlex.quote(shown)
    return f"{shlex.join([*words, hop.address])} >> {shown}"


def _known_keys(hop: Hop) -> list[KnownKey]:
    return [key for file in hop.known_hosts for key in keys_of(hop.key_name, file)]


def log_in(transport: paramiko.Transport, hop: Hop) -> None:
    """Offer the user's keys until the host accepts a key: first from the agent, then from files.

    Raises:
        LoginRefused: the host accepts no key; the message lists the keys.
        Unreachable: no answer in time.
    """
    from paramiko import AuthenticationException, BadAuthenticationType, SSHException

    tried: list[str] = []
    with ExitStack() as stack:
        for label, key in _keys(hop, tried, stack):
            tried.append(label)
            try:
                transport.auth_publickey(hop.user, key)
            except BadAuthenticationType as e:
                accepted = ", ".join(e.allowed_types)
                raise LoginRefused(
                    hop.name, f"{hop} accepts no keys from {hop.user}, only: {accepted}."
                ) from None
            except AuthenticationException as e:
                if "timeout" in str(e):
                    raise Unreachable(hop.name, f"{hop} did not answer the login.") from None
                if not transport.is_active():
                    tried.append("(the host ended the connection)")
                    break
            except SSHException as e:
                tried[-1] += f" ({e})"
            else:
                if transport.is_authenticated():
                    return
                tried[-1] += " (the host wants more than a key)"
    key_file = next((f for f in hop.key_files if f.is_file()), Path("~/.ssh/id_ed25519"))
    port = [] if hop.port == 22 else ["-p", str(hop.port)]
    copy = ["ssh-copy-id", "-i", f"{key_file}.pub", *port, f"{hop.user}@{hop.address}"]
    raise LoginRefused(
        hop.name,
        f"{hop} does not let {hop.user} in. Tried: {', '.join(tried) or 'no key, there is none'}.",
        hint=f"Is the user right? Add your key on the host: {shlex.join(copy)}",
    )


def _keys(hop: Hop, tried: list[str], stack: ExitStack) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield the keys to offer; add keys that cannot be offered to `tried`."""
    listed = {blob: file for file in hop.key_files if (blob := _public_part(file))}
    offered: set[bytes] = set()
    if hop.agent is not None:
        try:
            agent = stack.enter_context(_agent(hop.agent))
        except OSError as e:
            tried.append(f"agent {hop.agent} ({e.strerror or e})")
        else:
            keys = [
                k for k in agent.get_keys() if k.asbytes() in listed or not hop.listed_keys_only
            ]
            for key in sorted(keys, key=lambda k: k.asbytes() not in listed):
                offered.add(key.asbytes())
                yield f"{key.comment or key.get_name()} of the agent", key
    for file in hop.key_files:
        if listed.get(_public_part(file) or b"") and _public_part(file) in offered:
            continue
        loaded = _load(file)
        if isinstance(loaded, str):
            tried.append(f"{file} ({loaded})")
        elif loaded is not None:
            yield str(file), loaded


def _load(file: Path) -> paramiko.PKey | str | None:
    """Load a private key; return the reason if it cannot be used, None if there is no such file."""
    from paramiko import PasswordRequiredException, PKey, SSHException
    from paramiko.pkey import UnknownKeyType

    if not file.exists():
        return None
    try:
        return PKey.from_path(file)
    except (PasswordRequiredException, TypeError):
        return f"has a passphrase: ssh-add {shlex.quote(str(file))}"
    except UnknownKeyType:
        return "is of a type that cannot be read here: add the key to an agent (ssh-add)"
    except (SSHException, ValueError):
        return "is not a private key"
    except OSError as e:
        return e.strerror or str(e)


def _public_part(file: Path) -> bytes | None:
    try:
        words = Path(f"{file}.pub").read_text(errors="replace").split()
        return base64.b64decode(words[1]) if len(words) > 1 else None
    except (OSError, ValueError):
        return None


@contextmanager
def _agent(path: Path) -> Iterator[paramiko.agent.AgentSSH]:
    """Yield the agent behind a socket.

    Raises:
        OSError: no agent answers.
    """
    from paramiko import SSHException
    from paramiko.agent import AgentSSH

    class Agent(AgentSSH):
        """paramiko's class takes only the path of the environment, and waits for ever."""

        def __init__(self, connection: socket.socket) -> None:
            super().__init__()
            self._connect(connection)  # type: ignore[attr-defined]

    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(AGENT_S)
        connection.connect(str(path))
        try:
            agent = Agent(connection)
        except SSHException as e:
            raise OSError(str(e)) from None
        yield agent
