"""What the Docker command line answers, as plain values: the one place that reads it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from cosmos_pipelines.errors import BackendError, ErrorKind, InputError
from cosmos_pipelines.foreign import parse_json, whole

Status = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


@dataclass(frozen=True)
class Container:
    """A container as the engine sees it."""

    id: str
    name: str
    status: Status
    exit_code: int | None
    """None while it has not ended, and where it was never started."""
    oom_killed: bool
    error: str
    """Why the engine could not start it; empty otherwise."""
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    image_id: str
    image: str
    """As it was asked for."""
    pid: int | None
    labels: Mapping[str, str]

    @property
    def alive(self) -> bool:
        """Whether it has processes."""
        return self.status in ("running", "paused", "restarting")


@dataclass(frozen=True)
class Image:
    """An image that is on the host."""

    id: str
    digests: tuple[str, ...]
    tags: tuple[str, ...]
    size: int
    """Bytes."""
    architecture: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What names its content for ever: a repository's digest, or its id if it was made here."""
        return self.digests[0] if self.digests else self.id


@dataclass(frozen=True)
class Engine:
    """The Docker engine of a host."""

    version: str
    root: str
    """Where it keeps images and containers."""
    runtimes: tuple[str, ...]
    live_restore: bool
    """Whether containers outlive a restart of the engine."""
    memory: int
    """Bytes."""
    cpus: int


ProblemKind = Literal[
    "no_docker",
    "not_permitted",
    "daemon_down",
    "name_taken",
    "no_image",
    "no_gpu",
    "no_runtime",
    "no_container",
    "not_running",
    "bad_mount",
    "no_program",
    "disk_full",
    "other",
]


@dataclass(frozen=True)
class Problem:
    """Why a Docker command failed."""

    kind: ProblemKind
    message: str
    """One line, Docker's own words."""
    hint: str
    container_id: str | None = None
    """Who has the name, for `name_taken`."""

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of a run's error that it amounts to, if it cannot be resolved."""
        kinds: dict[str, ErrorKind] = {"disk_full": "disk_full", "no_container": "lost",
                                       "daemon_down": "unreachable"}  # fmt: skip
        return kinds.get(self.kind, "launch_failed")

    def error(self, host: str) -> BackendError:
        """What to raise where it cannot be resolved."""
        return BackendError(self.error_kind, f"Docker on {host}: {self.message}", hint=self.hint)


_PROBLEMS: Final[tuple[tuple[str, ProblemKind, str], ...]] = (
    (r"no space left on device|disk quota exceeded", "disk_full",
     "Free some space on the host; `docker system df` there tells what takes it."),
    (r"permission denied.*(docker\.sock|docker daemon|docker API)", "not_permitted",
     "Add the user to the group docker on the host (`sudo usermod -aG docker USER`), log in anew."),
    (r"cannot connect to the docker daemon|is the docker daemon running|error during connect|"
     r"connection refused.*docker|docker daemon is not running", "daemon_down",
     "Start it on the host: `sudo systemctl start docker`."),
    (r"the container name .* is already in use", "name_taken",
     "It has been started already; look at that container."),
    (r"could not select device driver|nvidia-container-cli|nvml error|cdi device|"
     r"failed to discover gpu", "no_gpu",
     "Install nvidia-container-toolkit on the host, restart Docker, and see `nvidia-smi` there."),
    (r"unknown or invalid runtime name|unknown runtime", "no_runtime",
     "Install nvidia-container-toolkit on the host and restart Docker."),
    (r"no such image|unable to find image|manifest unknown|pull access denied|"
     r"repository does not exist|no such object.*sha256", "no_image",
     "Bring it there (`docker pull`, `docker load`); a model of NVIDIA's: `cosmos host setup`."),
    (r"bind source path does not exist|invalid mount config|error while creating mount|"
     r"error mounting", "bad_mount", "A folder is missing on the host, or may not be read there."),
    (r"is not running", "not_running", "It has ended already."),
    (r"no such container|no such object", "no_container", "It was removed on the host."),
    (r"executable file not found|exec format error|no such file or directory: unknown|"
     r"permission denied: unknown", "no_program",
     "The image lacks the program, or is for another kind of processor."),
    (r"docker: (command )?not found|docker: no such file or directory", "no_docker",
     "Install Docker on the host: https://docs.docker.com/engine/install/."),
)  # fmt: skip
_ID: Final = re.compile(r'already in use by container "?([0-9a-f]{12,64})')
_PREFIX: Final = re.compile(r"^(docker: )?(error response from daemon: )?", re.IGNORECASE)


def parse_problem(stderr: str) -> Problem:
    """Why a command failed, from what it said."""
    for pattern, kind, hint in _PROBLEMS:
        for line in stderr.splitlines():
            if re.search(pattern, line, re.IGNORECASE):
                taken = _ID.search(stderr) if kind == "name_taken" else None
                return Problem(kind, _told(line), hint, taken[1] if taken else None)
    lines = [x for x in stderr.splitlines() if x.strip() and "--help" not in x]
    said = _told(lines[-1]) if lines else "it failed and said nothing."
    return Problem("other", said, "Try the command by hand on the host.")


def parse_inspect(text: str) -> list[Container]:
    """Containers from `inspect_argv`; those that are not there are left out.

    Raises:
        BackendError: it is not what Docker prints.
    """
    return [_container(facts) for facts in _json_list(text)]


def parse_images(text: str) -> list[Image]:
    """Images from `image_argv`; those that are not there are left out.

    Raises:
        BackendError: it is not what Docker prints.
    """
    return [_image(facts) for facts in _json_list(text)]


def parse_ids(text: str) -> list[str]:
    """Ids, one a line, each once, in their order."""
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def parse_run_id(text: str) -> str:
    """The id that `run_argv` prints; warnings of the engine may stand before it.

    Raises:
        BackendError: there is none.
    """
    ids = re.findall(r"^[0-9a-f]{64}$", text, re.MULTILINE)
    if not ids:
        raise _unreadable(text)
    return str(ids[-1])


def parse_exit_code(text: str) -> int:
    """The exit code that `wait_argv` prints.

    Raises:
        BackendError: it is not what Docker prints.
    """
    code = whole(text.strip())
    if code is None:
        raise _unreadable(text)
    return code


def parse_info(text: str) -> Engine | Problem:
    """The engine from `info_argv`, or why it does not answer: the exit code is 0 all the same.

    Raises:
        BackendError: it is not what Docker prints.
    """
    facts = _json(text)
    try:
        if errors := facts.get("ServerErrors"):
            return parse_problem("\n".join(errors))
        return Engine(
            version=_text(facts["ServerVersion"]),
            root=_text(facts["DockerRootDir"]),
            runtimes=tuple(sorted(facts.get("Runtimes") or {})),
            live_restore=bool(facts.get("LiveRestoreEnabled")),
            memory=int(facts.get("MemTotal") or 0),
            cpus=int(facts.get("NCPU") or 0),
        )
    except _NOT_SO:
        raise _unreadable(text) from None


def _container(facts: Mapping[str, Any]) -> Container:
    try:
        state, config = facts["State"], facts["Config"]
        status, started = state["Status"], _time(state.get("StartedAt"))
        # A container that could not be started says 127 or 128, and was never started.
        ended = status in ("exited", "dead") or (status == "created" and state.get("Error"))
        return Container(
            id=_text(facts["Id"]),
            name=_text(facts["Name"]).removeprefix("/"),
            status=cast(Status, _text(status)),
            exit_code=int(state["ExitCode"]) if ended else None,
            oom_killed=bool(state.get("OOMKilled")),
            error=_text(state.get("Error") or ""),
            created_at=_time(facts.get("Created")),
            started_at=started,
            finished_at=_time(state.get("FinishedAt")),
            image_id=_text(facts["Image"]),
            image=_text(config["Image"]),
            pid=int(state.get("Pid") or 0) or None,
            labels=_labels(config.get("Labels")),
        )
    except _NOT_SO:
        raise _unreadable(json.dumps(facts)) from None


def _image(facts: Mapping[str, Any]) -> Image:
    try:
        return Image(
            id=_text(facts["Id"]),
            digests=tuple(map(_text, facts.get("RepoDigests") or ())),
            tags=tuple(map(_text, facts.get("RepoTags") or ())),
            size=int(facts.get("Size") or 0),
            architecture=_text(facts.get("Architecture") or ""),
            labels=_labels((facts.get("Config") or {}).get("Labels")),
        )
    except _NOT_SO:
        raise _unreadable(json.dumps(facts)) from None


_NOT_SO: Final = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading an answer of another shape runs into."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _labels(value: Mapping[str, Any] | None) -> dict[str, str]:
    return {_text(name): _text(word) for name, word in (value or {}).items()}


def _json(text: str) -> Any:
    try:
        return parse_json(text, "what Docker answered")
    except InputError:
        raise _unreadable(text) from None


def _json_list(text: str) -> list[Any]:
    found = _json(text or "[]")
    if not isinstance(found, list):
        raise _unreadable(text)
    return found


def _time(text: str | None) -> datetime | None:
    """A moment with time zone UTC; None for Docker's "never", the year 1."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def _told(line: str) -> str:
    return _PREFIX.sub("", line.strip()).strip().rstrip(".") + "."


def _unreadable(text: str) -> BackendError:
    return BackendError("launch_failed", f"Docker answered what we cannot read: {text[:200]!r}.")
