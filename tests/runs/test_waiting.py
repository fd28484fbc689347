"""A run waits for its place: said once, ended by kill and interrupt, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import GpusBusy
from cosmos_pipelines.operate.kill import kill
from cosmos_pipelines.runs.execute import execute_runs
from tests.runs.test_execute import elsewhere, pending, wait_for_frame
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
def gate(tmp_path: Path) -> Path:
    """A file: runs with the text `wait FILE` stand at their first frame while it is there."""
    file = tmp_path / "gate"
    file.touch()
    return file


def waiting(project: Project, run: Run) -> str:
    """What a run says that it waits for; empty if it does not wait."""
    now = project.catalog.get_run(run.id)
    text = str((now.progress or {}).get("text", ""))
    return text if now.status == "uploading" and text.startswith("waits: ") else ""


def busy(project: Project, gate: Path) -> tuple[Run, subprocess.Popen[str]]:
    """A run that takes this machine until the gate is gone."""
    first = pending(project, f"wait {gate}")
    process = elsewhere(project, first)
    wait_for_frame(process, 1)
    return first, process


def test_a_second_run_waits_says_so_once_and_starts_when_the_first_has_ended(
    project: Project, gate: Path
) -> None:
    first, process = busy(project, gate)
    second = pending(project, "works")
    other = elsewhere(project, second)
    said = until(lambda: waiting(project, second), "the second run to wait")
    assert said == f"waits: This machine already runs {first.id}."
    gate.unlink()
    assert (process.wait(LONG_S), other.wait(LONG_S)) == (0, 0)
    done = project.catalog.get_run(second.id)
    assert (done.status, done.attempt) == ("completed", 1)
    assert not (done.progress or {}).get("text", "").startswith("waits")
    log = (project.run_directory(done) / "logs" / "cosmos.log").read_text()
    assert log.count("This machine already runs") == 1


def test_kill_ends_a_run_that_waits_and_nothing_of_it_is_started(
    project: Project, gate: Path
) -> None:
    first, process = busy(project, gate)
    second = pending(project, "works")
    other = elsewhere(project, second)
    until(lambda: waiting(project, second), "the second run to wait")
    (killed,) = kill(project.catalog, project.settings, second.id)
    assert (killed.status, killed.leased_by) == ("cancelled", None)
    assert other.wait(LONG_S) == 0
    gate.unlink()
    assert process.wait(LONG_S) == 0
    assert project.catalog.get_run(second.id).status == "cancelled"
    assert project.catalog.get_run(first.id).status == "completed"
    assert project.backend.find(second.id) is None


def test_an_interrupt_while_it_waits_cancels_the_run_and_leaves_nothing(
    project: Project, gate: Path
) -> None:
    first, process = busy(project, gate)
    second = pending(project, "works")
    other = elsewhere(project, second)
    until(lambda: waiting(project, second), "the second run to wait")
    other.send_signal(signal.SIGINT)
    other.wait(LONG_S)
    ended = project.catalog.get_run(second.id)
    assert (ended.status, ended.error_message) == ("cancelled", "Interrupted by the user.")
    assert project.backend.active() == [first.id]
    assert sorted(p.name for p in project.backend.runs.iterdir()) == [first.id]
    gate.unlink()
    process.wait(LONG_S)


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
    (ended,) = execute_runs(
        [run.id], catalog=project.catalog, settings=project.settings, backend=project.backend
    )
    assert ended.status == "cancelled"
    assert project.backend.active() == []


def test_a_run_on_a_host_waits_for_its_gpu_and_goes_on_when_it_is_free(
    remote: RemoteProject,
) -> None:
    ENGINES["stand_in"] = OnGpu(program=STAND_IN)
    remote.host.docker(
        "run", "--detach", "--pull=never", "--entrypoint=/bin/sleep", "--name=cosmos-theirs",
        "--label=cosmos.order_id=theirs", "--gpus=device=0", "cosmos-rig/preview:1", "600",
    )  # fmt: skip
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
