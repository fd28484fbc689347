"""What a look at a long queue costs, in reads and SQL statements."""

from __future__ import annotations

from collections import Counter
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import make_url

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.sensors.lost_runs import lost_runs
from tests.support.catalogs import BOTH
from tests.support.counting import counting
from tests.support.dagster_project import add_run, tick
from tests.support.many_runs import copy_run
from tests.support.processes import gone_owner
from tests.support.project import Project
from tests.support.queue_looks import Looks

WAITING_RUNS = 2_000
ENDED_RUNS = 20_000
QUIET, PLANNED = 20, 40
"""Statements of a look that finds no room for a load, and of one that plans the next loads."""
COLUMNS = {"status": "completed", "queued_at": None, "outputs": {"video": "outputs/none.mp4"}}


@pytest.fixture(params=BOTH)
def crowded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with 2,000 waiting and 20,000 ended runs, on both databases."""
    if request.param == "postgresql":
        monkeypatch.setenv("COSMOS_DATABASE_URL", request.getfixturevalue("postgres_url"))
    project: Project = request.getfixturevalue("staged")
    assert make_url(project.settings.catalog_url).get_backend_name() == request.param
    run = add_run(project, queued=True)
    copy_run(project.catalog, run, WAITING_RUNS)
    copy_run(project.catalog, run, ENDED_RUNS, **COLUMNS)
    return project


def test_a_look_at_2000_waiting_and_20000_ended_runs_reads_no_file_and_asks_a_few_times(
    crowded: Project, looks: Looks
) -> None:
    _assert_queue_is_cheap(crowded, looks)
    _assert_search_for_lost_runs_is_cheap(crowded, looks.instance)


def _assert_queue_is_cheap(crowded: Project, looks: Looks) -> None:
    with counting(crowded.settings) as first:
        assert [len(load) for load in looks.once()] == [8]
    looks.started()
    looks.once()
    with counting(crowded.settings) as later:
        assert looks.once() == []
    assert later["run row"] <= 2 * 8 + 1
    _assert_cheap(crowded, later, QUIET, asked=6)
    assert first["probe"] == 0
    assert first["statement"] <= _opened(crowded) + PLANNED


def _assert_search_for_lost_runs_is_cheap(crowded: Project, instance: dg.DagsterInstance) -> None:
    result: Any
    with counting(crowded.settings) as counts:
        result, _ = tick(crowded, lost_runs, instance, None)
    assert isinstance(result, dg.SkipReason)
    _assert_cheap(crowded, counts)
    lost = add_run(crowded)
    assert crowded.catalog.claim(lost.id, gone_owner())
    result, cursor = tick(crowded, lost_runs, instance, None)
    assert len(result.run_requests) == 1
    with counting(crowded.settings) as counts:
        result, _ = tick(crowded, lost_runs, instance, cursor)
    assert isinstance(result, dg.SkipReason)
    _assert_cheap(crowded, counts)


def _opened(project: Project) -> int:
    """Statements that it takes to open the catalog."""
    with counting(project.settings) as counts:
        Catalog.open(project.settings.catalog_url, project.settings.home).close()
    return counts["statement"]


def _assert_cheap(project: Project, counts: Counter[str], more: int = 0, asked: int = 1) -> None:
    assert counts["statement"] <= _opened(project) + 1 + more
    assert counts["probe"] + counts["decode"] + counts["compile"] == 0
    assert counts["load settings"] == 1
    assert counts["dagster statement"] <= asked
