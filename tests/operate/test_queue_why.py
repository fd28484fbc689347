"""Why a run has not started yet."""

from __future__ import annotations

from datetime import UTC, datetime

from cosmos_pipelines.operate.queue_why import why_waiting
from cosmos_pipelines.runs.known_places import PlaceState, remember
from tests.support.dagster_project import add_run
from tests.support.many_runs import copy_run
from tests.support.project import Project, settings_in


def test_of_a_run_for_any_place_each_place_that_cannot_take_it_is_named(staged: Project) -> None:
    text = '[hosts.gpu1]\nhost = "gpu1"\n[hosts.gpu2]\nhost = "gpu2"\n'
    settings = settings_in(staged.settings.home, text)
    now = datetime.now(UTC)
    for state in (
        PlaceState("gpu1", up=False, said="No route to host.", away_since=now, looked_at=now),
        PlaceState("gpu2", up=True, engines={"stand_in": "no image"}, looked_at=now),
    ):
        remember(settings, settings.places[state.name], state)
    row = add_run(staged, queued=True)
    copy_run(staged.catalog, row, 1, backend="auto", any_place=1)
    (run,) = [run for run in staged.catalog.list_runs() if run.any_place]
    said = [reason["said"] for reason in why_waiting(staged.catalog, settings, run.id)["reasons"]]
    (places,) = [sentence for sentence in said if "No place can take it" in sentence]
    assert "gpu1 is away" in places and "No route to host" in places
    assert "gpu2 cannot run stand_in: no image" in places
