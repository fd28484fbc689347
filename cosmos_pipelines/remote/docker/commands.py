"""Docker commands as argument vectors: the only place that builds them. Pure.

`answers` reads the output of Docker.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from cosmos_pipelines.errors import InputError

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
"""The names that the daemon accepts for a container."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOG_LIMIT: Final = ("--log-driver=json-file", "--log-opt=max-size=16m")

Gpus = Literal["all"] | int | tuple[str, ...] | None
"""All GPUs, the first n, these (indices or UUIDs), or none."""


@dataclass(frozen=True)
class Mount:
    """A file or directory of the host in a container. The source must exist: Docker makes none."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """All options of a container.

    Other users of the host can read `env` in the list of processes: secrets belong into `env_file`,
    a file on the host that only its owner can read.
    """

    name: str
    image: str
    """A digest (`name@sha256:...`), an image id (`sha256:...`) or a tag on the host."""
    argv: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    env_file: str | None = None
    gpus: Gpus = "all"
    mounts: tuple[Mount, ...] = ()
    user: str | None = None
    """`uid:gid`, so that the container's files do not belong to root."""
    workdir: str | None = None
    entrypoint: str | None = None
    """A program instead of the image's entry point; its arguments come first in `argv`."""
    ipc: str | None = "host"
    shm_size: str | None = "8g"
    """Size of a private /dev/shm; without effect if `ipc` is `host`."""
    ulimits: tuple[str, ...] = ()
    """`name=soft[:hard]`; a daemon without CAP_SYS_RESOURCE refuses `memlock=-1`."""
    network: str | None = None
    init: bool = False
    """Whether an init process reaps orphaned processes and passes signals on."""
    stop_timeout_s: int | None = None


def run_argv(spec: ContainerSpec) -> list[str]:
    """Create and start a container in the background; prints the container's id.

    A missing image is an error: no image is pulled.

    Raises:
        InputError: a name, variable or path that Docker would read as something else.
    """
    _check(spec)
    return [
        *("docker", "run", "--detach", "--pull=never", f"--name={spec.name}", *_LOG_LIMIT),
        *(f"--label={key}={value}" for key, value in sorted(spec.labels.items())),
        *_device_words(spec),
        *(f"--mount={_mount(mount)}" for mount in spec.mounts),
        *_option("--user", spec.user),
        *_option("--workdir", spec.workdir),
        *_option("--network", spec.network),
        *(["--init"] if spec.init else []),
        *_option("--stop-timeout", spec.stop_timeout_s),
        *_option("--env-file", spec.env_file),
        *(f"--env={key}={value}" for key, value in sorted(spec.env.items())),
        *_option("--entrypoint", spec.entrypoint),
        spec.image,
        *spec.argv,
    ]


def gpus_word(gpus: Gpus) -> str | None:
    """Return the value of `--gpus`; None for no GPU.

    Docker reads the value as a line of CSV, so a list of devices needs quotation marks in the word.
    """
    if gpus is None or gpus in (0, ()):
        return None
    if isinstance(gpus, tuple):
        return _csv([f"device={','.join(gpus)}"])
    return str(gpus)


def gpu_probe_argv(image: str, gpus: Gpus) -> list[str]:
    """List the GPUs that a container of this image sees; the container is removed at its end."""
    return [
        *("docker", "run", "--rm", "--pull=never", "--network=none"),
        *_option("--gpus", gpus_word(gpus)),
        *("--entrypoint=nvidia-smi", image, "--query-gpu=index,uuid", "--format=csv,noheader"),
    ]


def inspect_argv(*containers: str) -> list[str]:
    """Print all facts of containers, by name or id, as a JSON list: `parse_inspect`."""
    return ["docker", "container", "inspect", "--", *containers]


def state_argv(container: str) -> list[str]:
    """Print one word: created, running, paused, restarting, removing, exited or dead."""
    return ["docker", "container", "inspect", "--format={{.State.Status}}", "--", container]


def ps_argv(
    labels: Mapping[str, str | None] | None = None,
    *,
    running: bool = False,
    shown: str | None = None,
) -> list[str]:
    """Print the ids of containers with all these labels (None: any value), one a line.

    Also ended containers, unless `running`. `shown`: a template for the line instead of the id.
    """
    wanted = [k if v is None else f"{k}={v}" for k, v in sorted((labels or {}).items())]
    every = [] if running else ["--all"]
    what = "--quiet" if shown is None else f"--format={shown}"
    return [*("docker", "ps", what, "--no-trunc"), *every,
            *(f"--filter=label={label}" for label in wanted)]  # fmt: skip


def logs_argv(container: str, *, tail: int | None = None, follow: bool = False) -> list[str]:
    """Print the output of the container's first process; `tail`: only its last lines."""
    follows = ["--follow"] if follow else []
    return ["docker", "logs", *follows, *_option("--tail", tail), "--", container]


def stop_argv(container: str, grace_s: int) -> list[str]:
    """Send TERM, and KILL after `grace_s` seconds. Returns when the container has ended."""
    # -t: the long form has been renamed from --time to --timeout in Docker 28
    return ["docker", "stop", "-t", str(grace_s), "--", container]


def kill_argv(container: str, signal: str = "KILL") -> list[str]:
    """Send a signal to the container's first process."""
    return ["docker", "kill", f"--signal={signal}", "--", container]


def wait_argv(container: str) -> list[str]:
    """Wait for the container's end and print its exit code."""
    return ["docker", "wait", "--", container]


def rm_argv(container: str, *, force: bool = False) -> list[str]:
    """Remove an ended container with its anonymous volumes; `force` kills a running one first."""
    forces = ["--force"] if force else []
    return ["docker", "rm", "--volumes", *forces, "--", container]


def image_argv(*images: str) -> list[str]:
    """Print all facts of images on the host, as a JSON list: `parse_images`."""
    return ["docker", "image", "inspect", "--", *images]


def tag_argv(image: str, tag: str) -> list[str]:
    """Give an image on the host another name."""
    return ["docker", "image", "tag", _image_word(image), _image_word(tag)]


def untag_argv(image: str) -> list[str]:
    """Remove a name from an image; without a name the image is deleted."""
    return ["docker", "image", "rm", "--", _image_word(image)]


def build_argv(
    tag: str, context: str, *, labels: Mapping[str, str], arguments: Mapping[str, str]
) -> list[str]:
    """Build an image from a directory; the Dockerfile comes on standard input.

    `arguments`: build arguments, which the image's history always shows: no secrets.

    Raises:
        InputError: a name that Docker would read as something else.
    """
    for key in arguments:
        _check_variable(key)
    return [
        *("docker", "build", "--file=-", f"--tag={_image_word(tag)}"),
        *(f"--label={key}={value}" for key, value in sorted(labels.items())),
        *(f"--build-arg={key}={value}" for key, value in sorted(arguments.items())),
        *("--", context),
    ]


def info_argv() -> list[str]:
    """Print facts of the daemon, or why it does not answer, as a JSON object: `parse_info`."""
    return ["docker", "info", "--format={{json .}}"]


def _device_words(spec: ContainerSpec) -> list[str]:
    return [
        *_option("--gpus", gpus_word(spec.gpus)),
        *_option("--ipc", spec.ipc),
        *_option("--shm-size", spec.shm_size),
        *(f"--ulimit={limit}" for limit in spec.ulimits),
    ]


def _option(name: str, value: str | int | None) -> Iterable[str]:
    return () if value is None else (f"{name}={value}",)


def _mount(mount: Mount) -> str:
    words = ["type=bind", f"src={mount.source}", f"dst={mount.target}"]
    return _csv([*words, "ro"] if mount.read_only else words)


def _csv(words: Iterable[str]) -> str:
    """Return a line of CSV for Go's encoding/csv, which reads `--mount` and `--gpus`."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(words)
    return line.getvalue()


def _check(spec: ContainerSpec) -> None:
    if not NAME.fullmatch(spec.name):
        raise InputError(f"{spec.name!r} cannot be a container's name.")
    _image_word(spec.image)
    for key in spec.env:
        _check_variable(key)
    for key in spec.labels:
        if not key or "=" in key:
            raise InputError(f"{key!r} cannot be a label.")
    for mount in spec.mounts:
        for path in (mount.source, mount.target):
            _check_path(path)
    if any("\0" in word for word in (*spec.argv, *spec.env.values(), *spec.labels.values())):
        raise InputError(f"The container {spec.name} has a zero byte in its arguments.")


def _image_word(image: str) -> str:
    if not image or image.startswith("-") or any(c.isspace() or c == "\0" for c in image):
        raise InputError(f"{image!r} cannot be an image.", hint="See [docker] in cosmos.toml.")
    return image


def _check_variable(name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise InputError(f"{name!r} cannot be the name of an environment variable.")


def _check_path(path: str) -> None:
    if not path.startswith("/") or "\0" in path:
        raise InputError(f"{path!r} cannot be mounted: it is not absolute.")
    if any(ord(c) < 32 for c in path):  # Go's CSV reader turns a carriage return into a newline
        raise InputError(f"{path!r} cannot be mounted: it has a control character.")
