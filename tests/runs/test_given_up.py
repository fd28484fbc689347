"""Runs that failed while their host was away are gone on with, and never started anew."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import NotUnderstood
from cosmos_pipelines.ids import attempt_of_order, order_id
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.given_up import MOST, given_up_runs, was_given_up
from tests.runs.test_adopted import Puzzling, gate, given_up, project, starts
from tests.support.project import Project

__all__ = ["gate", "project"]


class Away(LocalBackend):
    """A place that cannot be followed."""

    def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
        """Fail at once."""
        raise NotUnderstood("gpu1", "It is odd.")
        yield b""


class Vanishing(LocalBackend):
    """A place where an order is gone after the first look at it."""

    def order_of(self, handle: Handle) -> Order:
        """Read the order; then it is gone."""
        order = super().order_of(handle)
        shutil.rmtree(self.runs / order.id)
        return order


def go_back(
    project: Project, run: Run, place: type[LocalBackend] = LocalBackend, **errors: BaseException
) -> Run:
    """The run after somebody has gone back to it."""
    here = project.backend
    backend = (Puzzling if errors else place)(here.work, here.scripts, here.python, here.grace_s)
    if isinstance(backend, Puzzling):
        backend.errors = errors
    (ended,) = execute_runs(
        [run.id],
        catalog=project.catalog,
        settings=project.settings,
        backend=backend,
        only_lost=True,
    )
    return ended


def test_an_order_that_goes_on_is_followed_to_its_end(project: Project, gate: Path) -> None:
    run = given_up(project, gate, kind="unreachable")
    assert was_given_up(run)
    gate.unlink()
    done = go_back(project, run)
    assert (done.status, done.batch_id, starts(project, done)) == ("completed", run.id, 1)


@pytest.mark.parametrize("kind", ["model_failed", "lost", "disk_full", "cancelled"])
def test_a_run_that_failed_for_another_reason_is_left_alone(
    project: Project, gate: Path, kind: str
) -> None:
    run = given_up(project, gate, kind=kind)
    assert go_back(project, run) == run
    gate.unlink()


def test_where_nobody_can_look_the_run_stays_as_it_is(project: Project, gate: Path) -> None:
    run = given_up(project, gate, kind="unreachable")
    assert go_back(project, run, find=NotUnderstood("gpu1", "It is odd.")) == run
    gate.unlink()


def test_an_order_of_which_nothing_is_left_is_not_started_again(
    project: Project, gate: Path
) -> None:
    run = given_up(project, gate, kind="unreachable")
    handle = project.backend.find(run.id)
    assert handle is not None
    project.backend.cancel(handle, 0)
    project.backend.discard(run.id)
    lost = go_back(project, run)
    assert (lost.status, lost.error_kind, lost.batch_id) == ("failed", "lost", None)
    assert "nothing is left of it there" in (lost.error_message or "")
    assert not was_given_up(lost)
    assert list(project.backend.runs.glob("rs_*")) == []


def test_an_order_that_vanishes_after_the_look_is_not_started_again(
    project: Project, gate: Path
) -> None:
    run = given_up(project, gate, kind="unreachable")
    gate.unlink()
    handle = project.backend.find(run.id)
    assert handle is not None
    list(project.backend.follow(handle))
    lost = go_back(project, run, Vanishing)
    assert (lost.status, lost.error_kind) == ("failed", "lost")
    assert list(project.backend.runs.glob("rs_*")) == []


def test_an_order_is_gone_back_to_a_few_times_only(project: Project, gate: Path) -> None:
    run = given_up(project, gate, kind="unreachable")
    for _ in range(MOST):
        assert was_given_up(run)
        run = go_back(project, run, Away)
        assert run.error_kind == "unreachable"
    assert not was_given_up(run)
    assert go_back(project, run) == run
    gate.unlink()


def test_runs_of_this_machine_are_not_looked_for(project: Project, gate: Path) -> None:
    given_up(project, gate, kind="unreachable")
    assert given_up_runs(project.catalog, project.settings) == []
    gate.unlink()


@pytest.mark.parametrize("runs", [("rs_1",), ("rs_1", "rs_2")])
@pytest.mark.parametrize("attempt", [1, 2, 12])
def test_the_name_of_an_order_tells_its_attempt(runs: tuple[str, ...], attempt: int) -> None:
    assert attempt_of_order(order_id(runs, attempt)) == attempt
