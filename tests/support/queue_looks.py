"""Looks of the sensor `dispatch_queue`, and the Dagster runs that the daemon makes of requests."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import pytest

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.records import Load
from cosmos_pipelines.sensors.dispatch_queue import dispatch_queue
from cosmos_pipelines.sensors.requests import SOON_S
from tests.support.dagster_project import tick
from tests.support.project import Project

OWNER = owner_name()
"""The process of a Dagster run."""


class Looks:
    """Looks of the sensor, one after the other."""

    def __init__(
        self, project: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.project, self.instance, self.monkeypatch = project, instance, monkeypatch
        self.cursor: str | None = None
        self.keys: list[str] = []
        self.requests: list[dg.RunRequest] = []

    def once(self) -> list[list[str]]:
        """The loads that this look requests, as run ids."""
        result: Any
        result, self.cursor = tick(self.project, dispatch_queue, self.instance, self.cursor)
        self.requests = [] if isinstance(result, dg.SkipReason) else list(result.run_requests)
        self.keys = [str(request.run_key) for request in self.requests]
        return [r.run_config["ops"]["execute_batch"]["config"]["run_ids"] for r in self.requests]

    def started(self, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> list[str]:
        """The Dagster runs that the daemon makes of the last requests, by id."""
        return [
            self.instance.create_run_for_job(
                _some(),
                tags={**request.tags, "dagster/run_key": str(request.run_key)},
                run_config=dict(request.run_config),
                status=status,
            ).run_id
            for request in self.requests
        ]

    def begun(self, load_id: str) -> Load:
        """The process of the Dagster run of a load has begun the load's runs."""
        load = self.project.catalog.hand_over_load(load_id, OWNER)
        assert load is not None
        for run_id in load.run_ids:
            assert self.project.catalog.claim(run_id, OWNER, load=load_id)
        assert self.project.catalog.start_load(load_id, OWNER)
        return load

    def dagster_run(self, key: str, status: dg.DagsterRunStatus) -> None:
        """What the daemon makes of a request, and how it ended."""
        self.instance.create_run_for_job(_some(), tags={"dagster/run_key": key}, status=status)

    def later(self) -> None:
        """So long after the last request that its Dagster run must be there."""
        entries = json.loads(self.cursor or "{}")
        for entry in entries.values():
            entry["at"] -= SOON_S + 1
        self.cursor = json.dumps(entries)

    def room(self, gpus: int) -> None:
        """Let this machine execute so many loads at once."""
        self.monkeypatch.setenv("COSMOS_EXECUTION__LOCAL_SLOTS", str(gpus))


def _some() -> dg.JobDefinition:
    @dg.op(config_schema=dict)
    def execute_batch() -> None: ...

    @dg.job
    def some() -> None:
        execute_batch()

    return some


@pytest.fixture
def looks(staged: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Looks at the project `staged`."""
    return Looks(staged, instance, monkeypatch)
