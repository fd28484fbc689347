"""The tables of cosmos.toml that every project has; those of engines are their own. Pure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cosmos_pipelines.operations.base import ModelType

_AGE = re.compile(r"([0-9]{1,6})(s|min|h|d|w)")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Table(BaseModel):
    """A table of cosmos.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Paths(Table):
    """Where things lie, relative to home unless absolute."""

    inputs: Path = Field(Path("inputs/videos"), description="one directory a scene")
    outputs: Path = Field(Path("outputs"), description="one directory a run, and the catalog")


class Scenes(Table):
    """When a directory below the inputs counts as settled, and how its colours are shown."""

    settle_s: float = Field(
        30,
        ge=0,
        description="seconds without a change; more, where its own frames took longer (3 times)",
    )
    ocio: str | None = Field(
        None,
        description="OpenColorIO config: a file or ocio://NAME; default: $OCIO, else ACES 2.0",
    )
    colorspace: str | None = Field(
        None,
        description="colour space of scene-linear pictures that do not say theirs; "
        "default: lin_rec709",
    )
    view: str | None = Field(
        None, description="view by which scene-linear pictures are shown; default: the config's"
    )


class Execution(Table):
    """How runs are executed."""

    backend: str = Field(
        "local", description="where loads run: local, ssh_docker, a host's name, or auto"
    )
    engine: str = Field("preview", description="the model family; preview is simulated on the CPU")
    upscale_engine: str | None = Field(None, description="that of upscales; default: engine")
    enhance_engine: str | None = Field(None, description="that of prompt-enhance; default: engine")
    grace_s: float = Field(10, gt=0, description="seconds between asking to stop and killing")
    local_slots: int = Field(
        1, ge=1, le=64, description="orders of this project that run on this machine at once"
    )
    stall_s: float = Field(
        900, ge=0, description="seconds without a log line and GPU load that are told; 0: never"
    )
    stall_end_s: float = Field(
        1800, ge=0, description="seconds of the same after which a run is stopped; 0: never"
    )
    transfer_timeout_s: int | None = Field(None, gt=0, description="default: the engine's")
    upscale_timeout_s: int | None = Field(None, gt=0, description="default: the engine's")
    enhance_timeout_s: int | None = Field(None, gt=0, description="default: the engine's")

    def engine_setting(self, model_type: ModelType) -> str:
        """The setting that names the engine of such runs."""
        own = f"{model_type}_engine"
        return "engine" if getattr(self, own, None) is None else own

    def engine_for(self, model_type: ModelType) -> str:
        """The name of the engine of such runs."""
        return str(getattr(self, self.engine_setting(model_type)))


class Remote(Table):
    """The GPU host, reached over SSH. What is not given is as your SSH configuration has it."""

    host: str | None = Field(None, description="name, address or alias of ~/.ssh/config")
    user: str | None = Field(None, description="who logs in there")
    port: int | None = Field(None, ge=1, le=65535)
    key: Path | None = Field(None, description="private key file, relative to home unless absolute")
    known_hosts: Path | None = Field(None, description="host keys; instead of ~/.ssh/known_hosts")
    ssh_config: Path | None = Field(None, description="instead of the files that ssh itself reads")
    remote_dir: str = Field(
        "cosmos", description="all our files there; relative to the user's home unless absolute"
    )
    connect_timeout_s: float = Field(10, gt=0, description="for each step of connecting")
    lost_after_s: float = Field(15, gt=2, description="silence after which a connection is lost")
    wait_s: float = Field(
        3600, ge=0, description="how long to wait for a host that is gone before a run fails"
    )
    hf_token_file: Path | None = Field(
        None, description="file of mode 600 here with a Hugging Face token; HF_TOKEN wins"
    )

    @field_validator("host")
    @classmethod
    def _no_option(cls, value: str | None) -> str | None:
        if value is not None and (not value or value.startswith("-") or value.split() != [value]):
            raise ValueError("is no host name")
        return value

    @field_validator("remote_dir")
    @classmethod
    def _below(cls, value: str) -> str:
        parts = value.removeprefix("~/").split("/")
        if not value.strip() or value in ("/", "~", "~/") or ".." in parts or "\0" in value:
            raise ValueError("must be a directory of its own, without '..'")
        return value.removeprefix("~/").rstrip("/")


class Docker(Table):
    """The container that an order runs in, on the GPU host."""

    image: str | None = Field(None, description="digest, id or tag of an image that is there")
    images: dict[str, str] = Field({}, description="another image for an engine, by its name")
    python: str = Field("python3", description="the interpreter in the image")
    gpus: str | None = Field(
        None, description="'all' or '0,1': the GPUs that orders may have; each gets those it needs"
    )
    ipc: str | None = Field("host", description="'private' makes shm_size count")
    shm_size: str | None = Field("8g", description="size of a private /dev/shm")
    ulimits: tuple[str, ...] = Field(("memlock=-1", "stack=67108864"), description="as NVIDIA asks")
    user: str | None = Field(None, description="uid:gid in the container; default: who logs in")
    network: str | None = Field(None, description="'none' cuts the container off")
    mounts: tuple[str, ...] = Field((), description="'/on/the/host:/in/the/container[:ro]'")
    env: dict[str, str] = Field({}, description="no secrets: whoever lists processes sees them")
    env_file: str | None = Field(
        None, description="file on the host with NAME=value lines: secrets"
    )

    @field_validator("mounts")
    @classmethod
    def _mountable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for mount in value:
            source, target, *mode = mount.split(":")[:4] if ":" in mount else (mount, "")
            absolute = source.startswith("/") and target.startswith("/")
            if not absolute or mode not in ([], ["ro"], ["rw"]):
                raise ValueError(f"{mount!r} is not '/on/the/host:/in/the/container[:ro]'")
        return value

    @field_validator("env_file")
    @classmethod
    def _on_host(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError("must be absolute: it is a file on the host")
        return value

    @field_validator("user")
    @classmethod
    def _ids(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\d+:\d+", value):
            raise ValueError("must be two numbers as '1000:1000'")
        return value


def seconds_of(age: str) -> float:
    """Seconds of an age as people write it: 45min, 12h, 30d, 8w. Raises ValueError."""
    found = _AGE.fullmatch(age.strip())
    if found is None:
        raise ValueError("is no age like 12h, 30d or 8w")
    return float(found[1]) * _UNITS[found[2]]


class Postgres(Table):
    """One PostgreSQL database for the catalog and Dagster's records, shared by several machines."""

    url: str | None = Field(
        None,
        description="postgresql://USER:PASSWORD@HOST/DATABASE; better as COSMOS_POSTGRES__URL",
    )


class Clean(Table):
    """What `cosmos clean` removes, and whether the daemon does so."""

    older: str = Field("30d", description="how long nothing has used it: as 12h, 30d or 8w")
    daily: bool = Field(False, description="whether the daemon of `cosmos ui` cleans every day")

    @field_validator("older")
    @classmethod
    def _age(cls, value: str) -> str:
        seconds_of(value)
        return value


class Ui(Table):
    """The web page."""

    host: str = Field("127.0.0.1", description="address to bind; loopback unless changed")
    port: int = Field(3000, ge=1, le=65535)
    token_file: Path | None = Field(
        None, description="file of mode 600: the token that lets in, instead of one of our making"
    )
    address: str | None = Field(
        None, description="URL of the page for others, as http://studio:3000; in absolute links"
    )
    dagster_url: str | None = Field(
        None, description="URL of Dagster's page, for `cosmos ui --without-dagster`"
    )
    person_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$",
        description="header in which your proxy says who it has let in, as X-Forwarded-User",
    )

    @field_validator("address")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = urlsplit(_url(value))
        if found.path:
            raise ValueError("must end after the host and port, as http://studio:3000")
        usual = {"http": ":80", "https": ":443"}[found.scheme]  # which browsers leave out
        return f"{found.scheme}://{found.netloc.lower().removesuffix(usual)}"

    @field_validator("dagster_url")
    @classmethod
    def _page(cls, value: str | None) -> str | None:
        return None if value is None else _url(value)


Event = Literal["failed", "queue_empty", "host_away", "disk_full", "budget"]
"""What people may be told of."""


class Notify(Table):
    """Messages by mail, Slack, Teams or a webhook; none without addresses."""

    urls_file: Path | None = Field(
        None, description="file of mode 600 with an Apprise URL a line; COSMOS_NOTIFY_URLS wins"
    )
    events: tuple[Event, ...] = Field(
        ("failed", "queue_empty", "host_away", "disk_full", "budget"),
        description="what is told",
    )
    every_min: float = Field(
        10, ge=0, description="minutes between two messages; the next one tells all of them"
    )
    host_away_min: float = Field(5, ge=0, description="minutes without an answer until it is told")
    disk_free_gib: float = Field(10, ge=0, description="free space here below which it is told")
    host_disk_free_gib: float = Field(50, ge=0, description="the same of each GPU host")


class Budget(Table):
    """What GPUs may be used for before the queue is paused; nothing is counted without a limit."""

    gpu_hours_a_day: float | None = Field(None, gt=0, description="hours of one GPU, a day (UTC)")
    money_a_day: float | None = Field(
        None, gt=0, description="a day (UTC), by the price_per_gpu_hour of each host"
    )
    gpu_hours_a_batch: float | None = Field(
        None, gt=0, description="of all runs that were ordered under one name"
    )
    money_a_batch: float | None = Field(None, gt=0, description="as money_a_day, for a batch")

    @property
    def of_a_day(self) -> bool:
        """Whether there is a limit for a day."""
        return self.gpu_hours_a_day is not None or self.money_a_day is not None

    @property
    def of_a_batch(self) -> bool:
        """Whether there is a limit for a batch."""
        return self.gpu_hours_a_batch is not None or self.money_a_batch is not None


def _url(text: str) -> str:
    """An http(s) URL of a page without slashes at its end. Raises ValueError."""
    found = urlsplit(text)
    typed = text.isascii() and text.isprintable() and not set(text) & set(' \\"<>@?#')
    if not typed or found.scheme not in ("http", "https") or not found.hostname or found.port == 0:
        raise ValueError("is no URL like http://studio:3000")
    return text.rstrip("/")
