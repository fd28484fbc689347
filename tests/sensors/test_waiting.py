"""A tick that has nothing to ask for waits for it."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import dagster as dg
import pytest

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.sensors import waiting
from cosmos_pipelines.sensors.dispatch_queue import dispatch_queue
from tests.support.counting import counting
from tests.support.dagster_project import add_run, tick
from tests.support.project import Project
from tests.support.waiting import LONG_S


def test_a_run_that_is_queued_while_a_tick_waits_is_asked_for_by_that_tick(
    staged: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TICK_S", LONG_S)
    waits = threading.Event()
    look = Catalog.newest_revision

    def looked(catalog: Catalog) -> int:
        waits.set()
        return look(catalog)

    monkeypatch.setattr(Catalog, "newest_revision", looked)
    queued: list[str] = []

    def queue() -> None:
        waits.wait()
        queued.append(add_run(staged, queued=True).id)

    thread = threading.Thread(target=queue)
    thread.start()
    result, _ = tick(staged, dispatch_queue, instance, None)
    thread.join()
    assert [r.tags["cosmos/first_run"] for r in result.run_requests] == queued


def test_a_tick_that_waits_reads_one_number_a_look(
    staged: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def statements(looks: int) -> int:
        slept: list[float] = []
        clock = SimpleNamespace(monotonic=lambda: float(len(slept)), sleep=slept.append)
        monkeypatch.setattr(waiting, "time", clock)
        monkeypatch.setattr(waiting, "TICK_S", float(looks))
        with counting(staged.settings) as counts:
            tick(staged, dispatch_queue, instance, None)
        return counts["statement"]

    assert statements(120) - statements(20) == 100


def test_where_sensors_are_no_threads_no_tick_waits(
    staged: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: float) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr(type(instance), "get_sensor_settings", lambda _: {})
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=never))
    monkeypatch.setattr(waiting, "TICK_S", LONG_S)
    result, _ = tick(staged, dispatch_queue, instance, None)
    assert isinstance(result, dg.SkipReason)
