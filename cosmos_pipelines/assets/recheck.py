"""The jobs that check videos later than the step that made them.

`check_up_to_date` says again, after something changed, which videos are up to date and which scenes
are there. `check_videos` makes all checks of videos whose step ended before it came to them. They
are jobs because Dagster keeps one evaluation of a check for each partition and Dagster run; a
second one that belongs to no run is refused by its database.
"""

from typing import Any, Final

import dagster as dg
from pydantic import Field

from cosmos_pipelines.assets.scenes import whether_there
from cosmos_pipelines.assets.steps import as_dagster_failure
from cosmos_pipelines.assets.video_checks import examine, report, report_event, up_to_date
from cosmos_pipelines.resources.dagster_resources import CatalogResource
from cosmos_pipelines.runs.outdated import Now

RECHECK: Final = "check_up_to_date"
CHECK: Final = "check_videos"
POOL: Final = "checks"
"""Videos are decoded to be checked; one Dagster run does so at a time."""


class RecheckForm(dg.Config):
    """What changed."""

    runs: list[str] = Field([], description="Runs whose videos are compared with what is there.")
    scenes: list[str] = Field([], description="Scenes that are looked for.")


@dg.op(description="Compares videos with what they were made of, as it is now.")
def compare_again(
    context: dg.OpExecutionContext, config: RecheckForm, catalog: CatalogResource
) -> None:
    """Record the check up_to_date of each run's video, and `there` of each scene.

    One that cannot be compared does not stop the others.

    Raises:
        Failure: some could not be compared.
    """
    with as_dagster_failure(), catalog.open() as (store, settings):
        now, stale, failed = Now(store, settings), 0, list[str]()
        runs = [r for r in store.find_runs(config.runs).values() if r.status == "completed"]
        now.know(runs)
        for scene in store.find_scenes(config.scenes).values():
            report_event(context, whether_there(settings, scene))
        for run in runs:
            try:
                found = up_to_date(now, run)
                report(context, run, [found])
            except Exception as e:  # noqa: BLE001 - told below, after the others
                failed.append(f"{run.id}: {e}")
            else:
                stale += not found.passed
        context.log.info(f"{stale} of {len(runs)} videos are out of date.")
        _tell(failed)


class CheckForm(dg.Config):
    """Whose videos to check."""

    runs: list[str] = Field([], description="Completed runs that made a video.")


@dg.op(pool=POOL, description="Reads videos and compares them with what was asked for.")
def examine_videos(
    context: dg.OpExecutionContext, config: CheckForm, catalog: CatalogResource
) -> None:
    """Record all checks of each run's video. One that cannot be checked does not stop the others.

    Raises:
        Failure: some could not be checked.
    """
    with as_dagster_failure(), catalog.open() as (store, settings):
        failed: list[str] = []
        for run in store.find_runs(config.runs).values():
            if run.status != "completed" or "video" not in run.outputs:
                continue
            try:
                report(context, run, examine(store, settings, run))
            except Exception as e:  # noqa: BLE001 - told below, after the others
                failed.append(f"{run.id}: {e}")
        _tell(failed)


def _tell(failed: list[str]) -> None:
    if failed:
        raise dg.Failure(f"Not checked: {'; '.join(failed)}", allow_retries=False)


@dg.job(name=CHECK, description="Make all checks of videos again, without making the videos.")
def check_videos() -> None:
    """What the sensor `catalog_sync` asks for."""
    examine_videos()


def check_config(runs: list[str]) -> dict[str, Any]:
    """The run configuration of the job `check_videos`."""
    return {"ops": {examine_videos.name: {"config": {"runs": runs}}}}


@dg.job(name=RECHECK, description="Say of videos whether they are up to date, and of scenes "
        "whether they are there.")  # fmt: skip
def check_up_to_date() -> None:
    """What the sensor `up_to_date` asks for."""
    compare_again()


def recheck_config(runs: list[str], scenes: list[str]) -> dict[str, Any]:
    """The run configuration of the job."""
    return {"ops": {compare_again.name: {"config": {"runs": runs, "scenes": scenes}}}}
