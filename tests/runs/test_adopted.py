"""What still runs is taken up, whatever its run's row says; no error of ours stops it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.backends.base import Handle, StopReason
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import BackendError, CosmosError, NotUnderstood
from cosmos_pipelines.operate.kill import kill, kill_stray
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.execute import execute_runs
from tests.runs.test_execute import elsewhere, gate, pending
from tests.support.project import Project
from tests.support.waiting import until

__all__ = ["gate"]


@pytest.fixture
def project(staged: Project) -> Project:
    return staged


class Puzzling(LocalBackend):
    """A place that gives an error instead of one of its answers, once."""

    errors: dict[str, BaseException]

    def _may_fail(self, verb: str) -> None:
        if error := self.errors.pop(verb, None):
            raise error

    def launch(self, order: Order, before_start: Callable[[], None] | None = None) -> Handle:
        """Start an order, or fail."""
        self._may_fail("launch")
        return super().launch(order, before_start)

    def find(self, order_id: str, wait_s: float = 0, *, begun: bool = False) -> Handle | None:
        """Find an order, or fail."""
        self._may_fail("find")
        return super().find(order_id, wait_s, begun=begun)

    def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
        """Follow an order until its first frame, or to its end."""
        for chunk in super().follow(handle, offset):
            yield chunk
            if b"frame 1/" in chunk:
                self._may_fail("follow")

    def cancel(
        self, handle: Handle, grace_s: float | None = None, reason: StopReason = "cancelled"
    ) -> None:
        """Stop an order, or fail."""
        self._may_fail("cancel")
        super().cancel(handle, grace_s, reason)


class Locked(Catalog):
    """A catalog that is locked when a run's start is to be recorded."""

    def advance(self, run_id: str, owner: str, old: Any, new: Any, **given: Any) -> Run | None:
        """As a locked database answers."""
        if new == "running":
            raise CosmosError("The catalog is locked.")
        return super().advance(run_id, owner, old, new, **given)


def execute(
    project: Project, run: Run, catalog: Catalog | None = None, **errors: BaseException
) -> Run:
    """Execute a run at a place that fails once at each of these verbs."""
    here = project.backend
    backend = Puzzling(here.work, here.scripts, here.python, here.grace_s)
    backend.errors = errors
    (ended,) = execute_runs(
        [run.id], catalog=catalog or project.catalog, settings=project.settings, backend=backend
    )
    return ended


def given_up(project: Project, gate: Path, status_: str = "failed", kind: str = "lost") -> Run:
    """A run that has ended in the catalog although its order still runs."""
    run = pending(project, f"wait {gate}")
    with elsewhere(project, run) as process:
        until(lambda: project.catalog.get_run(run.id).progress, "its first frame")
        process.send_signal(signal.SIGKILL)
    lost = project.catalog.get_run(run.id)
    project.catalog.release(run.id, lost.leased_by or "")
    assert project.catalog.adopt(run.id, "me", 30)
    ended = project.catalog.advance(
        run.id, "me", "running", status_, error_kind=kind, error_message="It was said."
    )
    assert ended is not None
    assert project.backend.active() == [run.id]
    return ended


def starts(project: Project, run: Run) -> int:
    """How often the model was started, as this attempt's log tells."""
    log = project.run_directory(run) / "logs" / "run.log"
    return log.read_text().count("stand-in: 1 sample")


@pytest.mark.parametrize(
    ("ended", "kind"),
    [("failed", "launch_failed"), ("failed", "model_failed"), ("cancelled", "cancelled")],
)
def test_what_still_runs_is_taken_up_whatever_its_row_says(
    project: Project, gate: Path, ended: str, kind: str
) -> None:
    run = given_up(project, gate, ended, kind)
    gate.unlink()
    done = execute(project, run)
    assert (done.status, done.batch_id, starts(project, done)) == ("completed", run.id, 1)


def test_what_was_asked_to_stop_is_stopped_and_begun_anew(project: Project, gate: Path) -> None:
    run = given_up(project, gate, "cancelled", "cancelled")
    handle = project.backend.find(run.id)
    assert handle is not None
    assert not project.backend.asked_to_stop(handle)
    (Path(handle.run_dir) / "stop").write_text("cancelled")

    def open_for_the_next() -> None:
        until(lambda: not project.backend.active(), "the end of what was asked to stop")
        gate.unlink()

    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(open_for_the_next)
        done = execute(project, run)
        opened.result()
    assert done.status == "completed"
    assert done.batch_id != run.id


@pytest.mark.parametrize("error", [BackendError("launch_failed", "It is odd."), ValueError("odd")])
def test_an_error_while_a_run_is_followed_neither_stops_it_nor_says_it_did_not_start(
    project: Project, gate: Path, error: Exception
) -> None:
    failed = execute(project, pending(project, f"wait {gate}"), follow=error)
    assert (failed.status, failed.error_kind) == ("failed", "lost")
    assert f"`cosmos run {failed.id}` goes on with it" in (failed.error_message or "")
    assert project.backend.active() == [failed.id]
    gate.unlink()
    done = execute(project, failed)
    assert (done.status, done.batch_id, starts(project, done)) == ("completed", failed.id, 1)


def test_a_start_that_cannot_be_recorded_is_not_called_a_failed_start(
    project: Project, gate: Path
) -> None:
    with Locked.open(project.settings.catalog_url) as locked:
        failed = execute(project, pending(project, f"wait {gate}"), locked)
    assert (failed.status, failed.error_kind) == ("failed", "lost")
    assert project.backend.active() == [failed.id]
    gate.unlink()
    assert execute(project, failed).status == "completed"


def test_where_nobody_can_look_nothing_is_started(project: Project) -> None:
    failed = execute(project, pending(project), launch=BackendError("launch_failed", "It is odd."))
    assert failed.error_kind == "launch_failed"
    unseen = execute(project, failed, find=NotUnderstood("gpu1", "It is odd."))
    assert (unseen.status, unseen.error_kind) == ("failed", "unreachable")
    assert (unseen.error_message or "").startswith("Nothing was started, as nobody can look")
    assert (unseen.batch_id, list(project.backend.runs.glob("rs_*"))) == (failed.batch_id, [])
    assert execute(project, unseen).status == "completed"


def test_an_interrupt_whose_stop_is_not_confirmed_says_so_and_how_to_stop_it(
    project: Project, gate: Path
) -> None:
    run = pending(project, f"wait {gate}")
    away = NotUnderstood("gpu1", "It is odd.")
    with pytest.raises(KeyboardInterrupt):
        execute(project, run, follow=KeyboardInterrupt(), cancel=away)
    left = project.catalog.get_run(run.id)
    assert (left.status, left.error_kind) == ("failed", "unreachable")
    assert f"`cosmos kill {run.id}` stops it" in (left.error_message or "")
    (stopped,) = kill(project.catalog, project.settings, run.id)
    assert (stopped.status, stopped.error_kind) == ("cancelled", "cancelled")
    assert project.backend.active() == []


def test_an_order_whose_run_was_given_up_names_its_run_and_is_no_stray_order(
    project: Project, gate: Path
) -> None:
    run = given_up(project, gate, kind="launch_failed")
    state = status(project.catalog, project.settings)
    (left,) = state["left"]
    assert (left["what"], left["id"], left["do"]) == ("given up", run.id, f"cosmos run {run.id}")
    assert left["found"].startswith(f"says failed, launch_failed, but its order {run.id} still")
    assert state["stray"] == []
    assert kill_stray(project.catalog, project.settings) == []
    assert project.backend.active() == [run.id]


def test_recover_goes_on_with_a_run_that_was_given_up(project: Project, gate: Path) -> None:
    run = given_up(project, gate)
    with CosmosAPI(project.settings.home) as cosmos:
        (done,) = cosmos.recover(on_line=lambda *_: gate.unlink(missing_ok=True))
    assert (done["id"], done["status"], done["batch_id"]) == (run.id, "completed", run.id)
