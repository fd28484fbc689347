"""Places where loads run: this machine, the host of `[remote]`, those of `[hosts.NAME]`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, field_validator

from cosmos_pipelines.settings_tables import Docker, Remote, Table

LOCAL: Final = "local"
"""The place that is this machine."""
UNNAMED: Final = "ssh_docker"
"""The place of `[remote]` and `[docker]`."""
SLURM: Final = "slurm"
"""The kind of a place that is a Slurm cluster."""
AUTO: Final = "auto"
"""Instead of a place: the queue chooses one."""
WORDS: Final = frozenset({LOCAL, UNNAMED, AUTO, SLURM, "all", "remote", "docker", "queue"})
"""Words of ours, after which no host can be called."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
MOST_GPUS: Final = 64
"""GPUs of one host; remote/gpu.py reads no more."""


def _as_name(name: str) -> str:
    if name in WORDS:
        raise ValueError("is a word of ours, so no host can be called so")
    if not _NAME.fullmatch(name):
        raise ValueError(
            "cannot be a host's name: a small letter, then at most 39 small letters, digits, _ or -"
        )
    return name


def _as_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(f"{label!r} is no label: at most 40 letters, digits, '.', _ or -")
    return tuple(dict.fromkeys(labels))


HostName = Annotated[str, AfterValidator(_as_name)]
Labels = Annotated[tuple[str, ...], AfterValidator(_as_labels)]


OURS: Final = frozenset(
    [
        *("--array", "--chdir", "--dependency", "--error", "--export", "--gpus", "--gres"),
        *("--job-name", "--no-requeue", "--nodes", "--ntasks", "--output", "--parsable"),
        *("--requeue", "--test-only", "--time", "--wait", "--wrap"),
    ]
)
"""Options of sbatch on which the carrier relies, or that other settings set."""


def slurm_seconds(text: str) -> int | None:
    """Return the seconds of a time of Slurm (minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S).

    None: it is no such time, or it is UNLIMITED.
    """
    found = re.fullmatch(r"(?:(\d{1,5})-)?(\d{1,6})(?::(\d{1,6}))?(?::(\d{1,6}))?", text)
    if found is None:
        return None
    days, *rest = (int(x) if x else 0 for x in found.groups())
    if found[1] is None and found[4] is None:  # minutes, or minutes and seconds
        return 60 * rest[0] + rest[1]
    return 86400 * days + 3600 * rest[0] + 60 * rest[1] + rest[2]


class Slurm(Table):
    """A Slurm cluster, whose login node the host is."""

    partition: str | None = Field(None, description="default: the cluster's own")
    account: str | None = None
    qos: str | None = None
    constraint: str | None = Field(None, description="features that a node must have, as 'h100'")
    gpu_type: str | None = Field(None, description="as in --gres=gpu:TYPE:N")
    memory: str | None = Field(None, description="memory of a job, as '120G'")
    cpus: int | None = Field(None, ge=1, description="CPUs of a job")
    time_limit: str | None = Field(None, description="as '4:00:00'; default: the order's own limit")
    images: Literal["pyxis", "apptainer", "docker", "none"] = Field(
        "pyxis", description="what runs the image on a node"
    )
    most_gpus: int = Field(
        4, ge=1, description="GPUs that the queue's jobs may take, or wait for, at once"
    )
    before: tuple[str, ...] = Field(
        (), description="lines of the job's bash before the program, as 'module load apptainer'"
    )
    bin: str | None = Field(
        None, description="directory of sbatch there, if only a login shell finds it"
    )
    options: tuple[str, ...] = Field((), description="more options of sbatch, as '--nice=100'")

    @field_validator("time_limit")
    @classmethod
    def _time(cls, value: str | None) -> str | None:
        if value is not None and not slurm_seconds(value):
            raise ValueError("is no time as '4:00:00', '2-12:00:00' or '90' (minutes)")
        return value

    @field_validator("memory")
    @classmethod
    def _memory(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9]{1,9}[KMGT]?", value):
            raise ValueError("is no memory as '120G'")
        return value

    @field_validator("partition", "account", "qos", "constraint", "gpu_type")
    @classmethod
    def _word(cls, value: str | None) -> str | None:
        if value is not None and (not value or value.split() != [value]):
            raise ValueError("must be one word")
        return value

    @field_validator("before")
    @classmethod
    def _lines(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("\n" in line or "\0" in line for line in value):
            raise ValueError("must have one command in each text")
        return value

    @field_validator("bin")
    @classmethod
    def _directory(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError("must be absolute: it is a directory of the login node")
        return value

    @field_validator("options")
    @classmethod
    def _options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for option in value:
            name = option.partition("=")[0]
            if not option.startswith("--") or option.split() != [option]:
                raise ValueError(f"{option!r} must be one long option as '--nice=100'")
            if name in OURS:
                raise ValueError(f"{name} is set by this program")
        return value


class Host(Remote):
    """A named GPU host, or the login node of a cluster; what is not said is as usual."""

    host: str = Field(description="name, address or alias of ~/.ssh/config")
    gpus: Literal["all"] | tuple[int, ...] = Field("all", description='"all", or ids as [0, 1]')
    image: str | None = Field(None, description="digest, id or tag; instead of [docker] image")
    price_per_gpu_hour: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="of one GPU, in [queue] currency"
    )
    labels: Labels = Field((), description="words for [queue] labels, as 'h100'")
    docker: Docker = Field(Docker(), description="as [docker], whose values it changes")
    slurm: Slurm | None = Field(None, description="a Slurm cluster; orders become jobs")

    @field_validator("gpus", mode="before")
    @classmethod
    def _distinct(cls, value: Any) -> Any:
        ids = list(value) if isinstance(value, list | tuple) else []
        whole = all(type(one) is int and 0 <= one < MOST_GPUS for one in ids)
        if value != "all" and not (ids and whole and len(set(ids)) == len(ids)):
            raise ValueError("must be 'all', or different ids of GPUs as [0, 1]")
        return value

    @field_validator("price_per_gpu_hour", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("must be a number, as 2.5")
        return value


class Queue(Table):
    """The queue of runs."""

    mode: Literal["strict", "mixed"] = Field(
        "strict", description="mixed: one load also for runs with different controls"
    )
    company_s: float = Field(
        0, ge=0, description="how long a lone run waits for others that fit with it"
    )
    prepare_s: float = Field(
        120, ge=0, description="how long before a load ends the next one is prepared"
    )
    elsewhere_after_s: float = Field(
        600, ge=0, description="after how long runs for any place leave a host that is away"
    )
    labels: Labels = Field(
        (), description="runs for any place go only to hosts with all of these labels"
    )
    currency: str = Field("USD", min_length=1, max_length=8, description="of all prices")


@dataclass(frozen=True)
class Place:
    """Where loads run, by the name that is the `backend` of their runs."""

    name: str
    kind: str
    """`local`, `ssh_docker` or `slurm`: how orders are run there (see backends/registry.py)."""
    remote: Remote = field(default_factory=Remote)
    docker: Docker = field(default_factory=Docker)
    gpus: Literal["all"] | tuple[int, ...] = "all"
    gpu_hour: float | None = None
    """Price of one GPU for an hour; None: not set."""
    labels: tuple[str, ...] = ()
    slurm: Slurm | None = None

    @property
    def table(self) -> str:
        """The table of cosmos.toml that says how the host is reached."""
        return "[remote]" if self.name in (LOCAL, UNNAMED) else f"[hosts.{self.name}]"

    @property
    def address(self) -> str | None:
        """The host as in the settings; None: this machine."""
        return self.remote.host


def places_of_settings(
    remote: Remote, docker: Docker, hosts: Mapping[str, Host]
) -> dict[str, Place]:
    """Return all places by name: this machine first, then the unnamed host if one is set."""
    places = {LOCAL: Place(LOCAL, LOCAL)}
    if remote.host is not None:
        places[UNNAMED] = Place(UNNAMED, UNNAMED, remote, docker)
    for name, host in hosts.items():
        own = {key: getattr(host.docker, key) for key in host.docker.model_fields_set}
        own |= {} if host.image is None else {"image": host.image}
        places[name] = Place(
            name,
            SLURM if host.slurm else UNNAMED,
            Remote(**{name: getattr(host, name) for name in Remote.model_fields}),
            docker.model_copy(update=own),
            host.gpus,
            host.price_per_gpu_hour,
            host.labels,
            host.slurm,
        )
    return places


def same_place(remote: Remote, hosts: Mapping[str, Host]) -> tuple[str, str] | None:
    """Return the tables of two hosts that have one address and one folder; None: all differ.

    Two places may be one host with different GPUs, but their orders need folders of their own.
    """
    tables = {"[remote]": remote} if remote.host else {}
    tables |= {f"[hosts.{name}]": host for name, host in hosts.items()}
    seen: dict[tuple[object, ...], str] = {}
    for table, one in tables.items():
        user = None if one.remote_dir.startswith("/") else one.user
        where = (str(one.host).lower(), one.port or 22, user, one.remote_dir)
        if (other := seen.setdefault(where, table)) != table:
            return other, table
    return None
