"""Which runs in work have lost their process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.lost import end_lost_loads, is_lost, lost_runs
from tests.runs.test_execute import gate, pending, project, wait_for_frame
from tests.support.processes import (
    CONTAINER,
    ROOT,
    gone_owner,
    needs,
    owner_of_another_boot,
    python_in,
)
from tests.support.project import Project
from tests.support.waiting import until

__all__ = ["gate", "project"]

GONE = gone_owner()
ENDED = datetime(2000, 1, 1, tzinfo=UTC)


def claimed(project: Project, owner: str, ended: bool = False) -> Run:
    """A run that a process executes; with `ended`, as a client whose clock was set on sees it."""
    at = ENDED if ended else None
    run = project.catalog.claim(pending(project).id, owner, now=at)
    assert run is not None
    return run


def test_a_run_whose_process_is_gone_is_lost(project: Project) -> None:
    run = project.catalog.claim(pending(project).id, GONE)
    assert run is not None
    assert is_lost(project.catalog, run)
    assert lost_runs(project.catalog) == [run]


def test_a_run_of_a_living_process_and_one_that_waits_are_not_lost(project: Project) -> None:
    waiting = pending(project)
    run = project.catalog.claim(pending(project).id, owner_name())
    assert run is not None
    assert not is_lost(project.catalog, run)
    assert not is_lost(project.catalog, waiting)
    assert lost_runs(project.catalog) == []


def test_a_run_that_its_process_has_ended_since_it_was_read_is_not_lost(project: Project) -> None:
    read = project.catalog.claim(pending(project).id, GONE)
    assert read is not None
    project.catalog.advance(read.id, GONE, "uploading", "failed", error_kind="model_failed")
    assert not is_lost(project.catalog, read)
    assert project.catalog.find_run(read.id) is not None


def test_a_clock_that_was_set_does_not_make_a_run_of_a_living_process_lost(
    project: Project,
) -> None:
    run = claimed(project, owner_name(), ended=True)
    assert not is_lost(project.catalog, run)
    assert lost_runs(project.catalog) == []


def test_the_runs_of_a_load_whose_process_is_gone_wait_again_though_its_claim_lasts(
    project: Project,
) -> None:
    catalog = project.catalog
    run = pending(project)
    catalog.queue_pending([run.id])
    load = NewLoad(run.backend, run.engine, run.model_type, (run.id,))
    hour_s = 3600.0  # as after a clock that was set back
    assert catalog.claim_load(load, owner_name(), hour_s) is not None
    end_lost_loads(catalog)
    assert catalog.ready_runs() == []
    for other in catalog.open_loads():
        assert catalog.hand_over_load(other.id, GONE, lease_s=hour_s) is not None
    end_lost_loads(catalog)
    assert [ready.id for ready in catalog.ready_runs()] == [run.id]


def test_verify_tells_only_of_runs_whose_process_is_gone(project: Project) -> None:
    claimed(project, owner_name(), ended=True)
    gone = claimed(project, GONE)
    with CosmosAPI(settings=project.settings) as api:
        problems = api.verify_integrity()["problems"]
    assert [(p["kind"], p["id"]) for p in problems] == [("lost", gone.id)]


def test_a_run_of_a_living_process_is_not_taken_over_after_the_clock_was_set(
    project: Project, gate: Path
) -> None:
    """The process of the run lives; every lease has ended for who takes it."""
    words = [sys.executable, "-m", "tests.support.orchestrator", str(project.settings.home)]
    run = pending(project, f"wait {gate}")
    process = subprocess.Popen([*words, run.id], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    wait_for_frame(process, 1)
    holder = project.catalog.get_run(run.id).leased_by
    assert holder
    assert project.catalog.renew([run.id], holder, now=ENDED) == 1
    with pytest.raises(StateError, match=f"executed by process {process.pid} on "):
        execute_runs(
            [run.id], catalog=project.catalog, settings=project.settings, backend=project.backend
        )
    assert lost_runs(project.catalog) == []
    gate.unlink()
    process.communicate()
    assert project.catalog.get_run(run.id).status == "completed"


def test_the_runs_of_a_batch_are_not_taken_from_a_living_process(project: Project) -> None:
    runs = [claimed(project, owner, ended=True) for owner in (owner_name(), "1:1:1", "1:1:1")]
    for run in runs:
        assert project.catalog.advance(
            run.id, run.leased_by or "", "uploading", "uploading", batch_id="batch"
        )
    code = (
        "import sys; from tests.support import orchestrator\n"
        "sys.exit(orchestrator.main(*sys.argv[1:]))"
    )
    home = str(project.settings.home)
    subprocess.run([sys.executable, "-c", code, home, runs[1].id], cwd=ROOT, check=False)
    left = [project.catalog.get_run(run.id) for run in runs]
    assert [run.leased_by for run in left] == [owner_name(), None, None]
    assert left[0].status == "uploading"
    assert {run.status for run in left[1:]} <= {"completed", "failed"}


def test_a_run_of_a_stopped_process_is_lost_when_its_lease_has_ended(project: Project) -> None:
    code = "from cosmos_pipelines.backends.owner import owner_name; print(owner_name(), flush=True)"
    process = python_in((), f"{code}; import sys; sys.stdin.read()")
    assert process.stdout is not None
    owner = process.stdout.readline().strip()
    before, after = claimed(project, owner), claimed(project, owner, ended=True)
    assert lost_runs(project.catalog) == []
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: lost_runs(project.catalog) == [after], "the stop")
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: not lost_runs(project.catalog), "the continuation")
    assert not is_lost(project.catalog, before)
    process.communicate()
    assert {run.id for run in lost_runs(project.catalog)} == {before.id, after.id}


@pytest.mark.parametrize(
    "owner", [owner_of_another_boot(), "gpu1:999999:1759.25"], ids=["another boot", "old name"]
)
def test_a_run_of_an_unknown_process_is_lost_only_when_its_lease_has_ended(
    project: Project, owner: str
) -> None:
    """Of another boot, of a clone of this machine; or named by an earlier version."""
    leased = claimed(project, owner)
    ended = claimed(project, owner, ended=True)
    assert lost_runs(project.catalog) == [ended]
    with pytest.raises(StateError, match="executed by"):
        execute_runs(
            [leased.id], catalog=project.catalog, settings=project.settings, backend=project.backend
        )
    assert project.catalog.get_run(leased.id).leased_by == owner


def test_a_run_of_another_container_with_the_same_host_name_is_not_lost(project: Project) -> None:
    code = "from cosmos_pipelines.backends.owner import owner_name; print(owner_name(), flush=True)"
    process = python_in(needs(CONTAINER), f"{code}; import sys; sys.stdin.read()")
    assert process.stdout is not None
    run = claimed(project, process.stdout.readline().strip())
    assert not is_lost(project.catalog, run)
    process.communicate()
    assert not is_lost(project.catalog, run)  # who is to know that it has ended? Its lease


def test_a_run_that_another_process_has_taken_meanwhile_is_not_taken(project: Project) -> None:
    run = claimed(project, "a", ended=True)
    catalog = project.catalog
    assert catalog.adopt(run.id, "b", now=ENDED.replace(year=2001), seen="a")
    assert catalog.adopt(run.id, "c", seen="a") is None
    assert catalog.adopt(run.id, "c", seen="b")


def test_where_lost_runs_are_wanted_what_ended_or_went_on_meanwhile_is_left_alone(
    project: Project,
) -> None:
    lost, failed = claimed(project, GONE), claimed(project, GONE)
    held, waiting = claimed(project, owner_of_another_boot()), pending(project)
    assert project.catalog.advance(
        failed.id, GONE, "uploading", "failed", error_kind="model_failed", error_message="no"
    )
    ended = execute_runs(
        [lost.id, failed.id, held.id, waiting.id],
        catalog=project.catalog,
        settings=project.settings,
        backend=project.backend,
        only_lost=True,
    )
    assert [(run.status, run.attempt) for run in ended] == [
        ("completed", 1),
        ("failed", 1),
        ("uploading", 1),
        ("pending", 1),
    ]
