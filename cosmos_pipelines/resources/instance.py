"""Dagster's instance directory of a project."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

TEMPLATE: Final = Path(__file__).parent.parent / "dagster.yaml"


def instance_directory(settings: Settings) -> Path:
    """The directory, made with our dagster.yaml in it if there is none yet."""
    directory = settings.dagster_dir
    file = directory / "dagster.yaml"
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        part = file.with_name("dagster.yaml.part")
        shutil.copyfile(TEMPLATE, part)
        part.replace(file)
    return directory


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
    ref = InstanceRef.from_dir(str(instance_directory(settings)), overrides=overrides)
    with DagsterInstance.from_ref(ref) as instance:
        yield instance
