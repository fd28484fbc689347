"""`cosmos.toml` and `COSMOS_*` environment variables become one frozen `Settings`.

The only place that reads the environment. Everything lies below `home`: the directory that holds
`cosmos.toml`, or `COSMOS_HOME`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import Field, ValidationError, create_model, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as BadVariable

from cosmos_pipelines.engines import ENGINES, Engine, engine_named
from cosmos_pipelines.engines.registry import Tables
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.foreign import absolute, expanded
from cosmos_pipelines.operations.base import Job
from cosmos_pipelines.remote.ssh.config import Target
from cosmos_pipelines.settings_file import (
    FILE,
    TWO_CATALOGS,
    catalog_below,
    deepest_variable,
    explain_settings,
    explain_variable,
    home_of,
    read_settings,
    with_driver,
    with_schema,
)
from cosmos_pipelines.settings_hosts import (
    Host,
    HostName,
    Place,
    Queue,
    places_of_settings,
    same_place,
)
from cosmos_pipelines.settings_tables import (
    Budget,
    Clean,
    Docker,
    Event,
    Execution,
    Notify,
    Paths,
    Postgres,
    Remote,
    Scenes,
    Ui,
)

__all__ = [
    "USUAL_S",
    "Docker",
    "Settings",
    "environment_of",
    "load_settings",
    "tables_of",
    "under_another_page",
]

USUAL_S: Final = {"transfer": 3600, "upscale": 3600, "enhance": 1800}
"""Seconds that an operation may take where neither settings nor its engine say otherwise."""


class _Read(BaseSettings):
    """Values of the file, over which those of the environment win."""

    model_config = SettingsConfigDict(
        env_prefix="COSMOS_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


class Settings(_Read):
    """All settings. `home` is absolute; the properties below give absolute paths."""

    home: Path
    database_url: str | None = Field(None, description="SQLAlchemy URL of the catalog")
    dagster_home: Path | None = Field(None, description="Dagster's own directory")
    owner: str = Field("team:cosmos", description="owner shown on the Dagster assets")
    person: str | None = Field(None, description="who orders runs; default: the user @ machine")
    postgres: Postgres = Postgres()
    paths: Paths = Paths()
    scenes: Scenes = Scenes()
    execution: Execution = Execution()
    remote: Remote = Remote()
    docker: Docker = Docker()
    hosts: dict[HostName, Host] = Field({}, description="named GPU hosts: tables [hosts.NAME]")
    queue: Queue = Queue()
    clean: Clean = Clean()
    notify: Notify = Notify()
    budget: Budget = Budget()
    ui: Ui = Ui()
    _tables: BaseSettings | None = None
    """Those of engines, as far as something is said of them: see `tables_of`."""

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return absolute(value)

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
        """SQLAlchemy URL of the catalog: that of `[postgres]`, `database_url`, else SQLite."""
        shared = self.postgres.url
        return (shared and with_driver(shared)) or self.database_url or catalog_below(self.outputs)

    @property
    def dagster_dir(self) -> Path:
        """Dagster's instance directory."""
        return self.dagster_home or self.home / ".dagster"

    @property
    def places(self) -> Mapping[str, Place]:
        """All places where loads run, by name; `ssh_docker` only where `[remote]` names a host."""
        return places_of_settings(self.remote, self.docker, self.hosts)

    def ssh_target(self, place: Place) -> Target:
        """What the table of a place says to connect to; its paths are relative to home.

        Raises:
            SettingsError: no host is set.
        """
        remote = place.remote
        if remote.host is None:  # a place of [hosts] has one always
            raise SettingsError(
                "No GPU host is set.",
                hint=f'Write `host = "..."` under [remote] in {self.home / FILE}, '
                "or set COSMOS_REMOTE__HOST.",
            )

        def path(given: Path | None) -> Path | None:
            return None if given is None else self.home / expanded(given)

        return Target(
            host=remote.host,
            user=remote.user,
            port=remote.port,
            key_file=path(remote.key),
            known_hosts=path(remote.known_hosts),
            config_file=path(remote.ssh_config),
            connect_timeout_s=remote.connect_timeout_s,
            lost_after_s=remote.lost_after_s,
        )

    def timeout_s(self, engine: Engine, job: Job) -> int:
        """Seconds that one run may take: as set for its operation, else as its engine says."""
        model_type = job.operation.model_type
        given: int | None = getattr(self.execution, f"{model_type}_timeout_s")
        return given or engine.allowed_s(job) or USUAL_S[model_type]

    def engine(self, name: str) -> Engine:
        """The engine called so, with what its table says. Raises UnknownId, EngineBroken."""
        tables = self._tables
        said = tables is not None and name in type(tables).model_fields
        return engine_named(name).with_options(getattr(tables, name) if said else None)


@lru_cache
def tables_of(tables: Tables) -> type[BaseSettings]:
    """What reads the tables of these engines."""
    fields: dict[str, Any] = {name: (kind, kind()) for name, kind in tables}
    made: type[BaseSettings] = create_model("Tables", __base__=_Read, **fields)
    return made


def _named_outside() -> set[str]:
    """What may be names of engines in the environment: `toy` of COSMOS_TOY__STRENGTH."""
    prefix = str(_Read.model_config["env_prefix"]).lower()
    words = [v.lower().removeprefix(prefix) for v in os.environ if v.lower().startswith(prefix)]
    return {word.partition("__")[0] for word in words}


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings.

    `home` wins over `COSMOS_HOME`, which wins over the nearest cosmos.toml upwards.

    Raises:
        SettingsError: no project here, a file that is no TOML, or a wrong name or value.
    """
    given = home_of(home)
    file = given / FILE
    values, text = read_settings(file)
    if (dagster_home := os.environ.get("DAGSTER_HOME")) and not values.get("dagster_home"):
        values["dagster_home"] = dagster_home
    values["home"] = given
    others = sorted({*values, *_named_outside()} - {*Settings.model_fields})
    tables = ENGINES.tables(others)
    said = {name: values.pop(name) for name, _ in tables if name in values}
    for name in others:
        if ENGINES.error_of(name):  # told where it is used, and by `cosmos doctor`
            values.pop(name, None)
    wrong: list[str] = []
    settings = _checked(Settings, values, wrong, file, text)
    own = _checked(tables_of(tables), said, wrong, file, text)
    if settings and (same := same_place(settings.remote, settings.hosts)):
        first, second = same
        wrong.append(
            f"{file}: {first} and {second} have one address and one folder: give one of them "
            "another remote_dir, or leave one out"
        )
    if settings is not None and settings.postgres.url and settings.database_url:
        wrong.append(TWO_CATALOGS)
    if settings is None or wrong:
        raise SettingsError(f"{'; '.join(wrong)}.")
    settings._tables = own
    # COSMOS_HOME must not move home away from the file that was read
    return settings.model_copy(update={"home": given})


Kind = TypeVar("Kind", bound=BaseSettings)


def _checked(
    kind: type[Kind], values: Mapping[str, Any], wrong: list[str], file: Path, text: str
) -> Kind | None:
    """The settings of one kind; None if something is `wrong`, which is added there."""
    try:
        return kind(**values)
    except ValidationError as e:
        wrong.append(explain_settings(e, file, text))
        return None
    except RecursionError:
        raise SettingsError(
            f"{deepest_variable()} has too many levels of lists and objects."
        ) from None
    except BadVariable as e:
        raise SettingsError(
            f"{explain_variable(e)}.",
            hint="Give one setting by COSMOS_TABLE__NAME, as COSMOS_EXECUTION__ENGINE=preview.",
        ) from None


NOTIFY_VARIABLE: Final = "COSMOS_NOTIFY_URLS"
"""Whom messages are sent to, instead of `urls_file` in `[notify]`."""
DAGSTER_VARIABLE: Final = "DAGSTER_POSTGRES_URL"
"""By which our dagster-postgres.yaml is told where Dagster's records are."""
_PAGE: Final = "COSMOS_PAGE"
"""Set where `cosmos ui` serves the page, and with it previews and player."""


def environment_of(settings: Settings) -> Mapping[str, str]:
    """Environment for a child process so that it sees these same settings."""
    url = dagster_url(settings)
    return {
        **os.environ,
        **({} if url is None else {DAGSTER_VARIABLE: url}),
        "COSMOS_HOME": str(settings.home),
        "DAGSTER_HOME": str(settings.dagster_dir),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        _PAGE: "yes",
    }


def is_told(settings: Settings, event: Event) -> bool:
    """Whether people are to be told of this: it is wanted, and addresses are set."""
    return has_addresses(settings) and event in settings.notify.events


def has_addresses(settings: Settings) -> bool:
    """Whether it is set where messages go, rightly or wrongly."""
    said = os.environ.get(NOTIFY_VARIABLE, "").strip()
    return bool(said) or settings.notify.urls_file is not None


def dagster_url(settings: Settings) -> str | None:
    """The URL of Dagster's records in the database of `[postgres]`; None: they are elsewhere."""
    if (url := settings.postgres.url) is None:
        return None
    return with_schema(with_driver(url), "dagster")


def under_another_page() -> bool:
    """Whether this process belongs to a page of Dagster's that `cosmos ui` does not serve.

    That is a code server, or a process that it started, of `dagster dev` or `dagster-webserver`.
    """
    words = sys.argv[1:3]
    return _PAGE not in os.environ and ("grpc" in words or "code-server" in words)
