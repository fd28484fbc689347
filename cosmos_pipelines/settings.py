"""`cosmos.toml` and `COSMOS_*` environment variables become one frozen `Settings`.

The only place that reads the environment. Everything lies below `home`: the directory that holds
`cosmos.toml`, or `COSMOS_HOME`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from cosmos_pipelines.engines import ENGINES, Engine, engine_named
from cosmos_pipelines.engines.registry import Tables
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.operations.base import Job, ModelType
from cosmos_pipelines.remote.ssh.config import Target
from cosmos_pipelines.settings_file import FILE, explain_settings, find_home, read_settings

USUAL_S: Final = {"transfer": 3600, "upscale": 3600, "enhance": 1800}
"""Seconds that an operation may take where neither settings nor its engine say otherwise."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Paths(_Table):
    """Where things lie, relative to home unless absolute."""

    inputs: Path = Field(Path("inputs/videos"), description="one directory a scene")
    outputs: Path = Field(Path("outputs"), description="one directory a run, and the catalog")


class Scenes(_Table):
    """When a directory below the inputs counts as settled, so that it is taken."""

    settle_s: float = Field(
        30,
        ge=0,
        description="seconds without a change; more, where its own frames took longer (3 times)",
    )


class Execution(_Table):
    """How runs are executed."""

    backend: str = Field("local", description="where orders run: local or ssh_docker")
    engine: str = Field("preview", description="the model family; preview is simulated on the CPU")
    upscale_engine: str | None = Field(None, description="that of upscales; default: engine")
    enhance_engine: str | None = Field(None, description="that of prompt-enhance; default: engine")
    grace_s: float = Field(10, gt=0, description="seconds between asking to stop and killing")
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


class Remote(_Table):
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


class Docker(_Table):
    """The container that an order runs in, on the GPU host."""

    image: str | None = Field(None, description="digest, id or tag of an image that is there")
    images: dict[str, str] = Field({}, description="another image for an engine, by its name")
    python: str = Field("python3", description="the interpreter in the image")
    gpus: str | None = Field(
        None, description="'all' or devices as '0,1'; otherwise as many as an order asks for"
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


class Ui(_Table):
    """The web page."""

    host: str = Field("127.0.0.1", description="address to bind; loopback unless changed")
    port: int = Field(3000, ge=1, le=65535)


class Settings(BaseSettings):
    """All settings. `home` is absolute; the properties below give absolute paths.

    A table of an engine is a field of the class that `with_tables` makes.
    """

    model_config = SettingsConfigDict(
        env_prefix="COSMOS_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    home: Path
    database_url: str | None = Field(None, description="SQLAlchemy URL of the catalog")
    dagster_home: Path | None = Field(None, description="Dagster's own directory")
    owner: str = Field("team:cosmos", description="owner shown on the Dagster assets")
    paths: Paths = Paths()
    scenes: Scenes = Scenes()
    execution: Execution = Execution()
    remote: Remote = Remote()
    docker: Docker = Docker()
    ui: Ui = Ui()

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment wins over the file's values

    @property
    def inputs(self) -> Path:
        """Root of the scenes."""
        return self.home / self.paths.inputs

    @property
    def outputs(self) -> Path:
        """Root of run folders, previews and the default catalog."""
        return self.home / self.paths.outputs

    @property
    def work(self) -> Path:
        """Where the local backend keeps its run folders (the contract with the GPU side)."""
        return self.home / ".cosmos" / "host"

    @property
    def catalog_url(self) -> str:
        """SQLAlchemy URL of the catalog: `COSMOS_DATABASE_URL`, else SQLite below outputs."""
        return self.database_url or f"sqlite:///{self.outputs / 'cosmos.db'}"

    @property
    def dagster_dir(self) -> Path:
        """Dagster's instance directory."""
        return self.dagster_home or self.home / ".dagster"

    @property
    def ssh_target(self) -> Target:
        """What `[remote]` says to connect to; its paths are relative to home.

        Raises:
            SettingsError: no host is set.
        """
        if self.remote.host is None:
            raise SettingsError(
                "No GPU host is set.",
                hint=f'Write `host = "..."` under [remote] in {self.home / FILE}, '
                "or set COSMOS_REMOTE__HOST.",
            )

        def path(given: Path | None) -> Path | None:
            return None if given is None else self.home / given.expanduser()

        return Target(
            host=self.remote.host,
            user=self.remote.user,
            port=self.remote.port,
            key_file=path(self.remote.key),
            known_hosts=path(self.remote.known_hosts),
            config_file=path(self.remote.ssh_config),
            connect_timeout_s=self.remote.connect_timeout_s,
            lost_after_s=self.remote.lost_after_s,
        )

    def timeout_s(self, engine: Engine, job: Job) -> int:
        """Seconds that one run may take: as set for its operation, else as its engine says."""
        model_type = job.operation.model_type
        given: int | None = getattr(self.execution, f"{model_type}_timeout_s")
        return given or engine.allowed_s(job) or USUAL_S[model_type]

    def engine(self, name: str) -> Engine:
        """The engine called so, with what its table says. Raises UnknownId, EngineBroken."""
        known = engine_named(name)
        return known.with_options(getattr(self, known.name, None))


@lru_cache
def with_tables(tables: Tables) -> type[Settings]:
    """Settings with a table for each of these engines."""
    fields: dict[str, Any] = {name: (kind, kind()) for name, kind in tables}
    made: type[Settings] = create_model(
        Settings.__name__, __base__=Settings, __doc__=Settings.__doc__, **fields
    )
    return made


def _named_outside() -> set[str]:
    """What may be names of engines in the environment: `toy` of COSMOS_TOY__STRENGTH."""
    prefix = str(Settings.model_config["env_prefix"]).lower()
    words = [v.lower().removeprefix(prefix) for v in os.environ if v.lower().startswith(prefix)]
    return {word.partition("__")[0] for word in words}


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings.

    `home` wins over `COSMOS_HOME`, which wins over the nearest cosmos.toml upwards.

    Raises:
        SettingsError: no project here, a file that is no TOML, or a wrong name or value.
    """
    given = home or (Path(h) if (h := os.environ.get("COSMOS_HOME")) else find_home())
    if given is None:
        raise SettingsError(
            f"No {FILE} here or in any directory above.",
            hint="Run `cosmos init` in the directory that shall hold your project, "
            "or set COSMOS_HOME.",
        )
    file = given / FILE
    values, text = read_settings(file)
    if (dagster_home := os.environ.get("DAGSTER_HOME")) and not values.get("dagster_home"):
        values["dagster_home"] = dagster_home
    values["home"] = given
    named = sorted({*values, *_named_outside()} - {*Settings.model_fields})
    for name in named:
        if ENGINES.error_of(name):  # told where it is used, and by `cosmos doctor`
            values.pop(name, None)
    kind = with_tables(ENGINES.tables(named))
    try:
        # COSMOS_HOME must not move home away from the file that was read
        return kind(**values).model_copy(update={"home": given.expanduser().resolve()})
    except ValidationError as e:
        raise SettingsError(explain_settings(e, file, text)) from None


def environment_of(settings: Settings) -> Mapping[str, str]:
    """Environment for a child process so that it sees these same settings."""
    return {
        **os.environ,
        "COSMOS_HOME": str(settings.home),
        "DAGSTER_HOME": str(settings.dagster_dir),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
