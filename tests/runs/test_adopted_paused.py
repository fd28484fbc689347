"""What a dead process had prepared waits again while the queue is paused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.pauses import ALL, engine_scope, place_scope
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.runs.execute import execute_runs
from tests.runs.test_execute import pending
from tests.support.processes import gone_owner
from tests.support.project import Project, make_project
from tests.support.stand_in_engine import registered

SCOPES = {"all": ALL, "place": place_scope("local"), "engine": engine_scope("stand_in")}


def lost(project: Project, *, by_hand: bool = False) -> Run:
    """A run that a process had taken, out of the queue or by hand, and died before its start."""
    run, gone = pending(project), gone_owner()
    project.catalog.queue_pending([run.id])
    load = None
    if not by_hand:
        load = project.catalog.claim_load(NewLoad("local", "stand_in", "transfer", (run.id,)), gone)
        assert load is not None
    taken = project.catalog.claim(run.id, gone, load=load.id if load else None)
    assert taken is not None
    return taken


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
def test_a_lost_run_that_was_not_started_waits_while_the_queue_is_paused(
    scope: str, catalog: Catalog, tmp_path: Path
) -> None:
    with registered():
        made = make_project(tmp_path / "home")
        made.catalog.close()
        project = Project(made.settings, catalog, made.backend)
        project.scene()
        run = lost(project)
        catalog.pause(scope, "ada@studio")
        (now,) = _execute(project, run)
        assert (now.status, now.load_id, now.leased_by, now.attempt) == ("pending", None, None, 1)
        assert project.backend.kept() == []
        catalog.resume(scope)
        assert [one.id for one in catalog.ready_runs()] == [run.id]
        (now,) = _execute(project, run)
        assert now.status == "completed"


def test_a_lost_run_that_somebody_has_started_by_hand_is_not_held_up(tmp_path: Path) -> None:
    with registered():
        project = make_project(tmp_path / "home")
        project.scene()
        run = lost(project, by_hand=True)
        project.catalog.pause(ALL, "ada@studio")
        (now,) = _execute(project, run)
        assert now.status == "completed"
        project.catalog.close()


def _execute(project: Project, run: Run) -> list[Run]:
    given = {"catalog": project.catalog, "settings": project.settings}
    return execute_runs([run.id], backend=project.backend, **given)
