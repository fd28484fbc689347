"""A run that hangs is told, stopped and started once more; what looks like it is left alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.operate.why import explain
from cosmos_pipelines.operations.base import Job, Order
from cosmos_pipelines.remote.gpu import GpuState
from cosmos_pipelines.runs import gpu_watch
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.gpu_watch import GpuWatch
from cosmos_pipelines.runs.stall import may_start_again
from cosmos_pipelines.settings import Settings
from tests.runs.test_execute import pending
from tests.support.gpu_host import STAND_IN, RemoteProject
from tests.support.project import Project, make_project
from tests.support.stand_in_engine import PROGRAM, StandIn
from tests.support.waiting import until

SMI = """#!/bin/sh
case $* in
*--query-gpu=*) load=$(cat "{load}") || exit 255
    for run in "{runs}"/*; do
        [ ! -d "$run" ] || [ -e "$run/exit_code" ] || [ -e "$run/idle" ] || load=90
    done
    echo "0, GPU-0, 81559, 60000, $load, 41, 92.10, 550.54.15, Simulated H100 80GB" ;;
esac
"""


class OnGpu(StandIn):
    """The stand-in, whose orders need one GPU."""

    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """As the stand-in, with a GPU."""
        return super().compile(jobs, order_id).model_copy(update={"gpus": 1})


def with_limits(settings: Settings, tell_s: float, end_s: float) -> Settings:
    limits = {"stall_s": tell_s, "stall_end_s": end_s}
    execution = settings.execution.model_copy(update=limits)
    return settings.model_copy(update={"execution": execution})


@pytest.fixture
def engine() -> Iterator[None]:
    """The stand-in, as an engine that needs a GPU."""
    ENGINES["stand_in"] = OnGpu(program=str(PROGRAM))
    yield
    del ENGINES["stand_in"]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Set the load in percent that this machine's nvidia-smi shows; None: it fails.

    Until a model says that it is idle, the load is high: a busy machine may take long for it.
    """
    bin_, file = tmp_path / "bin", tmp_path / "load"
    bin_.mkdir()
    runs = tmp_path / "home/.cosmos/host/runs"
    (bin_ / "nvidia-smi").write_text(SMI.format(load=file, runs=runs))
    (bin_ / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")

    def shows(percent: str | None) -> None:
        file.unlink(missing_ok=True)
        if percent is not None:
            file.write_text(percent)

    return shows


@pytest.fixture
def project(tmp_path: Path, engine: None) -> Project:
    """A project with one scene."""
    made = make_project(tmp_path / "home")
    made.scene()
    return made


def execute(project: Project, runs: Sequence[Run], tell_s: float, end_s: float) -> list[Run]:
    return execute_runs(
        [run.id for run in runs],
        catalog=project.catalog,
        settings=with_limits(project.settings, tell_s, end_s),
        backend=project.backend,
    )


def test_a_batch_that_hangs_keeps_what_it_made_and_makes_the_rest_in_a_second_attempt(
    project: Project, load: Callable[[str | None], None], tmp_path: Path
) -> None:
    load("0")
    texts = ("works", f"hangs {tmp_path / 'hung'}", "works too")
    runs = [pending(project, text) for text in texts]
    ended = execute(project, runs, 0.4, 0.8)
    assert [(run.status, run.attempt) for run in ended] == [
        ("completed", 1), ("completed", 2), ("completed", 2),
    ]  # fmt: skip
    said, again = ended[1].notes
    assert said.startswith("Attempt 1 seems to hang: no log line and no load on its GPUs for ")
    assert again == "Attempt 1 stalled, and the run was started again."
    assert project.backend.active() == []
    log = (project.run_directory(ended[1]) / "logs" / "cosmos.log").read_text()
    assert log.count("seems to hang") == log.count("Stopping") == 1


def test_a_run_that_always_hangs_does_not_keep_its_mates_from_their_second_attempt(
    project: Project, load: Callable[[str | None], None]
) -> None:
    load("0")
    runs = [pending(project, text) for text in ("works", "hang", "works too", "works as well")]
    ended = execute(project, runs, 0.4, 0.8)
    assert [(run.status, run.error_kind, run.attempt) for run in ended] == [
        ("completed", None, 1),
        ("failed", "stalled", 2),
        ("completed", None, 2),
        ("completed", None, 2),
    ]
    assert ended[2].batch_id == ended[3].batch_id != ended[1].batch_id


def test_a_run_that_stalls_a_second_time_stays_failed_and_says_what_to_do(
    project: Project, load: Callable[[str | None], None]
) -> None:
    load("2")
    (ended,) = execute(project, [pending(project, "hang")], 0.4, 0.4)
    assert (ended.status, ended.error_kind, ended.attempt) == ("failed", "stalled", 2)
    told = explain(project.catalog, project.settings, ended.id)
    assert told["cause"].startswith("The model hung: it wrote nothing and its GPUs did nothing")
    assert next(step["command"] for step in told["next"]) == f"cosmos logs {ended.id}"
    assert not may_start_again(ended)
    assert may_start_again(replace(ended, attempt=3))  # the user's next one, should it stall too


def test_a_stall_is_told_before_it_is_ended_and_taken_back_when_the_log_goes_on(
    project: Project, load: Callable[[str | None], None], tmp_path: Path
) -> None:
    load("0")
    waits = tmp_path / "waits"
    waits.touch()
    run = pending(project, f"wait {waits}")

    def stalled() -> dict[str, Any] | None:
        shown = project.catalog.get_run(run.id).progress or {}
        return shown if shown.get("done") and "hang" in shown["text"] else None

    def when_told() -> None:
        seen.append(until(stalled, "the stall after the first frame"))
        waits.unlink()

    seen: list[dict[str, Any] | None] = []
    with ThreadPoolExecutor() as pool:
        looked = pool.submit(when_told)
        (ended,) = execute(project, [run], 0.4, 0)
        looked.result()
    assert (ended.status, ended.attempt) == ("completed", 1)
    assert seen[0] is not None
    assert seen[0]["text"].startswith("seems to hang: no log line and no load on its GPUs")
    log = (project.run_directory(ended) / "logs" / "cosmos.log").read_text()
    assert "goes on" in log
    assert "hang" not in (ended.progress or {}).get("text", "")


@pytest.mark.parametrize("percent", ["3", "[N/A]"], ids=["works", "no load told"])
def test_silence_alone_is_no_stall(
    project: Project, load: Callable[[str | None], None], percent: str | None, tmp_path: Path
) -> None:
    load(percent)
    waits = tmp_path / "waits"
    waits.touch()
    watched: list[bool] = []

    class Watched(LocalBackend):
        """Ends the model's waiting after two silent seconds."""

        def follow(self, handle: Handle, offset: int = 0) -> Generator[bytes]:
            """As this machine."""
            for chunk in super().follow(handle, offset):
                watched.append(not chunk)
                if sum(watched) == 2:
                    waits.unlink(missing_ok=True)
                yield chunk

    backend = Watched(project.settings.work, grace_s=2)
    quiet = Project(project.settings, project.catalog, backend)
    (ended,) = execute(quiet, [pending(project, f"wait {waits}")], 0.2, 0.2)
    assert (ended.status, ended.attempt, ended.notes) == ("completed", 1, [])
    assert sum(watched) >= 2


def test_gpus_that_do_nothing_while_the_log_grows_are_no_stall(
    project: Project, load: Callable[[str | None], None]
) -> None:
    load("0")
    (ended,) = execute(project, [pending(project, "slow 0.75")], 3, 3)
    assert (ended.status, ended.attempt, ended.notes) == ("completed", 1, [])


def test_a_process_that_stood_still_has_not_seen_its_gpus_idle(
    project: Project, load: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    load("0")
    facts: dict[str, Any] = {"engine": "x", "model_type": "transfer", "inputs": {}, "expected": ()}
    order = Order(id="rs_1", run_ids=("rs_1",), argv=("true",), gpus=1, **facts)
    with GpuWatch(project.backend, order, every_s=600) as watch:
        until(lambda: watch.idle_s() is not None, "a look at the GPUs")
        now = time.monotonic()
        monkeypatch.setattr(gpu_watch.time, "monotonic", lambda: now + 86400)
        assert watch.idle_s() is None


class Odd(LocalBackend):
    """A place whose first look at the GPUs ends with an error that nobody has foreseen."""

    looks = 0

    def gpus(self, order: Order | None = None) -> GpuState:
        """Fail once."""
        self.looks += 1
        if self.looks == 1:
            raise ValueError("an odd answer")
        return super().gpus(order)


def test_after_an_error_that_nobody_has_foreseen_the_gpus_are_looked_at_again(
    project: Project, load: Callable[[str | None], None]
) -> None:
    load("0")
    facts: dict[str, Any] = {"engine": "x", "model_type": "transfer", "inputs": {}, "expected": ()}
    order = Order(id="rs_1", run_ids=("rs_1",), argv=("true",), gpus=1, **facts)
    here = project.backend
    odd = Odd(here.work, here.scripts, here.python, here.grace_s)
    with GpuWatch(odd, order, every_s=0.05) as watch:
        until(lambda: watch.idle_s() is not None, "a look at the GPUs")
    assert odd.looks >= 2


def test_a_run_that_hangs_on_a_host_is_ended_and_started_again_there(
    remote: RemoteProject,
) -> None:
    ENGINES["stand_in"] = OnGpu(program=STAND_IN)
    row = "0, Simulated H100 80GB, 81559, 60000, {}, 41, 92.10, 550.54.15, GPU-0\n"
    remote.host.gpu(row.format(90))
    runs = [remote.pending(text) for text in ("works", "hang")]
    ended = execute_runs(
        [run.id for run in runs],
        catalog=remote.catalog,
        settings=with_limits(remote.settings, 1, 1),
        backend=remote.backend,
        on_line=lambda _, line: remote.host.gpu(row.format(1)) if "frame 6/" in line else None,
    )
    states = [(run.status, run.error_kind, run.attempt) for run in ended]
    assert states == [("completed", None, 1), ("failed", "stalled", 2)]
    assert remote.backend.active() == []
