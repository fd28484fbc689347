"""Runs on a real Slurm cluster: slurmctld, two slurmd, a login node; killed in the middle."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from cosmos_pipelines.backends.base import Backend
from cosmos_pipelines.backends.carriers.base import project_of
from cosmos_pipelines.backends.carriers.slurm.carrier import SlurmCarrier
from cosmos_pipelines.backends.carriers.slurm.job import NOT_WANTED
from cosmos_pipelines.backends.carriers.slurm.scripts import Scripts
from cosmos_pipelines.backends.carriers.slurm.words import refusal
from cosmos_pipelines.backends.registry import host_backend, place_of
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.operations import Order
from cosmos_pipelines.remote.ssh.openssh import OpenSsh
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from tests.rig.slurm import NODES, Cluster
from tests.support.project import settings_in, write_video
from tests.support.sshd import Sshd
from tests.support.waiting import until

NAME = "rigcluster"
_ids = itertools.count(1)
_TEXT = """
[execution]
backend = "{name}"
grace_s = 3
[hosts.{name}]
host = "loop"
ssh_config = "{config}"
remote_dir = "{there}"
[hosts.{name}.docker]
python = "{python}"
[hosts.{name}.slurm]
images = "none"
memory = "100M"
cpus = 1
{more}
"""


class Project:
    """A project whose place is the cluster."""

    def __init__(self, path: Path, login: Sshd, more: str = "") -> None:
        self.there = path / "there"
        places = {"config": login.config, "there": self.there, "python": sys.executable}
        text = _TEXT.format(name=NAME, more=more, **places)
        self.settings = settings_in(path / "home", text)

    def backend(self, **changed: Any) -> SshBackend:
        """The cluster, whose jobs beat each second."""
        place = place_of(self.settings, NAME)
        scripts = Scripts(str(self.there), **{"beat_s": 1, "poll_s": 1, **changed})
        return SshBackend(
            NAME,
            self.settings.ssh_target(place),
            str(self.there),
            SlurmCarrier(place, scripts),
            project_of(self.settings.home),
            wait_s=60,
            grace_s=3,
        )

    def folder(self, order: Order) -> Path:
        """The run folder of an order."""
        return self.there / "runs" / order.id


@pytest.fixture
def project(tmp_path: Path, login_node: Sshd, cluster: Cluster) -> Iterator[Callable[..., Project]]:
    """Makes a project; `more`: lines of its table slurm."""
    made: list[Project] = []

    def make(more: str = "") -> Project:
        made.append(Project(tmp_path / str(len(made)), login_node, more))
        return made[-1]

    yield make
    for one in made:
        OpenSsh.of(one.settings.ssh_target(place_of(one.settings, NAME))).close()
        shutil.rmtree(one.there, ignore_errors=True)
    OpenSsh.of.cache_clear()


def order(script: str, gpus: int = 1, **changed: Any) -> Order:
    run_id = f"rs_{next(_ids):032x}"
    facts: dict[str, Any] = {"engine": "none", "model_type": "transfer", "inputs": {}, **changed}
    argv = ("sh", "-c", script)
    return Order(id=run_id, run_ids=(run_id,), argv=argv, expected=(), gpus=gpus, **facts)


def sbatch_that(directory: Path, script: str, **others: str) -> str:
    """A directory with a program sbatch of this script, and with other programs."""
    programs = directory / "bin"
    programs.mkdir()
    for name, text in {"sbatch": script, **others}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    return str(programs)


WAITS = re.compile(r"Slurm job (\d+) waits: its start time has not come\.")


def shown_of(catalog: Catalog, run_id: str) -> str:
    """What is shown of the progress of a run."""
    return str((catalog.get_run(run_id).progress or {}).get("text"))


def job_of(backend: Backend, work: Order) -> str | None:
    """The number of an order's job, as soon as it is known; Slurm itself may be asked for it."""
    handle = backend.find(work.id)
    return handle.marks.get("container_id") if handle else None


def once(at: Project, cluster: Cluster, work: Order) -> None:
    """The order's program was started once, by one job."""
    count = at.folder(work) / "count"
    until(lambda: count.exists() and count.read_text(), "the program")
    assert count.read_text() == "once\n"
    names = cluster.ask("squeue", "-h", "-t", "all", "-o", "%j").splitlines()
    assert len([name for name in names if work.id in name]) == 1


def test_a_run_is_made_verified_and_recorded_as_with_any_other(
    project: Callable[..., Project],
) -> None:
    settings = project().settings
    for i, name in enumerate(("color", "depth")):
        write_video(settings.inputs / "city" / f"{name}.mp4", seed=40 * i)
    with Catalog.open(settings.catalog_url) as catalog:
        prompt, _ = register_prompt(catalog, settings, "a foggy morning", "city")
        run = enter(catalog, settings, plan_transfer(catalog, settings, prompt.id, {}))
        assert run.backend == NAME
        backend = host_backend(settings)
        (done,) = execute_runs([run.id], catalog=catalog, settings=settings, backend=backend)
        assert (done.status, done.error_message) == ("completed", None)
        assert (settings.home / done.outputs["video"]).is_file()
        assert backend.active() == []
        places = status(catalog, settings)["places"]
        assert [(p["backend"], p["problem"]) for p in places if p["backend"] == NAME] == [
            (NAME, None)
        ]
        backend.close()


def test_a_run_whose_process_is_killed_is_adopted_and_started_once(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    settings = project().settings
    write_video(settings.inputs / "city" / "color.mp4")
    write_video(settings.inputs / "city" / "depth.mp4", seed=40)
    with Catalog.open(settings.catalog_url) as catalog:
        prompt, _ = register_prompt(catalog, settings, "a foggy morning", "city")
        run = enter(catalog, settings, plan_transfer(catalog, settings, prompt.id, {}))
        words = [sys.executable, "-m", "tests.support.orchestrator", str(settings.home), run.id]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
            until(lambda: catalog.get_run(run.id).started_at, "its start")
            other.kill()
        with closing(host_backend(settings)) as backend:
            (done,) = execute_runs([run.id], catalog=catalog, settings=settings, backend=backend)
        assert (done.status, done.error_message) == ("completed", None)
        assert done.container_id is not None
    names = cluster.ask("squeue", "-h", "-t", "all", "-o", "%j").splitlines()
    assert len([name for name in names if run.id in name]) == 1


def test_an_order_gets_its_gpus_is_followed_and_found_by_another(
    project: Callable[..., Project],
) -> None:
    at = project()
    backend, other = at.backend(), at.backend()
    work = order("echo gpus $CUDA_VISIBLE_DEVICES; sleep 60", gpus=2)
    handle = backend.launch(work)
    log = backend.follow(handle)
    assert next(chunk for chunk in log if chunk) == b"gpus 0,1\n"
    found = other.find(work.id)
    assert found is not None
    assert other.launch(work).marks == found.marks  # at most one start
    assert other.active() == [work.id]
    other.cancel(found)
    assert b"".join(log) == b""
    assert backend.outcome(handle).stopped == "cancelled"
    other.discard(work.id)
    assert backend.find(work.id) is None
    with pytest.raises(BackendError, match="was started before"):
        other.launch(work)
    backend.close()
    other.close()


def test_an_order_that_waits_says_why_and_its_log_is_followed_from_its_start(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    backend = project('options = ["--begin=now+1hour"]').backend()
    work = order("echo now")
    handle = backend.launch(work)
    seen = backend.host.look(work.id)
    assert seen.carried is not None
    assert (seen.carried.state, seen.running_s) == ("queued", 0)
    job = handle.marks["container_id"]
    assert seen.carried.waits == f"Slurm job {job} waits: its start time has not come."
    assert backend.active() == [work.id]
    log = backend.follow(handle)
    assert next(log) == b""
    cluster.ask("scontrol", "update", f"jobid={job}", "starttime=now")
    assert b"".join(log) == b"now\n"
    assert backend.outcome(handle).exit_code == 0
    backend.close()


def test_a_run_that_waits_shows_why_until_it_begins(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    settings = project('options = ["--begin=now+1hour"]').settings
    write_video(settings.inputs / "city" / "color.mp4")
    write_video(settings.inputs / "city" / "depth.mp4", seed=40)
    with (
        Catalog.open(settings.catalog_url) as catalog,
        closing(host_backend(settings)) as backend,
        ThreadPoolExecutor(1) as pool,
    ):
        prompt, _ = register_prompt(catalog, settings, "a foggy morning", "city")
        run = enter(catalog, settings, plan_transfer(catalog, settings, prompt.id, {}))
        ended = pool.submit(
            execute_runs, [run.id], catalog=catalog, settings=settings, backend=backend
        )
        try:
            found = until(lambda: WAITS.fullmatch(shown_of(catalog, run.id)), "the reason")
        except BaseException:
            cluster.ask("scancel", "--state=PENDING")  # or the thread waits for an hour
            raise
        cluster.ask("scontrol", "update", f"jobid={found[1]}", "starttime=now")
        (done,) = ended.result()
        assert done.status == "completed"
        assert "waits" not in str(done.progress)


def test_cancelling_an_order_that_waits_leaves_nothing(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    backend = project('options = ["--begin=now+1hour"]').backend()
    work = order("echo never")
    handle = backend.launch(work)
    backend.cancel(handle)
    assert backend.outcome(handle).stopped == "cancelled"
    assert b"".join(backend.follow(handle)) == b""
    job = cluster.ask("scontrol", "-o", "show", "job", handle.marks["container_id"])
    assert "JobState=CANCELLED" in job
    backend.discard(work.id)
    assert backend.kept() == []
    backend.close()


def test_a_job_that_somebody_cancels_is_lost_and_says_so(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    backend = project().backend()
    work = order("echo begun; sleep 60")
    handle = backend.launch(work)
    log = backend.follow(handle)
    assert next(chunk for chunk in log if chunk) == b"begun\n"
    cluster.ask("scancel", handle.marks["container_id"])
    b"".join(log)
    ended = backend.outcome(handle).ended_by
    assert ended is not None
    assert ended.kind == "lost"
    assert "cancelled Slurm's job" in ended.message
    backend.close()


def test_a_killed_controller_changes_nothing_for_a_run(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    at = project()
    backend = at.backend()
    work = order("echo begun; until [ -e go ]; do sleep 0.1; done; echo done")
    handle = backend.launch(work)
    log = backend.follow(handle)
    assert next(chunk for chunk in log if chunk) == b"begun\n"
    cluster.kill("slurmctld")
    (at.folder(work) / "go").touch()
    assert b"".join(log) == b"done\n"
    assert backend.outcome(handle).exit_code == 0
    backend.close()


def test_a_controller_that_dies_at_a_start_starts_nothing_twice(
    project: Callable[..., Project], cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    sbatch = f"touch {tmp_path}/held; while [ -e {tmp_path}/hold ]; do sleep 0.1; done\n"
    at = project()
    backend = at.backend(bin=sbatch_that(tmp_path, sbatch + 'exec /usr/bin/sbatch "$@"'))
    work = order("echo once >>count; sleep 60")
    thread = threading.Thread(target=lambda: backend.launch(work))
    thread.start()
    until((tmp_path / "held").exists, "sbatch")
    cluster.kill("slurmctld")
    (tmp_path / "hold").unlink()
    cluster.start_controller()
    thread.join()
    once(at, cluster, work)
    backend.close()


def test_an_answer_of_sbatch_that_is_lost_starts_nothing_twice(
    project: Callable[..., Project], cluster: Cluster, tmp_path: Path
) -> None:
    said = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    lost = f'/usr/bin/sbatch "$@" >/dev/null; echo "{said}" >&2; exit 1'
    at = project()
    backend = at.backend(bin=sbatch_that(tmp_path, lost))
    work = order("echo once >>count; sleep 60")
    backend.launch(work)
    job = until(lambda: job_of(backend, work), "the job's number")
    assert job.isdigit()
    once(at, cluster, work)
    backend.close()


def test_a_wrapper_of_sbatch_that_prints_more_starts_nothing_twice(
    project: Callable[..., Project], cluster: Cluster, tmp_path: Path
) -> None:
    chatty = 'echo Hello; /usr/bin/sbatch "$@" || exit; echo "5 GPU hours are left."'
    at = project()
    backend = at.backend(bin=sbatch_that(tmp_path, chatty))
    work = order("echo once >>count; sleep 60")
    backend.launch(work)
    job = until(lambda: job_of(backend, work), "the job's number")
    assert job.isdigit()
    once(at, cluster, work)
    backend.close()


def test_answers_that_are_no_job_number_end_no_run(
    project: Callable[..., Project], cluster: Cluster, tmp_path: Path
) -> None:
    odd = 'printf "[\\n  {Id: "; exec /usr/bin/{0} "$@"'
    names = ("sbatch", "squeue")
    at = project()
    programs = {name: odd.replace("{0}", name) for name in names}
    backend = at.backend(bin=sbatch_that(tmp_path, programs.pop("sbatch"), **programs))
    work = order("echo once >>count; sleep 60")
    handle = backend.launch(work)
    until((at.folder(work) / "count").exists, "the start")
    assert backend.alive(handle)
    assert job_of(backend, work).isdigit()  # the job itself has told it
    once(at, cluster, work)
    backend.close()


def test_a_job_that_an_admin_requeues_gives_no_second_result(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    at = project()
    backend = at.backend()
    work = order("echo once >>count; echo begun; sleep 60")
    handle = backend.launch(work)
    job = handle.marks["container_id"]
    log = backend.follow(handle)
    assert next(chunk for chunk in log if chunk) == b"begun\n"
    cluster.ask("scontrol", "update", f"jobid={job}", "requeue=1")
    cluster.ask("scontrol", "requeue", job)
    assert b"".join(log) == b""
    assert backend.outcome(handle).exit_code == 143

    def started_again() -> bool:
        cluster.ask("scontrol", "update", f"jobid={job}", "starttime=now")
        said = cluster.ask("scontrol", "-o", "show", "job", job)
        return f"ExitCode={NOT_WANTED}:0" in said and "Restarts=1" in said

    until(started_again, "the second start")
    once(at, cluster, work)
    backend.close()


def test_a_lost_node_whose_processes_live_on_gives_one_result(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    at = project()
    backend = at.backend()
    work = order("echo $SLURMD_NODENAME; until [ -e go ]; do sleep 0.1; done; echo done")
    handle = backend.launch(work)
    log = backend.follow(handle)
    node = next(chunk for chunk in log if chunk).decode().strip()
    cluster.lose(node)
    job = handle.marks["container_id"]
    assert "JobState=NODE_FAIL" in cluster.ask("scontrol", "-o", "show", "job", job)
    assert backend.alive(handle)  # it beats
    (at.folder(work) / "go").touch()
    assert b"".join(log) == b"done\n"
    assert backend.outcome(handle).exit_code == 0
    backend.close()


def test_a_lost_node_whose_processes_are_gone_ends_the_run_as_lost(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    backend = project().backend()
    work = order("echo $SLURMD_NODENAME; sleep 300")
    handle = backend.launch(work)
    log = backend.follow(handle)
    node = next(chunk for chunk in log if chunk).decode().strip()
    cluster.end_processes()
    cluster.lose(node)
    b"".join(log)
    outcome = backend.outcome(handle)
    assert outcome.exit_code is None
    assert outcome.ended_by is not None
    assert outcome.ended_by.kind == "lost"
    backend.close()


def test_a_run_on_a_lost_node_can_be_cancelled(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    backend = project().backend()
    work = order("echo $SLURMD_NODENAME; sleep 300")
    handle = backend.launch(work)
    node = next(chunk for chunk in backend.follow(handle) if chunk).decode().strip()
    cluster.lose(node)
    backend.cancel(handle)
    assert not backend.alive(handle)
    assert backend.outcome(handle).stopped == "cancelled"
    backend.close()


def test_a_cluster_that_has_forgotten_a_job_loses_no_result(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    at = project()
    backend = at.backend()
    work = order("echo made")
    handle = backend.launch(work)
    assert b"".join(backend.follow(handle)) == b"made\n"
    cluster.kill("slurmctld")
    cluster.start_controller("-c")  # counts its jobs anew
    found = backend.find(work.id)
    assert found is not None
    assert backend.outcome(found).exit_code == 0
    backend.discard(work.id)
    backend.close()


@pytest.mark.parametrize(
    ("more", "gpus", "said", "do"),
    [
        ('partition = "nope"', 1, "Partition nope not found", "sinfo"),
        ('gpu_type = "a100"', 1, "node configuration is not available", "gpu_type"),
        ("", 9, "node configuration is not available", "gpu_type"),
        ('constraint = "fast"', 1, "Invalid feature specification", "constraint"),
        ('options = ["--reservation=x"]', 1, "Requested reservation is invalid", "options"),
        ('options = ["--fast"]', 1, "unrecognized option", "options"),
    ],
    ids=["partition", "gpu_type", "gpus", "constraint", "reservation", "option"],
)
def test_a_cluster_that_refuses_says_why_and_what_to_change(
    project: Callable[..., Project], more: str, gpus: int, said: str, do: str
) -> None:
    at = project(more)
    backend = at.backend()
    work = order("true", gpus=gpus)
    with pytest.raises(BackendError, match=said) as raised:
        backend.launch(work)
    assert raised.value.kind == "launch_failed"
    assert raised.value.hint is not None
    assert do in raised.value.hint
    assert f"[hosts.{NAME}.slurm]" in raised.value.hint
    assert not at.folder(work).exists()
    assert not list(at.there.glob("slurm/cosmos-*"))
    backend.close()


def test_a_folder_that_the_nodes_do_not_share_is_told(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    at = project()
    at.there.mkdir(parents=True)
    for node in NODES:
        cluster.kill(node)
        cluster.start_node(node, without=at.there)
    backend = at.backend()
    work = order("true")
    try:
        handle = backend.launch(work)
        assert b"".join(backend.follow(handle)) == b""
        why = backend.outcome(handle).ended_by
        assert why is not None
        told = (why.kind, why.message)
    except BackendError as e:  # the job had ended before the start was over
        told = (e.kind, e.message)
    assert told[0] == "launch_failed"
    assert "does not have the folder of the runs" in told[1]
    found = {checked.name: checked for checked in examine(at.settings)}
    assert found["shared folder"].result == "fail"
    assert f"does not see {at.there}" in found["shared folder"].found
    backend.close()
    for node in NODES:
        cluster.kill(node)


def test_a_login_node_without_sbatch_is_told(tmp_path: Path) -> None:
    for name in ("sh", "sed", "ls", "grep"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    argv = Scripts(str(tmp_path)).needs("", "")
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 127
    why = refusal("login1", "[hosts.a.slurm]", done.stderr)
    assert why.message == "There is no sbatch on login1."
    assert 'set bin = "/its/directory" in [hosts.a.slurm]' in (why.hint or "")


def test_a_shorter_time_limit_is_told_before_the_run_is_sent(
    project: Callable[..., Project], cluster: Cluster
) -> None:
    told: list[str] = []
    sink = logger.add(told.append, format="{message}")
    backend = project('partition = "short"').backend()
    handle = backend.launch(order("true", timeout_s=7200))
    logger.remove(sink)
    assert any("after 30 min, before the 120 min" in line for line in told)
    job = cluster.ask("scontrol", "-o", "show", "job", handle.marks["container_id"])
    assert "TimeLimit=00:30:00" in job
    backend.close()


def test_doctor_tries_the_options_and_the_shared_folder(project: Callable[..., Project]) -> None:
    found = {checked.name: checked for checked in examine(project().settings)}
    assert found["Slurm"].result == "ok", found["Slurm"]
    assert found["Slurm job"].result == "ok", found["Slurm job"]
    assert "sees" in found["shared folder"].found, found["shared folder"]
    assert "GPU" not in found
    assert found["image"].found == "jobs run without an image"
