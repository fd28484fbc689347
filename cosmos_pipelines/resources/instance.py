"""The directory of a project's Dagster instance."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.catalog.database import in_our_words
from cosmos_pipelines.errors import CosmosError, DiskFull, SettingsError, command
from cosmos_pipelines.files import write_bytes, writing
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

    from cosmos_pipelines.resources.dagster_private import InstanceRef

SENSORS: Final = {"use_threads": True, "num_workers": 6}
"""As in our dagster.yaml: one that looks for seconds holds up no other."""
TAG_LIMITS: Final = ({"key": "dagster/backfill", "limit": 4},)
"""As in our dagster.yaml: steps of backfills wait for loads, which have room in the queue too."""
_HARDLY_BYTES: Final = 1 << 20
TEMPLATE: Final = Path(__file__).parent.parent / "dagster.yaml"
POSTGRES_TEMPLATE: Final = TEMPLATE.with_name("dagster-postgres.yaml")
_IN_POSTGRES: Final = re.compile(rb"^[^#\n]*\bpostgres_(?:url|db)\b", re.MULTILINE)

_OLD_LAUNCHER: Final = re.compile(
    rb"""(\bmodule["']?\s*:\s*["']?cosmos_pipelines\.resources\.)launcher(?![\w.])"""
)
"""The old name of the run launcher's module, in files that earlier versions made."""


def instance_directory(settings: Settings) -> Path:
    """Return the directory; make it and its dagster.yaml if they are missing.

    In a dagster.yaml of an earlier version, the name of the run launcher's module is updated.

    Raises:
        DiskFull, CosmosError: dagster.yaml cannot be written.
        SettingsError: it says SQLite, and the settings PostgreSQL.
    """
    directory = settings.dagster_dir
    file = directory / "dagster.yaml"
    shared = settings.postgres.url is not None
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        template = POSTGRES_TEMPLATE if shared else TEMPLATE
        with suppress(FileExistsError):  # another process has made the file at the same time
            write_bytes(file, template.read_bytes(), new=True, durable=True)
    if shared and not _IN_POSTGRES.search(file.read_bytes()):
        aside = command("mv", directory, directory.with_name(f"{directory.name}.sqlite"))
        raise SettingsError(
            f"[postgres] has a URL, but {file} keeps Dagster's records elsewhere.",
            hint=f"Stop `cosmos ui` and {aside}. Dagster's page is filled from the catalog anew.",
        )
    _bring_up_to_date(file.resolve())
    return directory


def _bring_up_to_date(file: Path) -> None:
    """Change the old name of the run launcher's module, and no other byte."""
    before = file.read_bytes()
    after = _OLD_LAUNCHER.sub(rb"\g<1>run_launcher", before)
    if after != before:
        with writing(file, durable=True) as part:
            part.touch()
            shutil.copymode(file, part)  # the file may hold a password that only its owner may read
            part.write_bytes(after)


def daemon_reference(settings: Settings) -> InstanceRef:
    """Return what Dagster's daemon shall load: the project's instance, with sensors in threads.

    Its queue starts only some steps of backfills at once. A dagster.yaml of an earlier version does
    not say either yet; one that says otherwise is obeyed.
    """
    from cosmos_pipelines.resources.dagster_private import reference_to

    return reference_to(instance_directory(settings), {"sensors": SENSORS}, TAG_LIMITS)


@contextmanager
def open_instance(settings: Settings, *, captures: bool = True) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's instance; without `captures` Dagster does not capture a run's output."""
    from cosmos_pipelines.resources.dagster_private import NO_CAPTURES, instance_at
    from cosmos_pipelines.resources.first_use import first_use
    from cosmos_pipelines.resources.postgres import records_in_postgres

    overrides = {} if captures else NO_CAPTURES
    with _saying_what_is_wrong(settings.dagster_dir):
        directory = instance_directory(settings)
        with (
            _saying_how_to_begin_anew(directory),
            records_in_postgres(settings),
            first_use(directory),
        ):
            opened = instance_at(directory, overrides)
        with opened as instance:
            yield instance


@contextmanager
def _saying_how_to_begin_anew(directory: Path) -> Iterator[None]:
    """Raises CosmosError where Dagster cannot use the databases that it has made itself."""
    from alembic.util import CommandError
    from sqlalchemy.exc import IntegrityError

    try:
        yield
    except (CommandError, IntegrityError) as e:
        said = str(e).splitlines()[0]
        aside = command("mv", directory, directory.with_name(f"{directory.name}.broken"))
        raise CosmosError(
            f"Dagster's records in {directory} cannot be opened: {said}",
            hint=f"Stop `cosmos ui` and {aside}. The catalog has all runs; Dagster's page is "
            "filled from it anew.",
        ) from e


@contextmanager
def _saying_what_is_wrong(directory: Path) -> Iterator[None]:
    """Trouble of Dagster's own database, as of one whose disk is full, in our words.

    Raises:
        DiskFull: no room for its records; what our catalog says of runs is right nevertheless.
        CosmosError: they cannot be read or written; says what to do.
    """
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as e:
        said = str(e.orig or e)
        if "disk I/O error" in said and _full(directory):  # of the files beside the database
            said = "database or disk is full"
        ours = in_our_words(said, f"Dagster's records in {directory}")
        if ours is None:
            raise
        raise ours from e
    except OSError as e:
        if e.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        said = f"Dagster's records in {directory}: no room is left on their disk."
        raise DiskFull(said, hint="Free some space.") from e


def _full(directory: Path) -> bool:
    """Whether there is hardly any room left."""
    with suppress(OSError):
        return shutil.disk_usage(directory).free < _HARDLY_BYTES
    return False
