"""What a model has finished is paid for: it is kept, whatever happens on our side of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, DiskFull, Unreachable
from cosmos_pipelines.operations import Outcome
from cosmos_pipelines.runs.context import OnCompleted
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.settings import Settings
from tests.models.trees import path_with_torchrun
from tests.support.cosmos_models import all_passes
from tests.support.dagster_project import add_prompt
from tests.support.project import Project


class NotHome(LocalBackend):
    """No video comes home from here, while there is an error to tell."""

    error: BaseException | None = None
    times: int | None = None
    """How often it is in the way; None: always."""
    comes = False
    """Whether the video is here by then."""
    before: list[list[str]]
    """What was in a run's folder each time before one came."""

    def collect(
        self, handle: Handle, names: Mapping[str, Path], outcome: Outcome | None = None
    ) -> None:
        """Bring outputs, unless something is in the way."""
        if self.error is not None and any(name.endswith(".mp4") for name in names):
            (target,) = names.values()
            self.before.append(sorted(path.name for path in target.parent.glob("*.*")))
            if self.times is None:
                raise self.error
            if self.times > 0:
                self.times -= 1
                if self.comes:
                    super().collect(handle, names, outcome)
                raise self.error
        super().collect(handle, names, outcome)


class Patient(LocalBackend):
    """Its clock begins with the first run that is here."""

    begun = False

    def running_s(self, handle: Handle) -> float:
        """As long as the order has run, by this clock."""
        return super().running_s(handle) if self.begun else 0.0


class Busy(Catalog):
    """A catalog that another process holds whenever a run's progress is to be kept."""

    def advance(self, *args: Any, **fields: Any) -> Run | None:
        """As a locked database answers."""
        if "progress" in fields:
            raise CosmosError("The catalog is locked.")
        return super().advance(*args, **fields)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of Cosmos-Transfer1, simulated."""
    monkeypatch.setenv("PATH", path_with_torchrun())
    made = all_passes(tmp_path / "home")
    yield made
    made.catalog.close()


def not_home(project: Project) -> NotHome:
    """The project's place of execution, from which nothing comes."""
    here = project.backend
    made = NotHome(here.work, here.scripts, here.python, here.grace_s)
    made.before = []
    return made


def pending(project: Project, *texts: str) -> list[Run]:
    """A run for each text."""
    prompts = [add_prompt(project, text).id for text in texts]
    catalog, settings = project.catalog, project.settings
    return [enter(catalog, settings, plan_transfer(catalog, settings, p, {})) for p in prompts]


def execute(
    project: Project,
    *runs: Run,
    backend: LocalBackend | None = None,
    settings: Settings | None = None,
    catalog: Catalog | None = None,
    on_completed: OnCompleted | None = None,
) -> list[Run]:
    """Execute them here and now."""
    return execute_runs(
        [run.id for run in runs],
        catalog=catalog or project.catalog,
        settings=settings or project.settings,
        backend=backend or project.backend,
        on_completed=on_completed,
    )


def loads(project: Project, run: Run) -> int:
    """How often a model was loaded, as this run's log tells."""
    return (
        (project.run_directory(run) / "logs" / "run.log").read_text().count("SIMULATOR of NVIDIA")
    )


def test_a_video_that_did_not_fit_here_is_fetched_later_though_its_mate_was_blocked(
    project: Project,
) -> None:
    good, blocked = pending(project, "one", "two [sim:blocked bleeding]")
    backend = not_home(project)
    backend.error = DiskFull("No room is left here.")
    for _ in range(2):  # the disk is still full at the second attempt
        good, blocked = execute(project, good, blocked, backend=backend)
        assert (good.error_kind, blocked.error_kind) == ("disk_full", "blocked")
    (done,) = execute(project, good)
    assert (done.status, loads(project, done)) == ("completed", 1)


def test_ctrl_c_while_videos_come_home_loses_none(project: Project) -> None:
    runs = pending(project, "one", "two")
    backend = not_home(project)
    backend.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        execute(project, *runs, backend=backend)
    assert {project.catalog.get_run(run.id).status for run in runs} == {"cancelled"}
    ended = execute(project, *runs)
    assert [run.status for run in ended] == ["completed"] * 2
    assert loads(project, ended[0]) == 1


def kill_when(project: Project, log: Path, said: str) -> None:
    """Kill what runs, with all below it, as soon as the log says this."""
    while not (log.is_file() and said in log.read_text()):
        time.sleep(0.02)
    kill_all(project)


def kill_all(project: Project) -> None:
    """Kill what runs, with all below it."""
    (order,) = project.backend.active()
    handle = project.backend.find(order)
    assert handle is not None
    first = psutil.Process(int(handle.marks["pid"]))
    for process in [first, *first.children(recursive=True)]:
        process.kill()


def test_an_order_that_is_taken_up_leaves_runs_of_a_later_one_alone(project: Project) -> None:
    one, two = pending(project, "one", "two [sim:slow 0.2]")
    backend = not_home(project)
    backend.error = Unreachable("gpu1", "It is away.")
    log = project.run_directory(one) / "logs" / "run.log"
    told = f"{one.id} transfer: done in"
    killer = threading.Thread(target=kill_when, args=(project, log, told), daemon=True)
    killer.start()
    one, two = execute(project, one, two, backend=backend)
    killer.join()
    assert (one.error_kind, two.error_kind) == ("unreachable", "lost")
    (two,) = execute(project, two, backend=backend)  # made, but not home
    assert two.batch_id != one.batch_id
    first, second = execute(project, one, two)
    assert (first.status, second.status) == ("completed", "completed")
    assert (first.batch_id, second.batch_id) == (one.batch_id, two.batch_id)
    assert one.id not in (project.run_directory(second) / "logs" / "run.log").read_text()


def test_a_sample_says_its_own_failure_also_where_its_order_was_stopped_later(
    project: Project,
) -> None:
    texts = ("one [sim:blocked bleeding]", "two", "three [sim:hang]")
    execution = project.settings.execution.model_copy(update={"transfer_timeout_s": 2})
    tight = project.settings.model_copy(update={"execution": execution})
    here = project.backend
    backend = Patient(here.work, here.scripts, here.python, here.grace_s)
    ended = execute(
        project,
        *pending(project, *texts),
        backend=backend,
        settings=tight,
        on_completed=lambda _: setattr(backend, "begun", True),
    )
    assert [run.error_kind for run in ended] == ["blocked", None, "timeout"]


def test_a_note_of_progress_that_cannot_be_kept_stops_no_model(project: Project) -> None:
    with Busy.open(project.settings.catalog_url) as busy:
        (run,) = execute(project, *pending(project, "one"), catalog=busy)
    assert (run.status, run.progress) == ("completed", None)
