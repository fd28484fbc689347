"""What becomes of a lost run whose adoption is cancelled, deleted, or ends without it."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.sensors.lost_runs import lost_runs
from cosmos_pipelines.sensors.requests import TRIES
from tests.support.dagster_project import add_run, tick
from tests.support.processes import gone_owner
from tests.support.project import Project

ENDED = [
    dg.DagsterRunStatus.CANCELED,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.SUCCESS,
]


class Losses:
    """Looks of the sensor, one after the other."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance
        self.cursor: str | None = None

    def run(self, later: int = 1, dagster_run_id: str | None = None) -> Run:
        """A run in work whose process is gone."""
        catalog, run = self.project.catalog, add_run(self.project)
        assert catalog.claim(run.id, gone_owner(later), dagster_run_id=dagster_run_id)
        return run

    def once(self) -> list[str]:
        """The run keys that this look requests."""
        result: Any
        result, self.cursor = tick(self.project, lost_runs, self.instance, self.cursor)
        return [] if isinstance(result, dg.SkipReason) else [r.run_key for r in result.run_requests]

    def adopter(self, key: str, status: dg.DagsterRunStatus) -> str:
        """The Dagster run that the daemon makes of a request."""

        @dg.op
        def nothing() -> None: ...

        @dg.job
        def some() -> None:
            nothing()

        tags = {"dagster/run_key": key}
        return self.instance.create_run_for_job(some, tags=tags, status=status).run_id


@pytest.fixture
def losses(staged: Project, instance: dg.DagsterInstance) -> Losses:
    return Losses(staged, instance)


@pytest.mark.parametrize("status", ENDED)
def test_an_adoption_that_ends_without_the_run_is_requested_again_a_few_times(
    staged: Project, losses: Losses, status: dg.DagsterRunStatus
) -> None:
    run = losses.run()
    keys = []
    for _ in range(TRIES):
        (key,) = losses.once()
        losses.adopter(key, status)
        keys.append(key)
    assert len(set(keys)) == TRIES
    assert losses.once() == []
    run = staged.catalog.get_run(run.id)
    assert (run.status, run.error_kind, run.leased_by) == ("failed", "lost", None)
    assert run.error_message is not None
    assert f"cosmos run {run.id}" in run.error_message
    assert losses.once() == []


def test_an_adoption_that_is_deleted_is_requested_again(losses: Losses) -> None:
    losses.run()
    (first,) = losses.once()
    dagster_run_id = losses.adopter(first, dg.DagsterRunStatus.STARTED)
    assert losses.once() == []
    losses.instance.delete_run(dagster_run_id)
    (second,) = losses.once()
    assert second != first


def test_an_adoption_that_waits_is_not_requested_again(losses: Losses) -> None:
    losses.run()
    (key,) = losses.once()
    assert losses.once() == []  # it may come yet
    losses.adopter(key, dg.DagsterRunStatus.STARTED)
    losses.cursor = None
    assert losses.once() == []


def test_an_adoption_that_is_not_in_dagsters_queue_is_put_there_by_its_own_key(
    losses: Losses,
) -> None:
    losses.run()
    (key,) = losses.once()
    losses.adopter(key, dg.DagsterRunStatus.NOT_STARTED)
    assert losses.once() == [key]


def test_a_cancelled_adoption_is_requested_again_also_where_the_cursor_was_reset(
    losses: Losses,
) -> None:
    losses.run()
    (first,) = losses.once()
    losses.adopter(first, dg.DagsterRunStatus.CANCELED)
    losses.cursor = None
    (second,) = losses.once()
    assert second != first


def test_an_order_that_cannot_be_looked_at_does_not_stop_the_others(losses: Losses) -> None:
    zombie = losses.adopter("zombie", dg.DagsterRunStatus.STARTED)
    bad = losses.run(dagster_run_id=zombie)
    good = losses.run(later=2)
    with losses.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(f"UPDATE runs SET run_body = '?' WHERE run_id = '{zombie}'")
    (key,) = losses.once()
    assert good.id in key
    with losses.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(f"DELETE FROM runs WHERE run_id = '{zombie}'")
    (key,) = losses.once()
    assert bad.id in key
