"""The daemon's runs: each a process, forked from one that has imported what they need."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from cosmos_pipelines import daemon
from cosmos_pipelines.api.starting import why_not_started
from cosmos_pipelines.definitions import PRELOAD
from cosmos_pipelines.resources.daemon_side import daemon_side
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.settings import environment_of
from tests.support.processes import has_ended
from tests.support.project import Project, make_project
from tests.support.waiting import LONG_S, until

MOST_MODULES = 40
"""What a run's process may import itself, beyond what its parent has."""


@pytest.fixture
def project(tmp_path: Path, site: None, gate: Path) -> Iterator[Project]:
    """A project with a tiny scene and a daemon."""
    made = make_project(tmp_path / "home")
    made.scene()
    with open_instance(made.settings):
        pass
    with (made.settings.dagster_dir / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "cosmos_pipelines.daemon"],
            stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=made.settings.home,
            env=environment_of(made.settings),
        )  # fmt: skip
    yield made
    gate.unlink(missing_ok=True)
    assert daemon.stdin is not None
    daemon.stdin.close()
    daemon.wait(LONG_S)
    made.catalog.close()


def queued(project: Project, seed: int, text: str = "fog at dawn", **engine: str) -> str:
    prompt, _ = register_prompt(project.catalog, project.settings, text, "city")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {"seed": seed}, **engine)
    return enter(project.catalog, project.settings, planned, queued=True).id


def held(project: Project, gate: Path, seed: int = 1) -> str:
    """A queued run that goes on while a file is there."""
    gate.touch()
    return queued(project, seed, f"wait {gate}", engine="stand_in")


def process_of(project: Project, run_id: str) -> psutil.Process:
    """The process that executes a run."""
    owner = until(lambda: project.catalog.get_run(run_id).leased_by, "its process")
    return psutil.Process(int(owner.split(":")[-4]))


def running(project: Project, run_id: str) -> psutil.Process:
    until(lambda: project.catalog.get_run(run_id).status == "running", "its start")
    return process_of(project, run_id)


def test_the_processes_of_runs_are_forked_and_end_with_their_runs(
    project: Project, gate: Path
) -> None:
    first = running(project, held(project, gate, 1))
    parent = first.parent()
    assert parent is not None
    assert "multiprocessing.forkserver" in " ".join(parent.cmdline())
    (run,) = project.catalog.list_runs()
    gate.unlink()
    until(lambda: project.catalog.get_run(run.id).status == "completed", "its end")
    until(lambda: has_ended(first), "the process's end")
    second = running(project, held(project, gate, 2))
    assert second.parent() == parent
    assert second.pid != first.pid


def _why_not_started(project: Project) -> str | None:
    return why_not_started(project.catalog, project.settings)


def test_a_daemon_is_alive_as_long_as_it_gives_signs(project: Project, tmp_path: Path) -> None:
    never = str(_why_not_started(make_project(tmp_path / "other")))
    assert "until the daemon runs" in never
    until(lambda: daemon_side(project.settings).beat, "a sign of the daemon")
    assert _why_not_started(project) is None


def test_of_the_first_loads_of_a_new_project_one_runs_at_a_time(project: Project) -> None:
    runs = [queued(project, seed) for seed in range(20)]
    most = 0

    def ended() -> bool:
        nonlocal most
        most = max(most, len(project.backend.active()))
        return all(run.status == "completed" for run in project.catalog.get_runs(runs))

    until(ended, "their end", 2 * LONG_S)
    made = project.catalog.get_runs(runs)
    assert most == 1
    assert {run.attempt for run in made} == {1}
    assert len({run.load_id for run in made}) >= 3


def test_a_run_that_is_cancelled_on_the_page_is_stopped(project: Project, gate: Path) -> None:
    run_id = held(project, gate)
    running(project, run_id)
    with open_instance(project.settings) as instance:
        dagster_run = project.catalog.get_run(run_id).dagster_run_id
        assert dagster_run is not None
        assert instance.run_launcher.terminate(dagster_run)
        until(lambda: project.catalog.get_run(run_id).status == "cancelled", "its end")

        def ended() -> bool:
            found = instance.get_run_by_id(dagster_run)
            return found is not None and found.status == dg.DagsterRunStatus.CANCELED

        until(ended, "the end of the Dagster run")
    assert project.backend.active() == []


def test_a_run_whose_process_is_killed_is_brought_to_its_end_by_another(
    project: Project, gate: Path
) -> None:
    run_id = held(project, gate)
    first = running(project, run_id)
    first.kill()
    gate.unlink()
    until(lambda: project.catalog.get_run(run_id).status == "completed", "its end")
    run = project.catalog.get_run(run_id)
    assert run.attempt == 1


def test_what_a_run_needs_is_imported_before_its_process_is_forked(tmp_path: Path) -> None:
    project = make_project(tmp_path / "home")
    project.scene()
    run_id = queued(project, 1)
    program = (
        "import importlib, json, sys\n"
        f"for name in {PRELOAD!r}: importlib.import_module(name)\n"
        "before = {*sys.modules}\n"
        "from cosmos_pipelines.materialize import materialize_runs\n"
        "from cosmos_pipelines.catalog.store import Catalog\n"
        "from cosmos_pipelines.settings import load_settings\n"
        "settings = load_settings()\n"
        "with Catalog.open(settings.catalog_url, settings.home) as catalog:\n"
        "    materialize_runs(catalog, settings, [sys.argv[1]])\n"
        "print(json.dumps(sorted({*sys.modules} - before)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, run_id],
        env=environment_of(project.settings), capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = json.loads(done.stdout.splitlines()[-1])
    assert len(imported) <= MOST_MODULES, " ".join(imported)


def test_the_log_of_a_daemon_that_lives_long_stays_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "LOG_BYTES", 2_000_000)
    monkeypatch.setattr(daemon, "LOG_LOOK_S", 0.1)
    settings = make_project(tmp_path / "home").settings
    with open_instance(settings):
        pass
    log, older = (settings.dagster_dir / name for name in ("daemon.log", "daemon.log.1"))
    with daemon.Daemon(settings, print) as lives, log.open("ab", buffering=0) as opened:
        until(lambda: lives.pid, "the daemon")
        for number in range(3):  # as a process of the daemon, which keeps the file open
            opened.write(b"%d\n" % number * 1_200_000)
            until(lambda: log.stat().st_size < 2_000_000, "a new beginning")
        opened.write(b"the last line\n")
        assert lives.pid is not None
        assert b"2\n" * 1000 in older.read_bytes()  # the daemon writes there too
        assert b"the last line\n" in log.read_bytes()


HOLDS_ONE = """\
from cosmos_pipelines.daemon import Daemon
from cosmos_pipelines.settings import load_settings
with Daemon(load_settings(), print):
    input()
"""


def test_two_pages_of_a_project_have_one_daemon_and_the_second_page_starts_the_next(
    tmp_path: Path,
) -> None:
    settings = make_project(tmp_path / "home").settings
    with open_instance(settings):
        pass
    page = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE],
        stdin=subprocess.PIPE, cwd=settings.home, env=environment_of(settings),
    )  # fmt: skip
    until((settings.dagster_dir / "daemon.log").exists, "the first daemon")
    said: list[str] = []
    with daemon.Daemon(settings, said.append) as second:
        until(lambda: said, "a word of the other daemon")
        assert "This page uses that one" in said[0]
        assert second.pid is None
        page.kill()
        page.wait()
        until(lambda: second.pid, "its own daemon")
        assert said[1:] == ["The other daemon has ended. Starting one."]


def test_a_page_ends_while_the_daemon_of_another_page_runs(tmp_path: Path) -> None:
    settings = make_project(tmp_path / "home").settings
    with open_instance(settings):
        pass
    holder = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.lockf(f, fcntl.LOCK_EX)"
    lock = settings.dagster_dir / daemon.LOCK
    other = subprocess.Popen(
        [sys.executable, "-c", f"{holder}; print(1, flush=True); input()", lock],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == b"1\n"
    said: list[str] = []
    with daemon.Daemon(settings, said.append):
        until(lambda: said, "a word of the other daemon")
    assert len(said) == 1
    other.kill()
    other.wait()
