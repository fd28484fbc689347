"""What the steps of all assets and jobs share: executing runs, and telling errors to the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import Any, Final

import dagster as dg

from cosmos_pipelines.assets.links import Links
from cosmos_pipelines.assets.run_tags import tag_dagster_run
from cosmos_pipelines.catalog.records import Load, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.resources.dagster_resources import BackendResource
from cosmos_pipelines.runs.context import OnCompleted
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.log import OnLine
from cosmos_pipelines.settings import Settings

ROOT: Final = "dagster/root_run_id"


def to_stdout(run_id: str | None, line: str) -> None:
    """Write a line of a run's log where Dagster captures it for the run's page."""
    sys.stdout.write(f"{run_id[:11]} {line}\n" if run_id else f"{line}\n")
    sys.stdout.flush()


LINES: ContextVar[OnLine] = ContextVar("LINES", default=to_stdout)
"""Where the lines of runs go; a process that executes by itself (`cosmos inference`) sets it."""


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Our errors become a failed step with one line, which is not tried again."""
    try:
        yield
    except CosmosError as e:
        raise dg.Failure(description=str(e), allow_retries=False) from e


def request_of(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> str:
    """Names what asks for runs: this Dagster run, or the one that it executes again."""
    return as_asked(context.run)


def as_asked(dagster_run: dg.DagsterRun) -> str:
    """Names a Dagster run, or the one that it executes again, where it asks for runs."""
    return f"dagster:{dagster_run.tags.get(ROOT, dagster_run.run_id)}"


def bring_to_end(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    catalog: Catalog,
    settings: Settings,
    backend: BackendResource,
    runs: Sequence[Run],
    on_completed: OnCompleted | None = None,
    load: Load | None = None,
    *,
    only_lost: bool = False,
) -> list[Run]:
    """Execute runs, each by its own backend; returns them as they then are.

    `runs`: only what never changes is read of them. `on_completed` is told of each as soon as it is
    completed. `load`: the load in which this process has them. `only_lost`: as in `execute_runs`.

    Raises:
        StateError: another live process is executing one of them.
    """
    done: dict[str, Run] = {}
    try:
        tag_dagster_run(context.instance, context.run, catalog, runs)
    except Exception as e:  # noqa: BLE001 - told; a run is not lost for the names of its tags
        context.log.warning(f"This Dagster run has no tags of scene, prompt and recipe: {e}")
    for name in dict.fromkeys(run.backend for run in runs):
        with cancelled_with_us(context), closing(backend.open(settings, name)) as opened:
            ended = execute_runs(
                [run.id for run in runs if run.backend == name],
                catalog=catalog,
                settings=settings,
                backend=opened,
                dagster_run_id=context.run.run_id,
                on_line=LINES.get(),
                on_completed=on_completed,
                load=load,
                only_lost=only_lost,
            )
        done |= {run.id: run for run in ended}
    return [done[run.id] for run in runs]


@contextmanager
def cancelled_with_us(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
) -> Iterator[None]:
    """After an interrupt our run is cancelled; then Dagster's is too, not failed."""
    try:
        yield
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or Dagster's own interrupt
        dagster_run = context.instance.get_run_by_id(context.run.run_id)
        if dagster_run and dagster_run.status == dg.DagsterRunStatus.STARTED:
            context.instance.report_run_canceling(dagster_run)
        raise


def require_completed(settings: Settings, run: Run) -> None:
    """Return if the run is completed.

    Raises:
        Failure: it is not; with its error, where the page shows it.
    """
    if run.status != "completed":
        said = f"{run.id} {run.status}: {run.error_message or 'no reason recorded'}"
        raise failure(settings, said, [run])


def failure(settings: Settings, description: str, runs: Sequence[Run]) -> dg.Failure:
    """A failed step, with error kind and log of each run that did not complete."""
    links = Links.of(settings)
    metadata: dict[str, Any] = {}
    for run in runs:
        name = f"{run.id} " if len(runs) > 1 else ""
        metadata[f"{name}error kind"] = run.error_kind or run.status
        metadata[f"{name}error"] = dg.MetadataValue.text(run.error_message or "")
        metadata[f"{name}run"] = links.run(run.id)
        if run.log_path and (shown := links.log(run.id)):
            metadata[f"{name}log on the page"] = shown
        if run.log_path:
            metadata[f"{name}log"] = dg.MetadataValue.path(run.log_path)
    return dg.Failure(description=description, metadata=metadata, allow_retries=False)
