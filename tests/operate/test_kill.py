"""Runs are stopped, also those whose process is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.operate.kill import kill, stop_each
from tests.support.counting import counting
from tests.support.dagster_project import add_run
from tests.support.processes import gone_owner, owner_of_another_boot
from tests.support.project import Project, settings_in


def test_a_run_whose_process_died_before_its_start_is_stopped_before_its_lease_ends(
    staged: Project,
) -> None:
    run = add_run(staged)
    assert staged.catalog.claim(run.id, gone_owner())
    with counting(staged.settings) as counts:
        (stopped,) = kill(staged.catalog, staged.settings, run.id)
    assert stopped.status == "cancelled"
    assert counts["statement"] < 30  # its lease ends in 30 s: some 20 statements in each


def test_a_run_that_another_machine_is_about_to_start_is_cancelled_before_it_does(
    staged: Project,
) -> None:
    run, owner = add_run(staged), owner_of_another_boot()
    assert staged.catalog.claim(run.id, owner)
    (killed,) = kill(staged.catalog, staged.settings, run.id)
    assert (killed.status, killed.leased_by) == ("cancelled", None)
    assert staged.catalog.advance(run.id, owner, "uploading", "running") is None


def test_a_run_that_cannot_be_stopped_leaves_no_other_run_unstopped(staged: Project) -> None:
    first, second = add_run(staged), add_run(staged)
    assert staged.catalog.claim(first.id, owner_of_another_boot())
    assert staged.catalog.advance(first.id, owner_of_another_boot(), "uploading", "running")
    assert staged.catalog.claim(second.id, gone_owner())
    with pytest.raises(StateError, match=f"Run {first.id} is running"):
        kill(staged.catalog, staged.settings, None, all_runs=True)
    assert staged.catalog.get_run(second.id).status == "cancelled"


def test_a_host_that_is_away_is_asked_once_and_leaves_no_other_run_unstopped(
    tmp_path: Path,
) -> None:
    away = '[hosts.away]\nhost = "127.0.0.1"\nport = 9\nuser = "nobody"\nconnect_timeout_s = 2\n'
    settings = settings_in(tmp_path / "home", away)
    with Catalog.open(settings.catalog_url) as catalog:
        places = ["away", "local", "away", "local", "away"]
        made = [catalog.add_run("transfer", "preview", place, {}) for place in places]
        owner = gone_owner()
        for run in made:
            assert catalog.claim(run.id, owner)
        for run in made[::2]:
            order = {"batch_id": f"{run.id}-1"}
            assert catalog.advance(run.id, owner, "uploading", "running", **order)
        waiting = catalog.add_run("transfer", "preview", "away", {}, queued=True)
        asked = [*(run.id for run in made), waiting.id, "rs_none"]
        stopped, refused = stop_each(catalog, settings, asked)
        assert set(stopped) == {made[1].id, made[3].id, waiting.id}
        assert set(refused) == {made[0].id, made[2].id, made[4].id, "rs_none"}
        assert all("It is not known" in refused[run.id].message for run in made[::2])
        found = catalog.find_runs(stopped).values()
        assert {run.status for run in found} == {"cancelled"}
