"""A host that was away for too long is back: its runs are gone on with, by daemon and worker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.assets.jobs import BATCH
from cosmos_pipelines.assets.partitions import VIDEOS, latest
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.catalog.records import Run, utc_now
from cosmos_pipelines.materialize import materialize_lost
from cosmos_pipelines.operate.place_looks import look_now
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.given_up import (
    KEPT_DAYS,
    end_dependents,
    given_up_runs,
    may_be_gone_back_to,
)
from cosmos_pipelines.sensors.lost_runs import lost_runs
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.dagster_project import failure_of, run_job, tick
from tests.support.gpu_host import STAND_IN, RemoteProject, remote_project
from tests.support.project import Project
from tests.support.stand_in_engine import registered
from tests.support.waiting import until


@pytest.fixture
def remote(tmp_path: Path, fleet: Fleet, gpu1: Host) -> Iterator[RemoteProject]:
    """A project whose host is waited for two seconds."""
    with registered(program=STAND_IN):
        remote = remote_project(tmp_path / "home", fleet, gpu1, wait_s=2)
        yield remote
        remote.backend.close()
        remote.catalog.close()


def given_up(remote: RemoteProject, run: Run) -> Run:
    """A run whose host went away while its model worked, and stayed away."""
    told = []

    def on_line(_: str | None, line: str) -> None:
        if "frame" in line and not told:
            told.append(line)
            remote.host.stop_sshd()

    (away,) = execute_runs(
        [run.id],
        catalog=remote.catalog,
        settings=remote.settings,
        backend=remote.backend,
        on_line=on_line,
    )
    assert (away.status, away.error_kind) == ("failed", "unreachable")
    return away


def mend(remote: RemoteProject) -> None:
    """Let the host be back, and be seen."""
    remote.host.start_sshd()
    until(lambda: remote.host.port_open(22), "the login")
    look_now(remote.settings)


def test_a_worker_goes_on_with_the_run_of_a_host_that_is_back(remote: RemoteProject) -> None:
    run = given_up(remote, remote.pending(engine="preview"))
    mend(remote)
    news: list[str] = []
    with CosmosAPI(remote.settings.home) as cosmos:
        cosmos.work_queue(on_news=news.append)
    done = remote.catalog.get_run(run.id)
    assert (done.status, done.attempt, done.batch_id) == ("completed", 2, run.id)
    assert news == ["Taken over: 1 run whose host answers again."]
    assert remote.containers() == []


def test_a_4k_waits_for_a_video_whose_host_is_away_and_is_made_when_it_is_back(
    remote: RemoteProject,
) -> None:
    run = remote.pending(engine="preview")
    with CosmosAPI(remote.settings.home) as cosmos:
        larger = cosmos.create_upscale(run.id, engine="preview", queue=True)["id"]
        given_up(remote, run)
        assert end_dependents(remote.catalog, remote.settings) == []
        assert "goes on when the host answers again" in str(cosmos.why_queued(larger))
        mend(remote)
        cosmos.work_queue(on_news=print)
    ended = remote.catalog.get_runs([run.id, larger])
    assert [one.status for one in ended] == ["completed"] * 2, ended[1].error_message


def test_a_4k_waits_no_more_for_a_video_that_nobody_goes_back_to(remote: RemoteProject) -> None:
    run = remote.pending("slow 0.3")
    with CosmosAPI(remote.settings.home) as cosmos:
        larger = cosmos.create_upscale(run.id, engine="stand_in", queue=True)["id"]
    away, now, settings = given_up(remote, run), utc_now(), remote.settings
    assert may_be_gone_back_to(away, settings, now)
    assert not may_be_gone_back_to(away, settings, now + timedelta(days=KEPT_DAYS, minutes=1))
    assert not may_be_gone_back_to(replace(away, error_kind="lost"), settings, now)
    nowhere = settings.model_copy(update={"remote": type(settings.remote)()})
    (ended,) = end_dependents(remote.catalog, nowhere)
    assert (ended.id, ended.error_kind) == (larger, "parent_failed")


@pytest.fixture
def instance(remote: RemoteProject) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance of this project."""
    with open_instance(remote.settings, captures=False) as opened:
        yield opened


def test_the_daemon_asks_once_for_the_run_of_a_host_that_is_back(
    remote: RemoteProject, instance: dg.DagsterInstance
) -> None:
    project = Project(remote.settings, remote.catalog, LocalBackend(remote.settings.work))
    run = given_up(remote, remote.pending("slow 0.3"))
    look_now(remote.settings)
    result, cursor = tick(project, lost_runs, instance, None)
    assert isinstance(result, dg.SkipReason)
    mend(remote)
    result, cursor = tick(project, lost_runs, instance, cursor)
    (request,) = result.run_requests
    result, _ = tick(project, lost_runs, instance, cursor)
    assert isinstance(result, dg.SkipReason)
    ended = run_job(project, instance, BATCH, "execute_batch", request.tags, run_ids=[run.id])
    assert ended.success, failure_of(ended)
    assert remote.catalog.get_run(run.id).status == "completed"
    assert latest(instance, VIDEOS, run.id) is not None
    assert given_up_runs(remote.catalog, remote.settings) == []


def test_a_host_that_lost_the_run_is_not_asked_again_and_starts_nothing(
    remote: RemoteProject,
) -> None:
    run = given_up(remote, remote.pending("slow 0.3"))
    remote.host.docker("rm", "--force", f"cosmos-{run.id}")
    shutil.rmtree(remote.host.root / "data/cosmos/runs" / run.id)
    mend(remote)
    materialize_lost(remote.catalog, remote.settings, [run.id])
    lost = remote.catalog.get_run(run.id)
    assert (lost.status, lost.error_kind) == ("failed", "lost")
    assert "nothing is left of it there" in (lost.error_message or "")
    assert given_up_runs(remote.catalog, remote.settings) == []
    assert remote.containers() == []
