"""Prompts, runs, assets, jobs and sensors of a project with the stand-in as an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from cosmos_pipelines.assets.partitions import latest
from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.resources.dagster_resources import resources_of
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.sensors.catalog_sync import catalog_sync
from tests.support.project import Project

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def add_prompt(project: Project, text: str = "works", scene: str = "city") -> Prompt:
    """Register a prompt; the first word is the stand-in's behaviour."""
    return register_prompt(project.catalog, project.settings, text, scene)[0]


def add_run(project: Project, text: str = "works", *, queued: bool = False, **fields: Any) -> Run:
    """Add a pending inference run of the stand-in."""
    prompt = add_prompt(project, text)
    planned = plan_transfer(project.catalog, project.settings, prompt.id, fields, engine="stand_in")
    return enter(project.catalog, project.settings, planned, queued=queued)


def materialize(
    project: Project,
    instance: dg.DagsterInstance,
    asset: dg.AssetKey,
    partition: str,
    **config: Any,
) -> dg.ExecuteInProcessResult:
    """Execute one partition of an asset, as Dagster's page does, but in this process."""
    ops = {"ops": {asset.to_user_string(): {"config": config}}} if config else {}
    job = build_definitions(project.settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        partition_key=partition,
        asset_selection=[asset],
        run_config=QUIET | ops,
        raise_on_error=False,
    )


def run_job(
    project: Project,
    instance: dg.DagsterInstance,
    name: str,
    op: str,
    tags: Mapping[str, str] | None = None,
    **config: Any,
) -> dg.ExecuteInProcessResult:
    """Execute a job with a filled form."""
    return (
        build_definitions(project.settings)
        .resolve_job_def(name)
        .execute_in_process(
            instance=instance,
            run_config=QUIET | {"ops": {op: {"config": config}}},
            tags=tags,
            raise_on_error=False,
        )
    )


def metadata_of(instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str) -> dict[str, Any]:
    """Return a partition's metadata: plain values by name; {} if it is not materialised."""
    record = latest(instance, asset, partition)
    event = record and record.asset_materialization
    return {k: v.value for k, v in event.metadata.items()} if event else {}


def failure_of(result: dg.ExecuteInProcessResult) -> dg.UserFailureData | None:
    """Return description and metadata of the failure that a step raised."""
    for event in result.all_events:
        if event.is_step_failure:
            return event.step_failure_data.user_failure_data
    return None


def tick(
    project: Project, sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None
) -> tuple[Any, str | None]:
    """Evaluate a sensor once; return its result and the next cursor."""
    catalog = resources_of(project.settings)["catalog"]
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"catalog": catalog}
    ) as context:
        result = sensor(context)
        if isinstance(result, dg.SensorResult) and result.cursor is not None:
            return result, result.cursor
        return result, context.cursor


def synced(project: Project, instance: dg.DagsterInstance, cursor: str | None = None) -> str:
    """One tick of `catalog_sync`, and what Dagster's daemon then does; returns the next cursor."""
    result, after = tick(project, catalog_sync, instance, cursor)
    if isinstance(result, dg.SensorResult):
        job = build_definitions(project.settings).resolve_job_def("check_videos")
        for asked in result.run_requests or []:
            config = QUIET | dict(asked.run_config)
            assert job.execute_in_process(instance=instance, run_config=config).success
    assert after is not None
    return after
