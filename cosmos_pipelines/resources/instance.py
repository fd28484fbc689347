"""Dagster's instance directory of a project."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.catalog.database import in_our_words
from cosmos_pipelines.errors import DiskFull
from cosmos_pipelines.files import write_bytes, writing
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

SENSORS: Final = {"use_threads": True, "num_workers": 6}
"""As in our dagster.yaml: one that looks for seconds holds up no other."""
_HARDLY_BYTES: Final = 1 << 20
TEMPLATE: Final = Path(__file__).parent.parent / "dagster.yaml"


_OLD_LAUNCHER: Final = re.compile(
    rb"""(\bmodule["']?\s*:\s*["']?cosmos_pipelines\.resources\.)launcher(?![\w.])"""
)
"""What the run launcher's module was called in files that earlier versions made."""


def instance_directory(settings: Settings) -> Path:
    """The directory, made with our dagster.yaml in it if there is none yet.

    In one that an earlier version made, the name of our run launcher is brought up to date.

    Raises:
        DiskFull, CosmosError: dagster.yaml cannot be written.
    """
    directory = settings.dagster_dir
    file = directory / "dagster.yaml"
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # made in this very moment by another process
            write_bytes(file, TEMPLATE.read_bytes(), new=True, durable=True)
    _bring_up_to_date(file.resolve())
    return directory


def _bring_up_to_date(file: Path) -> None:
    """Change the old name of our run launcher's module, and not another byte."""
    had = file.read_bytes()
    wanted = _OLD_LAUNCHER.sub(rb"\g<1>run_launcher", had)
    if wanted != had:
        with writing(file, durable=True) as part:
            part.touch()
            shutil.copymode(file, part)  # it may hold a password, and be for its owner alone
            part.write_bytes(wanted)


def daemon_reference(settings: Settings) -> InstanceRef:
    """What Dagster's daemon shall load: the project's instance, with sensors in threads.

    A dagster.yaml of an earlier version does not say so yet; one that says otherwise is obeyed.
    """
    from dagster._core.instance.config import dagster_instance_config
    from dagster._core.instance.ref import InstanceRef

    directory = str(instance_directory(settings))
    said, _ = dagster_instance_config(directory)
    overrides: Any = {} if "sensors" in said else {"sensors": SENSORS}
    return InstanceRef.from_dir(directory, overrides=overrides)


@contextmanager
def open_instance(settings: Settings, *, captures: bool = True) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance; without `captures` a run's stdout and stderr stay where they are."""
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef

    overrides: dict[str, Any] = {}
    if not captures:
        overrides["compute_logs"] = {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        }
    with _saying_what_is_wrong(settings.dagster_dir):
        ref = InstanceRef.from_dir(str(instance_directory(settings)), overrides=overrides)
        with DagsterInstance.from_ref(ref) as instance:
            yield instance


@contextmanager
def _saying_what_is_wrong(directory: Path) -> Iterator[None]:
    """Trouble of Dagster's own database, as of one whose disk is full, in our words.

    Raises:
        DiskFull: no room for its records; what our catalog says of runs is right nevertheless.
        CosmosError: they cannot be read or written.
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
