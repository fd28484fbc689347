"""The route of an SSH connection, from the settings and the user's SSH configuration.

`ssh -G` reads the configuration exactly as `ssh` does (Include, Match, tokens), so what works with
`ssh` works here. On a machine without the OpenSSH client, paramiko reads the file.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final, Literal

from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.foreign import expanded, read_text
from cosmos_pipelines.remote.ssh.algorithms import Algorithms, allowed_by

Options = dict[str, list[str]]
"""Lower-case names of ssh_config(5) and their values."""

NewKeys = Literal["refuse", "add", "add and ignore changes"]
"""What StrictHostKeyChecking says of host keys that are not known; nobody can be asked."""
_STRICT: Final[dict[str, NewKeys]] = {
    "accept-new": "add",
    **dict.fromkeys(("no", "off", "false"), "add and ignore changes"),
}

MOST_HOPS: Final = 8
READ_S: Final = 10
_HOST: Final = re.compile(r"[^\s\-/@'\"\\`$;|&<>()][^\s/@'\"\\`$;|&<>()]*")
_JUMP: Final = re.compile(
    r"(?:ssh://)?(?:(?P<user>.+)@)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?"
)
_KEYS: Final = tuple(f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519"))


@dataclass(frozen=True)
class Target:
    """The host to connect to, from the settings. None: as in the SSH configuration."""

    host: str
    """A name, an address, or an alias of the SSH configuration."""
    user: str | None = None
    port: int | None = None
    key_file: Path | None = None
    known_hosts: Path | None = None
    config_file: Path | None = None
    """None: the files that `ssh` itself reads."""
    connect_timeout_s: float = 10.0
    """Time limit of each step of connecting: address, greeting, login."""
    lost_after_s: float = 15.0
    """A connection is lost after so many seconds without any data; a shorter cut does no harm."""


@dataclass(frozen=True)
class Hop:
    """An SSH server on the way to the target, or the target itself."""

    name: str
    """The name in the settings or the SSH configuration."""
    address: str
    port: int
    user: str
    key_name: str
    """The server's name in known_hosts files."""
    known_hosts: tuple[Path, ...]
    key_files: tuple[Path, ...]
    agent: Path | None
    """The socket of the SSH agent."""
    listed_keys_only: bool
    proxy_command: str | None = None
    key_name_without_port: str | None = None
    """Another name in known_hosts files, where the port of `key_name` is another than 22."""
    certificate_name: str = ""
    """The server's name in certificates."""
    certificate_files: tuple[Path, ...] = ()
    """The user's certificates; none: those beside the key files."""
    new_keys: NewKeys = "refuse"
    new_keys_file: Path | None = None
    """Where accepted host keys are added."""
    hashed_names: bool = False
    """Whether they are added with a hashed name."""
    revoked_keys: Path | None = None
    """A file of revoked host keys: a list, or a KRL of `ssh-keygen -k`."""
    localhost_is_trusted: bool = False
    """Whether no host key is checked at an address of this machine."""
    algorithms: Algorithms = field(default_factory=dict)

    def __str__(self) -> str:
        where = self.address if self.port == 22 else f"{self.address}:{self.port}"
        return self.name if self.name == where else f"{self.name} ({where})"


def route(target: Target) -> tuple[Hop, ...]:
    """Return the servers on the way to a target, the target last; follows every ProxyJump.

    Raises:
        SettingsError: a wrong host name, a configuration that cannot be read, or jumps that lead in
            a circle.
    """
    return _route(target, MOST_HOPS)


def _route(target: Target, left: int) -> tuple[Hop, ...]:
    if left == 0:
        raise SettingsError(f"ProxyJump leads over more than {MOST_HOPS} hosts; is it a circle?")
    options = _options(target)
    before: tuple[Hop, ...] = ()
    jumps = [j for j in ",".join(options["proxyjump"]).split(",") if j not in ("", "none")]
    for n, jump in enumerate(jumps):
        via = _target_of(jump, target)
        # A list of jumps is the whole way after its first host.
        before = _route(via, left - 1) if n == 0 else (*before, _hop(via, _options(via)))
    hop = _hop(target, options)
    return (*before, replace(hop, proxy_command=None) if before else hop)


def _target_of(jump: str, target: Target) -> Target:
    m = _JUMP.fullmatch(jump.strip())
    if m is None:
        raise SettingsError(f"{jump!r} is not a host name (ProxyJump of {target.host}).")
    port = int(m["port"]) if m["port"] else None
    host = m["host"].strip("[]")
    return replace(target, host=host, user=m["user"], port=port, key_file=None)


def _options(target: Target) -> Options:
    if not _HOST.fullmatch(target.host):
        raise SettingsError(f"{target.host!r} is not a host name.")
    read = _read_by_ssh if shutil.which("ssh") else _read_by_paramiko
    options = defaultdict(list, read(target))
    if target.key_file is not None:
        options["identityfile"].insert(0, str(target.key_file))
    if target.known_hosts is not None:
        options["userknownhostsfile"] = [str(target.known_hosts)]
        options["globalknownhostsfile"] = []
    return options


def _read_by_ssh(target: Target) -> Options:
    words = ["ssh", "-G"]
    words += ["-F", str(target.config_file)] if target.config_file else []
    words += ["-l", target.user] if target.user else []
    words += ["-p", str(target.port)] if target.port else []
    done = subprocess.run(
        [*words, "--", target.host],
        capture_output=True, encoding="utf-8", errors="replace", check=False,
        stdin=subprocess.DEVNULL, timeout=READ_S,
    )  # fmt: skip
    if done.returncode != 0:
        errors = done.stderr.strip().splitlines() or ["no reason given"]
        raise SettingsError(f"ssh cannot read its configuration for {target.host}: {errors[0]}")
    found: Options = defaultdict(list)
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        found[name] += value.split() if name.endswith("knownhostsfile") else [value]
    return found


def _read_by_paramiko(target: Target) -> Options:
    from paramiko import SSHConfig

    file = target.config_file or expanded("~/.ssh/config")
    text = read_text(file, kind=SettingsError) if file.is_file() else ""
    if re.search(r"(?im)^\s*(include|match)\b", text):
        raise SettingsError(
            f"{file} has Include or Match lines.", hint="Install the OpenSSH client to read them."
        )
    options: Options = {}
    for name, value in SSHConfig.from_text(text).lookup(target.host).items():
        options[name] = value if isinstance(value, list) else [value]
    options["userknownhostsfile"] = options.get(
        "userknownhostsfile", ["~/.ssh/known_hosts ~/.ssh/known_hosts2"]
    )[0].split()
    options["globalknownhostsfile"] = ["/etc/ssh/ssh_known_hosts"]
    options.setdefault("identityfile", list(_KEYS))
    for given, name in ((target.user, "user"), (target.port, "port")):
        if given:
            options[name] = [str(given)]
    return options


def _hop(target: Target, options: Options) -> Hop:
    def first(name: str, otherwise: str) -> str:
        return options[name][0] if options[name] else otherwise

    address, port = first("hostname", target.host), int(first("port", "22"))
    user = first("user", "") or getpass.getuser()
    known = address if port == 22 else f"[{address}]:{port}"
    tokens = {"h": address, "n": target.host, "p": str(port), "r": user, "u": getpass.getuser(),
              "d": str(Path.home()), "%": "%"}  # fmt: skip

    def path(text: str) -> Path:
        return expanded(_filled(text, tokens))

    users = [path(f) for f in options["userknownhostsfile"] if f != "none"]
    common = [path(f) for f in options["globalknownhostsfile"] if f != "none"]
    command = first("proxycommand", "none")
    alias, revoked = first("hostkeyalias", ""), first("revokedhostkeys", "")
    return Hop(
        name=target.host,
        address=address,
        port=port,
        user=user,
        key_name=alias or known,
        known_hosts=(*users, *common),
        key_files=tuple(path(f) for f in dict.fromkeys(options["identityfile"]) if f != "none"),
        agent=_agent(first("identityagent", "SSH_AUTH_SOCK"), tokens),
        listed_keys_only=first("identitiesonly", "no") == "yes",
        proxy_command=None if command == "none" else _filled(command, tokens),
        key_name_without_port=None if alias or port == 22 else address,
        certificate_name=alias or address,
        certificate_files=tuple(path(f) for f in options["certificatefile"] if f != "none"),
        new_keys=_STRICT.get(first("stricthostkeychecking", "ask"), "refuse"),
        new_keys_file=users[0] if users else None,
        hashed_names=first("hashknownhosts", "no") == "yes",
        revoked_keys=None if revoked in ("", "none") else path(revoked),
        localhost_is_trusted=not alias and first("nohostauthenticationforlocalhost", "no") == "yes",
        algorithms=allowed_by(options, _defaults() if shutil.which("ssh") else {}),
    )


@cache
def _defaults() -> Options:
    """Return what `ssh` does without any configuration."""
    return _read_by_ssh(Target("localhost", config_file=Path(os.devnull)))


def _filled(text: str, tokens: dict[str, str]) -> str:
    return re.sub(r"%(.)", lambda m: tokens.get(m[1], m[0]), text)


def _agent(named: str, tokens: dict[str, str]) -> Path | None:
    if named == "none":
        return None
    # SSH_AUTH_SOCK is a variable of SSH, not a setting of this project.
    variable = named.removeprefix("$") if named.startswith("$") else named
    if variable == "SSH_AUTH_SOCK" or named.startswith("$"):
        socket = os.environ.get(variable)
        return Path(socket) if socket else None
    return expanded(_filled(named, tokens))
