"""A run waits for its place: said once, ended by kill and interrupt, nothing left behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import GpusBusy
from cosmos_pipelines.operate.kill import kill
from cosmos_pipelines.operations.base import Order
from tests.runs.test_execute import elsewhere, execute, pending
from tests.runs.test_stall import OnGpu
from tests.support.gpu_host import STAND_IN, RemoteProject
from tests.support.project import Project, make_project
from tests.support.stand_in_engine import registered
from tests.support.waiting import LONG_S, until


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with one scene, in which the stand-in is an engine."""
    with registered():
        made = make_project(tmp_path / "home")
        made.scene()
        yield made


@pytest.fixture
def others(project: Project) -> Handle:
    """An order that takes this machine."""
    facts: dict[str, Any] = {"engine": "x", "model_type": "transfer", "inputs": {}, "expected": ()}
    argv = ("sleep", "600")
    return project.backend.launch(Order(id="others", run_ids=(), argv=argv, gpus=0, **facts))


def waiting(project: Project, run: Run) -> str:
    """What a run says that it waits for; empty if it does not wait."""
    now = project.catalog.get_run(run.id)
    text = str((now.progress or {}).get("text", ""))
    return text if now.status == "uploading" and text.startswith("waits: ") else ""


def test_a_run_waits_says_so_once_and_starts_when_the_other_has_ended(
    project: Project, others: Handle
) -> None:
    run = pending(project, "works")
    with ThreadPoolExecutor() as pool:
        work = pool.submit(execute, project, run)
        said = until(lambda: waiting(project, run), "the run to wait")
        project.backend.cancel(others, 0)
        (done,) = work.result()
    assert said == "waits: This machine already runs others."
    assert (done.status, done.attempt) == ("completed", 1)
    assert not (done.progress or {}).get("text", "").startswith("waits")
    log = (project.run_directory(done) / "logs" / "cosmos.log").read_text()
    assert log.count("This machine already runs") == 1


def test_kill_ends_a_run_that_waits_and_nothing_of_it_is_started(
    project: Project, others: Handle
) -> None:
    run = pending(project, "works")
    with ThreadPoolExecutor() as pool:
        work = pool.submit(execute, project, run)
        until(lambda: waiting(project, run), "the run to wait")
        (killed,) = kill(project.catalog, project.settings, run.id)
        assert (killed.status, killed.leased_by) == ("cancelled", None)
        (ended,) = work.result()
    project.backend.cancel(others, 0)
    assert (ended.status, ended.error_message) == ("cancelled", killed.error_message)
    assert project.backend.find(run.id) is None


def test_an_interrupt_while_it_waits_cancels_the_run_and_leaves_nothing(
    project: Project, others: Handle
) -> None:
    run = pending(project, "works")
    process = elsewhere(project, run)
    until(lambda: waiting(project, run), "the run to wait")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONG_S)
    ended = project.catalog.get_run(run.id)
    assert (ended.status, ended.error_message) == ("cancelled", "Interrupted by the user.")
    assert sorted(p.name for p in project.backend.runs.iterdir()) == ["others"]
    project.backend.cancel(others, 0)


def test_a_run_that_was_killed_in_the_moment_of_its_start_is_stopped(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pending(project, "hang")
    launch = type(project.backend).launch

    class Slow(type(project.backend)):  # type: ignore[misc]
        """Its start takes so long that the run is killed meanwhile."""

        def launch(self, order: object, before_start: object = None) -> object:
            """Start it after all checks."""
            handle = launch(self, order, before_start)  # type: ignore[arg-type]
            assert project.catalog.cancel_unstarted(run.id)
            return handle

    project.backend.__class__ = Slow
    (ended,) = execute(project, run)
    assert ended.status == "cancelled"
    assert project.backend.active() == []


def take_gpu(remote: RemoteProject) -> None:
    """Let a container of others take the host's GPU, for which our model asks."""
    ENGINES["stand_in"] = OnGpu(program=STAND_IN)
    remote.host.docker(
        "run", "--detach", "--pull=never", "--entrypoint=/bin/sleep", "--name=cosmos-theirs",
        "--label=cosmos.order_id=theirs", "--gpus=device=0", "cosmos-rig/preview:1", "600",
    )  # fmt: skip


def test_kill_of_a_run_that_was_sent_to_a_host_leaves_nothing_there_and_frees_nothing_of_others(
    remote: RemoteProject,
) -> None:
    take_gpu(remote)
    run = remote.pending("works")

    def waits() -> bool:
        progress = remote.catalog.get_run(run.id).progress or {}
        return str(progress.get("text", "")).startswith("waits: ")

    with ThreadPoolExecutor() as pool:
        work = pool.submit(remote.execute, run)
        until(waits, "the run to wait")
        sent = list((remote.host.root / "data/cosmos/cas").glob("[0-9a-f]*"))
        assert len(sent) == 3
        (killed,) = kill(remote.catalog, remote.settings, run.id)
        assert (killed.status, killed.leased_by) == ("cancelled", None)
        (ended,) = work.result()
    assert (ended.status, ended.started_at) == ("cancelled", None)
    assert remote.host.docker("ps", "--format={{.Names}}").split() == ["cosmos-theirs"]
    assert remote.containers() == ["cosmos-theirs"]
    assert remote.left_on_host() == []


def test_a_run_on_a_host_waits_for_its_gpu_and_goes_on_when_it_is_free(
    remote: RemoteProject,
) -> None:
    take_gpu(remote)
    run = remote.pending("works")

    class Freed(type(remote.backend)):  # type: ignore[misc]
        """Whoever has the GPU is gone after this backend was refused twice."""

        refused = 0

        def launch(self, *given: object) -> object:
            """As the host answers."""
            try:
                return super().launch(*given)
            except GpusBusy:
                Freed.refused += 1
                card = remote.catalog.get_run(run.id).progress
                if Freed.refused == 2:
                    assert card is not None
                    assert "GPU 0 is used by the container cosmos-theirs" in card["text"]
                    remote.host.docker("rm", "--force", "cosmos-theirs")
                raise

    remote.backend.__class__ = Freed
    (done,) = remote.execute(run)
    assert (done.status, done.error_message, Freed.refused) == ("completed", None, 2)
