"""What a run's execution promises, with a stand-in for the model and everything else real."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import update

from cosmos_pipelines.catalog import tables
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import StateError
from cosmos_pipelines.media import provenance
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.operate.kill import kill
from cosmos_pipelines.operate.logs import log_lines
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.lost import lost_runs
from cosmos_pipelines.runs.plan import plan_transfer, plan_upscale
from tests.support.processes import gone_owner
from tests.support.project import Project, make_project, write_video
from tests.support.stand_in_engine import StandIn, registered
from tests.support.waiting import LONG_S, until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with one scene, in which the stand-in is an engine."""
    with registered():
        made = make_project(tmp_path / "home")
        made.scene()
        yield made


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that a model waits for after its first frame."""
    file = tmp_path / "gate"
    file.touch()
    return file


def pending(project: Project, text: str = "works", **fields: object) -> Run:
    """A run whose stand-in behaves as `text` says."""
    prompt, _ = register_prompt(project.catalog, project.settings, text, "city")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, fields, engine="stand_in")
    return enter(project.catalog, project.settings, planned)


def execute(project: Project, *runs: Run) -> list[Run]:
    """Execute them here and now."""
    return execute_runs(
        [run.id for run in runs],
        catalog=project.catalog,
        settings=project.settings,
        backend=project.backend,
    )


def elsewhere(project: Project, *runs: Run, **environment: str) -> subprocess.Popen[str]:
    """Execute them in another process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.orchestrator", str(project.settings.home)]
        + [run.id for run in runs],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_frame(process: subprocess.Popen[str], number: int) -> None:
    """Wait until a run executed elsewhere tells its frame."""
    assert process.stdout is not None
    for line in process.stdout:
        if f"frame {number}/" in line:
            return
    raise AssertionError("it ended before")


def leftovers(project: Project) -> list[Path]:
    """Half-written files anywhere in the project."""
    return [p for p in project.settings.home.rglob("*") if p.name.endswith(".part")]


def test_a_completed_run_has_a_verified_video_that_tells_how_it_was_made(project: Project) -> None:
    (run,) = execute(project, pending(project, num_steps=12, seed=7))
    assert (run.status, run.error_kind, run.exit_code) == ("completed", None, 0)
    video = project.settings.home / run.outputs["video"]
    found = probe(video, deep=True)
    assert (found.width, found.height, found.frames, str(found.fps)) == (64, 48, 6, "24")
    assert run.outputs["frames"] == 6
    story = provenance.read(video)
    assert story is not None
    assert story["run_id"] == run.id
    assert story["prompt"] == "works"
    assert story["execution_config"]["seed"] == 7
    assert (project.settings.home / run.outputs["preview"]).stat().st_size > 0
    assert "frame 6/6" in (project.run_directory(run) / "logs" / "run.log").read_text()
    assert run.log_path == f"outputs/run_{run.id}/logs/run.log"
    assert run.started_at is not None
    assert run.completed_at is not None
    assert run.leased_by is None


def test_nothing_is_left_on_the_executing_side_after_success(project: Project) -> None:
    execute(project, pending(project))
    assert list(project.backend.runs.iterdir()) == []
    assert leftovers(project) == []


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("fail", "model_failed", "told to fail"),
        ("crash", "model_failed", "told to crash"),
        ("oom", "out_of_memory", "memory"),
        ("blocked: lifeless", "blocked", "lifeless"),
        ("lie", "output_missing", "no result"),
        ("short", "model_failed", "frames 3 instead of 6"),
        ("truncate", "output_missing", "unusable"),
        ("matroska", "output_missing", "cannot be copied to an mp4"),
        ("die 3", "out_of_memory", "memory"),
    ],
)
def test_a_run_that_fails_says_why_and_has_no_result(
    project: Project, text: str, kind: str, said: str
) -> None:
    (run,) = execute(project, pending(project, text))
    assert (run.status, run.error_kind) == ("failed", kind)
    assert said in (run.error_message or "")
    assert run.outputs == {}
    assert not (project.run_directory(run) / "video.mp4").exists()
    assert leftovers(project) == []
    assert "stand-in: 1 sample" in (project.run_directory(run) / "logs" / "run.log").read_text()


def test_a_failed_sample_never_loses_its_mates_work(project: Project) -> None:
    runs = execute(
        project, pending(project, "one"), pending(project, "fail"), pending(project, "two")
    )
    assert [run.status for run in runs] == ["completed", "failed", "completed"]
    assert len({run.batch_id for run in runs}) == 1


def test_each_run_of_a_batch_over_two_scenes_says_what_it_was_made_from(project: Project) -> None:
    write_video(project.scene("other") / "color.mp4", seed=9)
    prompt, _ = register_prompt(project.catalog, project.settings, "works", "other")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")
    runs = execute(project, pending(project), enter(project.catalog, project.settings, planned))
    assert len({run.batch_id for run in runs}) == 1
    for run, scene in zip(runs, ("city", "other"), strict=True):
        color = project.catalog.get_scene(scene).facts["color"]["sha256"]
        assert run.outputs["inputs"]["color"] == color


def test_a_completed_run_is_never_executed_again(project: Project) -> None:
    (run,) = execute(project, pending(project))
    assert execute(project, run) == [run]


def test_a_failed_run_executed_again_is_a_second_attempt(project: Project) -> None:
    (run,) = execute(project, pending(project, "crash"))
    (again,) = execute(project, run)
    assert (again.status, again.attempt) == ("failed", 2)
    assert again.batch_id == f"{run.id}.2"


def test_two_processes_start_a_run_once(project: Project, gate: Path) -> None:
    run = pending(project, f"wait {gate}")
    processes = [elsewhere(project, run) for _ in range(2)]
    until(lambda: any(process.poll() is not None for process in processes), "the end of one")
    gate.unlink()
    said = [process.communicate(timeout=LONG_S)[0] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 3]
    assert "".join(said).count("stand-in: 1 sample") == 1
    assert project.catalog.get_run(run.id).status == "completed"


def test_a_run_outlives_kill_9_of_its_process_and_is_adopted_not_started_again(
    project: Project, gate: Path
) -> None:
    run = pending(project, f"wait {gate}")
    process = elsewhere(project, run)
    wait_for_frame(process, 1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert project.catalog.get_run(run.id).status == "running"
    assert [left.id for left in lost_runs(project.catalog)] == [run.id]
    assert status(project.catalog, project.settings)["lost"] == [run.id]
    gate.unlink()
    (done,) = execute(project, run)
    assert (done.status, done.attempt) == ("completed", 1)
    log = (project.run_directory(run) / "logs" / "run.log").read_text()
    told = [line for line in log.splitlines() if "frame" in line]
    assert [line.split()[-1] for line in told] == [f"{i}/6" for i in range(1, 7)]
    assert log.count("stand-in: 1 sample") == 1


def test_a_run_that_ended_while_nobody_looked_is_collected(project: Project) -> None:
    run = pending(project, "slow 0.05")
    process = elsewhere(project, run)
    wait_for_frame(process, 1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: project.backend.active() == [], "the end of its order")
    (done,) = execute(project, run)
    assert (done.status, done.attempt) == ("completed", 1)


def test_a_run_whose_process_was_killed_before_the_start_is_started(project: Project) -> None:
    run = pending(project)
    assert project.catalog.claim(run.id, gone_owner())
    (done,) = execute(project, run)
    assert (done.status, done.attempt) == ("completed", 1)


def test_each_attempt_has_a_log_of_its_own(project: Project) -> None:
    run = pending(project, "die 3")
    execute(project, run)
    logs = project.run_directory(run) / "logs"
    first = (logs / "run.log").read_text()
    execute(project, run)
    assert (logs / "run.1.log").read_text() == first
    assert (logs / "run.log").read_text() == first


def test_what_a_failed_attempt_left_is_removed_when_the_next_begins(project: Project) -> None:
    run = pending(project, "die 3")
    execute(project, run)
    execute(project, run)
    assert [path.name for path in project.backend.runs.iterdir()] == [f"{run.id}.2"]


def test_an_attempt_that_the_models_host_had_no_room_for_is_made_anew(project: Project) -> None:
    """It leaves a broken output, which must not be taken for work that is done."""
    run = pending(project, "full 3")
    (full,) = execute(project, run)
    assert (full.status, full.error_kind) == ("failed", "disk_full")
    (again,) = execute(project, full)
    assert again.batch_id == f"{run.id}.2"


def test_a_process_that_was_taken_over_touches_nothing_of_its_heir(
    project: Project, gate: Path
) -> None:
    """It stood still, as on a laptop that was closed, until its lease had ended."""
    run = pending(project, f"wait {gate}")
    first = elsewhere(project, run, LEASE_S="1")
    wait_for_frame(first, 1)
    with project.catalog.write():  # not in a transaction of its own: SQLite lets nobody else write
        first.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    gate.unlink()
    (done,) = execute(project, run)
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=LONG_S)
    assert project.catalog.get_run(run.id) == done
    assert done.status == "completed"
    log = (project.run_directory(run) / "logs" / "run.log").read_text()
    told = [line.split()[-1] for line in log.splitlines() if "frame" in line]
    assert told == [f"{i}/6" for i in range(1, 7)]
    assert probe(project.settings.home / done.outputs["video"], deep=True).frames == 6
    assert leftovers(project) == []


def test_ctrl_c_stops_the_model_and_records_cancelled(project: Project, gate: Path) -> None:
    run = pending(project, f"wait {gate}")
    process = elsewhere(project, run)
    wait_for_frame(process, 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONG_S)
    ended = project.catalog.get_run(run.id)
    assert (ended.status, ended.error_kind) == ("cancelled", "cancelled")
    assert project.backend.active() == []
    assert "frame 1/6" in (project.run_directory(run) / "logs" / "run.log").read_text()


def test_a_kill_from_another_process_is_recorded_as_cancelled(project: Project) -> None:
    run = pending(project, "hang")
    process = elsewhere(project, run)
    until(lambda: project.catalog.get_run(run.id).status == "running", "its start")
    (ended,) = kill(project.catalog, project.settings, run.id)
    assert (ended.status, ended.error_kind) == ("cancelled", "cancelled")
    process.communicate(timeout=LONG_S)
    assert project.backend.active() == []


def test_a_model_that_ignores_the_request_to_stop_is_killed(project: Project) -> None:
    run = pending(project, "stubborn")
    process = elsewhere(project, run)
    assert process.stdout is not None
    assert any("TERM is ignored" in line for line in process.stdout)
    (ended,) = kill(project.catalog, project.settings, run.id)
    assert ended.status == "cancelled"
    process.communicate(timeout=LONG_S)
    assert project.backend.active() == []


def test_a_lost_run_can_be_killed(project: Project) -> None:
    run = pending(project, "hang")
    process = elsewhere(project, run)
    until(lambda: project.catalog.get_run(run.id).status == "running", "its start")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (ended,) = kill(project.catalog, project.settings, run.id)
    assert (ended.status, ended.error_kind) == ("cancelled", "cancelled")
    assert project.backend.active() == []


def test_one_of_a_batch_is_not_killed_without_saying_so(project: Project, gate: Path) -> None:
    runs = [pending(project, f"wait {gate}"), pending(project, "works")]
    process = elsewhere(project, *runs)
    wait_for_frame(process, 1)
    with pytest.raises(StateError, match=runs[1].id):
        kill(project.catalog, project.settings, runs[0].id)
    kill(project.catalog, project.settings, runs[0].id, whole_batch=True)
    process.communicate(timeout=LONG_S)
    assert {project.catalog.get_run(run.id).status for run in runs} == {"cancelled"}


def test_what_a_cancelled_batch_had_finished_is_kept(project: Project) -> None:
    runs = [pending(project, "first"), pending(project, "hang")]
    process = elsewhere(project, *runs)
    wait_for_frame(process, 6)
    kill(project.catalog, project.settings, runs[1].id, whole_batch=True)
    process.communicate(timeout=LONG_S)
    assert [project.catalog.get_run(run.id).status for run in runs] == ["completed", "cancelled"]


def test_a_run_over_its_time_is_stopped(project: Project) -> None:
    tight = project.settings.execution.model_copy(update={"transfer_timeout_s": 1})
    settings = project.settings.model_copy(update={"execution": tight})
    run = pending(project, "hang")
    (ended,) = execute_runs(
        [run.id], catalog=project.catalog, settings=settings, backend=project.backend
    )
    assert (ended.status, ended.error_kind) == ("failed", "timeout")
    assert project.backend.active() == []


def test_a_live_run_is_refused_to_a_second_process(project: Project, gate: Path) -> None:
    run = pending(project, f"wait {gate}")
    process = elsewhere(project, run)
    wait_for_frame(process, 1)
    with pytest.raises(StateError, match="being executed"):
        execute(project, run)
    gate.unlink()
    process.communicate(timeout=LONG_S)
    assert project.catalog.get_run(run.id).status == "completed"


def test_upscaling_a_failed_run_is_refused(project: Project) -> None:
    (run,) = execute(project, pending(project, "fail"))
    with pytest.raises(StateError, match="is failed"):
        plan_upscale(project.catalog, project.settings, run.id, {}, engine="stand_in")


@pytest.mark.parametrize("method", ["check", "batch_key", "compile"])
def test_an_engine_that_raises_what_it_should_not_fails_its_own_runs_alone(
    project: Project, method: str
) -> None:
    class Faulty(StandIn):
        name: ClassVar[str] = "faulty"

    def fail(*_: object) -> None:
        raise KeyError("colour")

    sound, faulty = pending(project), pending(project, "second")
    setattr(Faulty, method, fail)
    ENGINES["faulty"] = Faulty()
    try:
        with project.catalog.write() as tx:
            named = update(tables.runs).where(tables.runs.c.id == faulty.id)
            tx.connection.execute(named.values(engine="faulty", **tx.stamp()))
        failed, done = execute(project, faulty, sound)
    finally:
        del ENGINES["faulty"]
    assert (failed.status, failed.error_kind) == ("failed", "launch_failed")
    assert "KeyError: 'colour'" in (failed.error_message or "")
    assert done.status == "completed"


def test_a_scene_that_became_unusable_fails_its_run_alone(project: Project) -> None:
    project.scene("other")
    good = pending(project)
    prompt, _ = register_prompt(project.catalog, project.settings, "works", "other")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")
    bad = enter(project.catalog, project.settings, planned)
    (project.settings.inputs / "other" / "color.mp4").write_text("no video")
    runs = execute(project, bad, good)
    assert [(run.status, run.error_kind) for run in runs] == [
        ("failed", "validation"),
        ("completed", None),
    ]


def test_a_full_disk_here_fails_the_run_and_a_second_try_completes_it(
    project: Project, small_disk: Path
) -> None:
    paths = project.settings.paths.model_copy(update={"outputs": small_disk / "outputs"})
    settings = project.settings.model_copy(
        update={"paths": paths, "database_url": project.settings.catalog_url}
    )
    (small_disk / "outputs").mkdir()
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (1 << 20) * 3)
    run = pending(project)
    where = {"catalog": project.catalog, "settings": settings, "backend": project.backend}
    with filler.open("ab", buffering=0) as f, contextlib.suppress(OSError):
        while f.write(b"x" * 4096):  # to the last byte
            pass
    (failed,) = execute_runs([run.id], **where)
    assert (failed.status, failed.error_kind) == ("failed", "disk_full")
    assert not list(small_disk.rglob("*.part"))
    filler.unlink()
    (done,) = execute_runs([run.id], **where)
    assert done.status == "completed"


def test_a_disk_that_fills_up_here_does_not_stop_the_model_and_loses_nothing(
    project: Project, small_disk: Path
) -> None:
    paths = project.settings.paths.model_copy(update={"outputs": small_disk / "outputs"})
    url = project.settings.catalog_url
    settings = project.settings.model_copy(update={"paths": paths, "database_url": url})
    run = pending(project, "slow 0.3")
    where = {"catalog": project.catalog, "settings": settings, "backend": project.backend}
    filler = small_disk / "filler"

    def fill(_: str | None, line: str) -> None:
        if "frame 2/" in line:
            with filler.open("ab", buffering=0) as f, contextlib.suppress(OSError):
                while f.write(b"x" * 4096):
                    pass

    (failed,) = execute_runs([run.id], on_line=fill, **where)
    assert (failed.status, failed.error_kind) == ("failed", "disk_full")
    filler.unlink()
    (done,) = execute_runs([run.id], **where)
    assert (done.status, done.batch_id) == ("completed", failed.batch_id)
    log = (small_disk / "outputs" / f"run_{run.id}" / "logs" / "run.log").read_text()
    assert log.count("stand-in: 1 sample") == 1
    frames = [line.split()[-1] for line in log.splitlines() if "frame" in line]
    assert frames == [f"{i}/6" for i in range(1, 7)]
    assert project.backend.active() == []


def test_the_log_can_be_followed_while_it_is_written(project: Project, gate: Path) -> None:
    run = pending(project, f"wait {gate}")
    process = elsewhere(project, run)
    until(lambda: project.catalog.get_run(run.id).status == "running", "its start")
    lines = []
    for line in log_lines(project.catalog, project.settings, run.id, follow=True):
        lines.append(line)
        if "frame 1/" in line:
            gate.unlink()  # else it waits for ever
    process.communicate(timeout=LONG_S)
    assert [line.split()[-1] for line in lines if "frame" in line] == [
        f"{i}/6" for i in range(1, 7)
    ]


def test_lines_are_told_while_the_model_runs(project: Project, gate: Path) -> None:
    run = pending(project, f"wait {gate}")
    told: list[str] = []

    def tell(_: str | None, line: str) -> None:
        told.append(line)
        if "frame 1/" in line:
            gate.unlink()  # else it waits for ever

    execute_runs(
        [run.id],
        catalog=project.catalog,
        settings=project.settings,
        backend=project.backend,
        on_line=tell,
    )
    assert len([line for line in told if "frame" in line]) == 6


def test_threads_may_execute_different_runs_at_once(project: Project) -> None:
    runs = [pending(project, f"work {i}") for i in range(3)]
    threads = [threading.Thread(target=execute, args=(project, run)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert {project.catalog.get_run(run.id).status for run in runs} == {"completed"}


def test_how_far_a_run_is_can_be_read_while_it_runs(project: Project, gate: Path) -> None:
    run = pending(project, f"wait {gate}")
    process = elsewhere(project, run)
    until(lambda: project.catalog.get_run(run.id).progress, "its progress")
    (active,) = status(project.catalog, project.settings)["active"]
    assert active["progress"] == {
        "done": 1, "total": 6, "text": "transfer 1 of 1: frame 1 of 6"
    }  # fmt: skip
    gate.unlink()
    assert process.wait(LONG_S) == 0
    ended = project.catalog.get_run(run.id)
    assert ended.status == "completed"
    assert ended.progress is not None
    assert ended.progress["done"] == 6
