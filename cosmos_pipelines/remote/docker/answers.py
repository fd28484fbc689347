"""Read the output of Docker commands into plain values; `problems` reads why one failed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast, get_args

from cosmos_pipelines.errors import BackendError, InputError
from cosmos_pipelines.foreign import parse_json
from cosmos_pipelines.remote.docker.problems import Problem, parse_problem
from cosmos_pipelines.remote.gpu import MOST

Status = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]

STATUSES: Final = frozenset(get_args(Status))
"""With any other word nobody knows whether a container has processes."""
ALIVE: Final = ("running", "paused", "restarting")
"""A container that has processes."""


@dataclass(frozen=True)
class Container:
    """A container as the daemon reports it."""

    id: str
    name: str
    status: Status
    oom_killed: bool
    started_at: datetime | None
    """None: it never was."""
    labels: Mapping[str, str]
    gpus: tuple[str, ...] | None = None
    """Ids (indices or UUIDs) of the GPUs that it was given, or `all`; None: it was given none."""

    @property
    def alive(self) -> bool:
        """Whether the container has processes."""
        return self.status in ALIVE


@dataclass(frozen=True)
class Image:
    """An image that is on the host."""

    id: str
    digests: tuple[str, ...]
    size: int
    """Bytes."""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The lasting name of the content: a repository's digest, or the id of a local image."""
        return self.digests[0] if self.digests else self.id


@dataclass(frozen=True)
class DockerDaemon:
    """The Docker daemon of a host."""

    version: str
    root: str
    """The directory of images and containers."""
    runtimes: tuple[str, ...]
    live_restore: bool
    """Whether containers survive a restart of the daemon."""
    memory: int
    """Bytes."""
    cpus: int
    context: str = "default"
    """The context by which the client found the daemon; `default` also with DOCKER_HOST."""
    rootless: bool = False
    """Whether the daemon runs without root: root in a container is the daemon's user."""


_OTHER_SHAPE: Final = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
"""What is raised where an answer has another shape."""
_NO_ANSWER: Final = "Cannot connect to the Docker daemon: its client names no daemon and no reason"
_PODMAN: Final = (
    "the program `docker` there is Podman, which cannot run orders.",
    "Install Docker on the host: https://docs.docker.com/engine/install/.",
)


def parse_inspect(text: str) -> list[Container]:
    """Read the containers that `inspect_argv` prints; a container that does not exist is left out.

    Raises:
        BackendError: the text is not what Docker prints.
    """
    return [_container(facts) for facts in _json_list(text)]


def parse_images(text: str) -> list[Image]:
    """Read the images that `image_argv` prints; an image that does not exist is left out.

    Raises:
        BackendError: the text is not what Docker prints.
    """
    return [_image(facts) for facts in _json_list(text)]


def parse_image(exit_code: int, stdout: str, stderr: str) -> Image | Problem:
    """Read the image that `image_argv` prints for one name, or why there is none.

    Raises:
        BackendError: the text is not what Docker prints.
    """
    if exit_code != 0:
        return parse_problem(stderr)
    images = parse_images(stdout)
    return images[0] if images else parse_problem("No such image")


def parse_info(exit_code: int, stdout: str, stderr: str) -> DockerDaemon | Problem:
    """Read the daemon that `info_argv` prints, or why the daemon does not answer.

    A client up to 28.0 ends with 0 then and prints `ServerErrors`; a newer one ends with 1, and
    prints a daemon without version and the reason on standard error (docker/cli,
    cli/command/system/info.go). Lines before the answer, which is one line, are left out.

    Raises:
        BackendError: the text is not what Docker prints.
    """
    line = next((x for x in reversed(stdout.splitlines()) if x.startswith("{")), None)
    if line is None:
        if exit_code != 0:
            return parse_problem(stderr.strip() or stdout)
        raise _unreadable(stdout)
    facts = _json(line)
    try:
        if errors := facts.get("ServerErrors"):
            return parse_problem("\n".join(errors))
        if exit_code != 0:
            return parse_problem(stderr)
        if facts.get("ServerVersion") == "":
            return parse_problem(stderr.strip() or _NO_ANSWER)
        if "ServerVersion" not in facts and {"host", "store"} <= facts.keys():
            return Problem("podman", *_PODMAN)
        return DockerDaemon(
            version=_text(facts["ServerVersion"]),
            root=_text(facts["DockerRootDir"]),
            runtimes=tuple(sorted(facts.get("Runtimes") or {})),
            live_restore=bool(facts.get("LiveRestoreEnabled")),
            memory=int(facts.get("MemTotal") or 0),
            cpus=int(facts.get("NCPU") or 0),
            context=_text((facts.get("ClientInfo") or {}).get("Context") or "default"),
            rootless="name=rootless" in (facts.get("SecurityOptions") or ()),
        )
    except _OTHER_SHAPE:
        raise _unreadable(line) from None


def _container(facts: Mapping[str, Any]) -> Container:
    try:
        state, config = facts["State"], facts["Config"]
        if state["Status"] not in STATUSES:
            raise ValueError(state["Status"])
        return Container(
            id=_text(facts["Id"]),
            name=_text(facts["Name"]).removeprefix("/"),
            status=cast(Status, _text(state["Status"])),
            oom_killed=bool(state.get("OOMKilled")),
            started_at=parse_time(state.get("StartedAt")),
            labels=_labels(config.get("Labels")),
            gpus=_gpus(facts.get("HostConfig") or {}),
        )
    except _OTHER_SHAPE:
        raise _unreadable(json.dumps(facts)) from None


def _gpus(host: Mapping[str, Any]) -> tuple[str, ...] | None:
    ids: list[str] = []
    for asked in host.get("DeviceRequests") or ():
        count = int(asked.get("Count") or 0)
        ids += ["all"] if count < 0 else map(str, range(min(count, MOST)))
        ids += map(_text, asked.get("DeviceIDs") or ())
    return tuple(ids) or None


def _image(facts: Mapping[str, Any]) -> Image:
    try:
        return Image(
            id=_text(facts["Id"]),
            digests=tuple(map(_text, facts.get("RepoDigests") or ())),
            size=int(facts.get("Size") or 0),
            labels=_labels((facts.get("Config") or {}).get("Labels")),
        )
    except _OTHER_SHAPE:
        raise _unreadable(json.dumps(facts)) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _labels(value: Mapping[str, Any] | None) -> dict[str, str]:
    return {_text(name): _text(word) for name, word in (value or {}).items()}


def _json(text: str) -> Any:
    try:
        return parse_json(text, "Docker's answer")
    except InputError:
        raise _unreadable(text) from None


_LIST: Final = re.compile(r"^\[\s*(\{|\]\s*\Z)", re.MULTILINE)
"""The beginning of a list of objects, behind the warnings that a client or its wrapper prints."""


def _json_list(text: str) -> list[Any]:
    start = _LIST.search(text)
    found = _json(text[start.start() :] if start else text or "[]")
    if not isinstance(found, list):
        raise _unreadable(text)
    return found


def parse_time(text: str | None) -> datetime | None:
    """Read a time as UTC; None for Docker's "never", the year 1."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def _unreadable(text: str) -> BackendError:
    return BackendError("launch_failed", f"Docker's answer cannot be read: {text[:200]!r}.")
