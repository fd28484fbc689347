"""Makes a bare GPU host ready for an engine: what is said and known of it, step by step.

<remote_dir>/engines/<engine>/code         NVIDIA's checkout: see `host_code`
<remote_dir>/engines/<engine>/Dockerfile   what the image was last built of: see `host_image`
<remote_dir>/engines/<engine>/setup.json   what was set up, and how its smoke test ended

Done again it does only what is missing. Each step is told as a line as it happens.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.backends.ssh_docker.folder import LOOK_S, HostFolder
from cosmos_pipelines.engines.base import Engine, HostSetup
from cosmos_pipelines.engines.cosmos import Cosmos
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.records import SetUp, read_set_up
from cosmos_pipelines.operations.base import Directory
from cosmos_pipelines.remote.docker import answers as docker_answers
from cosmos_pipelines.remote.docker import commands as docker

Tell = Callable[[str], None]

ARRIVE_S: Final = 300.0
"""Seconds that a host may take to look through the code that is there."""
NEEDED_GIB: Final = 100
"""Free space below which people are told that image and weights may not find room."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants otherwise than usual."""

    source: Path | None = None
    """A checkout or directory of this machine to copy, instead of cloning."""
    base: str | None = None
    """Another base image: a mirror's, for example."""
    dockerfile: Path | None = None
    """A Dockerfile of one's own."""
    image: str | None = None
    """An image that is there already; nothing is built."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments."""


@dataclass(frozen=True)
class Setting:
    """One engine on one host."""

    host: HostFolder
    engine: str
    setup: HostSetup
    directories: Mapping[str, str]
    """Where they are on the host, by name; below our directory there unless absolute."""
    scripts: Path
    """Our gpu_scripts, with the Dockerfiles."""
    tell: Tell


@dataclass(frozen=True)
class Arrived:
    """The host as it was found."""

    root: str
    free_gib: float
    code: str | None
    """Absolute path of the code; None if there is none."""
    commit: str
    """Its commit, what its content is called, or empty if nobody can tell."""
    changed: str
    """Some of the files that are not as they came."""


def directories_of(engine: Engine) -> tuple[Directory, ...]:
    """What an engine needs on its host, where settings or the set-up have put it."""
    if isinstance(engine, Cosmos):
        return engine.directories()
    return engine.setup.directories if engine.setup else ()


def arrive(at: Setting, *, code: bool = True) -> Arrived:
    """Connect, see that Docker works and how much room there is; make the directories.

    `code`: look at the code that is there as well.

    Raises:
        BackendError: Docker cannot be used, or nothing can be written there.
        Unreachable, NotAllowed: see `Connection`.
    """
    engine = _docker(at.host)
    others = [source for name, source in at.directories.items() if name != "code"]
    where = at.directories["code"] if code else ""
    argv = host_setup_script.arrive(at.host.remote_dir, at.engine, where, *others)
    answer = at.host.ask(argv, timeout_s=ARRIVE_S)
    root, parts = answer.part("root"), answer.parts
    words = answer.part("free").split()
    free = (whole(words[3]) or 0) / (1 << 20) if len(words) > 3 else 0.0
    at.tell(f"{at.host.host}: Docker {engine.version}; {free:.0f} GiB free below {root}.")
    if free < NEEDED_GIB:
        at.tell(f"warning: {free:.0f} GiB are little for image and weights.")
    return Arrived(
        root=root,
        free_gib=free,
        code=parts.get("code"),
        commit=parts.get("commit", "").strip(),
        changed=" ".join(parts.get("changed", "").split()),
    )


def _docker(host: HostFolder) -> docker_answers.Engine:
    done = host.connection.run(docker.info_argv(), timeout_s=LOOK_S)
    said = done.stdout.decode(errors="replace")
    if said.lstrip().startswith("{"):
        engine = docker_answers.parse_info(said)
        if isinstance(engine, docker_answers.Engine):
            return engine
        raise engine.error(host.host)
    raise docker_answers.parse_problem(done.stderr.decode(errors="replace")).error(host.host)


def recorded(at: Setting) -> SetUp:
    """What was kept of the last set-up; nothing if there was none, or none that can be read."""
    argv = host_setup_script.record_argv(at.host.remote_dir, at.engine)
    return read_set_up(at.host.ask(argv, timeout_s=LOOK_S).parts.get("record", "")) or SetUp()


def root_of(host: HostFolder) -> str | None:
    """Our directory on a host, absolute; None if there is none yet."""
    argv = host_setup_script.root_argv(host.remote_dir)
    return host.ask(argv, timeout_s=LOOK_S).parts.get("root")


def record(at: Setting, root: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Keep on the host what was set up."""
    told = {**facts, "recorded_at": datetime.now(UTC).isoformat(timespec="seconds")}
    argv = host_setup_script.write(root, at.engine, host_setup_script.RECORD, uuid.uuid4().hex)
    text = json.dumps(told, indent=1, ensure_ascii=False).encode()
    at.host.ask(argv, input=text, timeout_s=LOOK_S)
    return told
