"""The keys and certificates to offer to a host, in the order of `ssh` (pubkey_prepare in OpenSSH's
sshconnect2.c): certificates that the configuration names, the agent's keys, key files."""

from __future__ import annotations

import base64
import os
import shlex
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.remote.ssh.algorithms import CERTIFICATE, signs_with
from cosmos_pipelines.remote.ssh.config import Hop
from cosmos_pipelines.remote.ssh.host_certificates import public_key

if TYPE_CHECKING:
    import paramiko

AGENT_S: Final = 60.0
"""Seconds for an answer of an agent, which may ask its user to touch a security key."""
_OPENSSH: Final = b"openssh-key-v1\0"
"""The beginning of a private key's file: PROTOCOL.key of OpenSSH."""


@dataclass
class Tried:
    """What was offered to a host, and what could not be offered."""

    labels: list[str] = field(default_factory=list)
    """Keys and certificates, each with the reason if there is one."""
    locked: list[Path] = field(default_factory=list)
    """Key files that have a passphrase, and whose key is not in the agent."""
    offered: int = 0

    def __str__(self) -> str:
        return ", ".join(self.labels) or "no key, there is none"


@dataclass(frozen=True)
class _Files:
    """The key files that the configuration names; their public parts, where they are readable."""

    public: dict[Path, bytes | None]

    def certificates(self, hop: Hop) -> list[tuple[Path, bytes]]:
        """Return the certificates of the configuration; without any, those beside the keys."""
        beside = (Path(f"{file}-cert.pub") for file in self.public)
        files = hop.certificate_files or beside
        return [(file, blob) for file in files if (blob := _public_text(file)) and _certifies(blob)]


def keys_for(hop: Hop, tried: Tried, stack: ExitStack) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield the keys to offer, each with a label; add keys that cannot be offered to `tried`."""
    files = _Files({file: _public_part(file) for file in hop.key_files})
    agent = _agent_keys(hop, tried, stack)
    certificates = files.certificates(hop)
    if hop.certificate_files:
        yield from _allowed(hop, tried, _certified(certificates, files, agent, tried))
    certified = {blob for _, blob in certificates}
    listed = {*files.public.values(), *certified}
    known = [k for k in agent if not hop.listed_keys_only or k.blob in listed]
    known.sort(key=lambda k: k.blob not in listed)
    yield from _allowed(hop, tried, ((f"{_name(k)} of the agent", k) for k in known))
    offered = {k.blob for k in known}
    for file, public in files.public.items():
        if public is None or public not in offered:
            yield from _allowed(hop, tried, _from_file(file, tried))
        beside = Path(f"{file}-cert.pub")
        one = [(path, blob) for path, blob in certificates if path == beside]
        if not hop.certificate_files and not {blob for _, blob in one} & offered:
            yield from _allowed(hop, tried, _certified(one, files, agent, tried))


def _allowed(
    hop: Hop, tried: Tried, keys: Iterator[tuple[str, paramiko.PKey]]
) -> Iterator[tuple[str, paramiko.PKey]]:
    for label, key in keys:
        kind = key.public_blob.key_type if key.public_blob else key.get_name()
        if signs_with(hop, kind):
            yield label, key
        else:
            tried.labels.append(f"{label} (PubkeyAcceptedAlgorithms leaves {kind} out)")


def _certified(
    certificates: list[tuple[Path, bytes]],
    files: _Files,
    agent: list[paramiko.agent.AgentKey],
    tried: Tried,
) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield certificates, each with its private key from the agent or a key file."""
    from paramiko import Message
    from paramiko.pkey import PublicBlob

    for path, blob in certificates:
        key = public_key(blob)
        plain = key.asbytes() if key is not None else b""
        signer: paramiko.PKey | None = next((_like(k) for k in agent if k.blob == plain), None)
        if signer is None:
            held = (file for file, public in files.public.items() if public == plain)
            loaded = [_load(file, Tried()) for file in held]
            signer = next((k for k in loaded if k is not None), None)
        if signer is None:
            tried.labels.append(f"{path} (its private key is in no agent and no key file)")
            continue
        signer.public_blob = PublicBlob.from_message(Message(blob))
        yield str(path), signer


def _from_file(file: Path, tried: Tried) -> Iterator[tuple[str, paramiko.PKey]]:
    if (key := _load(file, tried)) is not None:
        yield str(file), key


def _load(file: Path, tried: Tried) -> paramiko.PKey | None:
    """Load a private key; add the reason to `tried` if the file is there and cannot be used."""
    from paramiko import PasswordRequiredException, PKey, SSHException
    from paramiko.pkey import UnknownKeyType

    if not file.exists():
        return None
    try:
        key = PKey.from_path(file)
        key.public_blob = None  # the certificate beside it is offered for itself
        if not _is_open_to_others(file):
            return key
        why = f"others may read it, and ssh refuses it: chmod 600 {shlex.quote(str(file))}"
    except (PasswordRequiredException, TypeError):
        why = f"has a passphrase: ssh-add {shlex.quote(str(file))}"
        tried.locked.append(file)
    except UnknownKeyType:
        why = "is of a type that cannot be read here: add the key to an agent (ssh-add)"
    except (SSHException, ValueError):
        why = "is not a private key"
        if _public_text(file) is not None:
            why = "is a public key, whose private key is not in the agent"
    except OSError as e:
        why = e.strerror or str(e)
    tried.labels.append(f"{file} ({why})")
    return None


def _is_open_to_others(file: Path) -> bool:
    facts = file.stat()
    return facts.st_uid == os.getuid() and bool(stat.S_IMODE(facts.st_mode) & 0o077)


def _certifies(blob: bytes) -> bool:
    from paramiko import Message

    return Message(blob).get_string().endswith(CERTIFICATE.encode())


def _public_part(file: Path) -> bytes | None:
    """Return the public key of a key file, which may be the public key itself."""
    return _public_text(file) or _public_of_private(file) or _public_text(Path(f"{file}.pub"))


def _public_text(file: Path) -> bytes | None:
    try:
        words = file.read_text(errors="replace").split()
        if len(words) < 2 or words[0].startswith("-"):
            return None
        blob = base64.b64decode(words[1], validate=True)
    except (OSError, ValueError):
        return None
    kind = words[0].encode()
    return blob if blob.startswith(len(kind).to_bytes(4, "big") + kind) else None


def _public_of_private(file: Path) -> bytes | None:
    """Return the public key in a file of a private key, which is readable without passphrase."""
    from paramiko import Message

    try:
        lines = file.read_bytes().split(b"\n")
        blob = base64.b64decode(b"".join(line for line in lines if b"-" not in line))
    except (OSError, ValueError):
        return None
    if not blob.startswith(_OPENSSH):
        return None
    message = Message(blob)
    message.get_bytes(len(_OPENSSH))
    for _ in ("cipher", "derivation", "its options"):
        message.get_string()
    return message.get_binary() if message.get_int() == 1 else None


# Agent ----------------------------------------------------------------------------------------


def _agent_keys(hop: Hop, tried: Tried, stack: ExitStack) -> list[paramiko.agent.AgentKey]:
    if hop.agent is None:
        return []
    try:
        agent = stack.enter_context(_agent(hop.agent))
    except OSError as e:
        tried.labels.append(f"agent {hop.agent} ({e.strerror or e})")
        return []
    keys = [_like(key, certificate=True) for key in agent.get_keys()]
    for key in keys:
        key.public_blob = None  # paramiko 5.0 looks for it and sets it nowhere
    return keys


def _name(key: paramiko.agent.AgentKey) -> str:
    return str(key.comment or key.get_name())


def _like(key: paramiko.agent.AgentKey, *, certificate: bool = False) -> paramiko.agent.AgentKey:
    """Return a copy of an agent's key; a certificate of the agent is offered and signs as such."""
    if certificate and not _certifies(key.blob):
        return key
    return _class(certificate)(key.agent, key.blob, key.comment)


@cache
def _class(certificate: bool) -> type[paramiko.agent.AgentKey]:
    from paramiko.agent import AgentKey

    class AgentCertificate(AgentKey):
        """paramiko offers the key of a certificate under the certificate's name."""

        def asbytes(self) -> bytes:
            return bytes(self.blob)

    return AgentCertificate if certificate else AgentKey


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
