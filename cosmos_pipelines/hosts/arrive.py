"""The first step of a host's set-up: connect, check Docker and disk space, read what is installed.

<remote_dir>/engines/<engine>/code         NVIDIA's checkout: see `code`
<remote_dir>/engines/<engine>/Dockerfile   the file of the image's last build: see `image`
<remote_dir>/engines/<engine>/setup.json   the record of the set-up and of its smoke test

A second set-up does only what is missing. Each step prints a line as it happens.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.backends.ssh.folder import LOOK_S, HostFolder
from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.records import SetUp, read_set_up
from cosmos_pipelines.remote.disk import free_bytes
from cosmos_pipelines.remote.docker import answers as docker_answers
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.problems import Problem

Tell = Callable[[str], None]

ARRIVE_S: Final = 300.0
"""Seconds that a host may take to compare the files of its code."""
NEEDED_GIB: Final = 100
"""Free space below which a warning says that image and weights may not fit."""


@dataclass(frozen=True)
class SetupRequest:
    """What the user changes in a set-up; by default nothing."""

    source: Path | None = None
    """A checkout or directory of this machine to copy, instead of cloning."""
    base: str | None = None
    """Another base image: from a mirror, for example."""
    dockerfile: Path | None = None
    """The user's own Dockerfile."""
    image: str | None = None
    """An image that is on the host already; no image is built."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments."""


@dataclass(frozen=True)
class EngineOnHost:
    """One engine on one host."""

    host: HostFolder
    engine: str
    setup: HostSetup
    directories: Mapping[str, str]
    """Paths of the engine's directories on the host by name, absolute or below `remote_dir`."""
    scripts: Path
    """The directory `gpu_scripts` of this package, with the Dockerfiles."""
    tell: Tell


@dataclass(frozen=True)
class Arrived:
    """The state of the host before the set-up."""

    root: str
    code: str | None
    """Absolute path of the code; None if there is none."""
    commit: str
    """The commit of the code, or the name of its content; empty if unknown."""
    changed: str
    """Some of the code's files that were changed."""


def arrive(target: EngineOnHost, *, code: bool = True) -> Arrived:
    """Connect, check Docker and the free disk space, make the directories.

    `code`: read the state of the installed code as well.

    Raises:
        BackendError: Docker cannot be used, or the directories cannot be written.
        InputError: the host is a login node of a cluster.
        Unreachable, NotAllowed: see `Connection`.
    """
    if target.host.carrier.elsewhere:
        raise InputError(
            f"{target.host.host} is a login node: orders run on other machines of its cluster.",
            hint="Bring image, code and weights there by hand: docs/slurm.md says how.",
        )
    daemon = _docker(target.host)
    others = [source for name, source in target.directories.items() if name != "code"]
    code_directory = target.directories["code"] if code else ""
    argv = host_setup_script.arrive(target.host.remote_dir, target.engine, code_directory, *others)
    answer = target.host.ask(argv, timeout_s=ARRIVE_S)
    root, parts = answer.part("root"), answer.parts
    free = (free_bytes(answer.part("free")) or 0) / (1 << 30)
    room = f"{free:.0f} GiB free below {root}"
    target.tell(f"{target.host.host}: Docker {daemon.version}; {room}.")
    if free < NEEDED_GIB:
        target.tell(f"warning: {free:.0f} GiB may be too little for image and weights.")
    return Arrived(
        root=root,
        code=parts.get("code"),
        commit=parts.get("commit", "").strip(),
        changed=" ".join(parts.get("changed", "").split()),
    )


def _docker(host: HostFolder) -> docker_answers.DockerDaemon:
    done = host.connection.run(docker.info_argv(), timeout_s=LOOK_S)
    stdout, stderr = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    daemon = docker_answers.parse_info(done.exit_code, stdout, stderr)
    if isinstance(daemon, Problem):
        raise daemon.error(host.host)
    return daemon


def recorded(target: EngineOnHost) -> SetUp:
    """Return the record of the last set-up; an empty one if none is there or can be read."""
    argv = host_setup_script.record_argv(target.host.remote_dir, target.engine)
    return read_set_up(target.host.ask(argv, timeout_s=LOOK_S).parts.get("record", "")) or SetUp()


def root_of(host: HostFolder) -> str | None:
    """Return the absolute path of `remote_dir` on a host; None if it does not exist yet."""
    argv = host_setup_script.root_argv(host.remote_dir)
    return host.ask(argv, timeout_s=LOOK_S).parts.get("root")


def record(target: EngineOnHost, root: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the record of the set-up on the host, and return it."""
    record_facts = {**facts, "recorded_at": datetime.now(UTC).isoformat(timespec="seconds")}
    argv = host_setup_script.write(root, target.engine, host_setup_script.RECORD, uuid.uuid4().hex)
    text = json.dumps(record_facts, indent=1, ensure_ascii=False).encode()
    target.host.ask(argv, input=text, timeout_s=LOOK_S)
    return record_facts
