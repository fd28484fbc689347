"""The ssh_docker backend on a real host with a real Docker engine."""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.backends.registry import backend_for, host_backend
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.errors import BackendError, SettingsError, StateError
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.operate.kill import kill
from cosmos_pipelines.operations import Order, Video
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.execute import execute_runs
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.settings import Docker
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.rig.machine import until
from tests.support.gpu_host import STAND_IN, RemoteProject, remote_project
from tests.support.project import settings_in
from tests.support.stand_in_engine import registered
from tests.support.waiting import LONG_S

_ids = itertools.count(1)
UNTIL_GO = "until [ -e go ]; do sleep 0.1; done"
FINISHING = """
mkdir outputs; printf pixels > outputs/a.mp4
printf '{"outputs":{"a.mp4":{"sha256":"%s","size":6}},"samples":{"rs_1":{"seconds":2.5}}}' \
    $(printf pixels | sha256sum | cut -c1-64) > finished.json
echo made; until [ -e go ]; do sleep 0.1; done; echo again; sleep 60
"""


def order(*argv: str, **fields: Any) -> Order:
    """An order with a fresh id."""
    run_id = f"rs_{next(_ids):032x}"
    facts = {"engine": "none", "model_type": "transfer", "inputs": {}, "expected": (), "gpus": 0}
    return Order(**{"id": run_id, "run_ids": (run_id,), "argv": argv, **facts, **fields})


def second_backend(remote: RemoteProject, containers: Docker | None = None) -> SshBackend:
    """Another backend for the same host and project."""
    settings = remote.settings.model_copy(update={"docker": containers or remote.settings.docker})
    return host_backend(settings)


def wait_for(stream: Iterator[bytes], text: bytes) -> bytes:
    """What a log says until this text comes."""
    seen = b""
    for chunk in stream:
        seen += chunk
        if text in seen:
            return seen
    raise AssertionError(f"it ended without {text!r}: {seen!r}")


@contextmanager
def after(seconds: float, *acts: Callable[[], None] | float) -> Iterator[None]:
    """Do these things one after the other, numbers being pauses, while the body goes on."""

    def play() -> None:
        time.sleep(seconds)
        for act in acts:
            time.sleep(act) if isinstance(act, int | float) else act()

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        player.join()


def wait_for_frame(process: subprocess.Popen[str], number: int) -> None:
    """Wait until a run executed elsewhere tells its frame."""
    assert process.stdout is not None
    for line in process.stdout:
        if f"frame {number}/" in line:
            return
    raise AssertionError("it ended before")


def test_a_run_on_the_host_ends_with_a_verified_video_at_home(remote: RemoteProject) -> None:
    (run,) = remote.execute(remote.pending())
    assert (run.status, run.error_message) == ("completed", None)
    found = probe(remote.settings.home / run.outputs["video"], deep=True)
    assert (found.width, found.height, found.frames, str(found.fps)) == (64, 48, 6, "24")
    assert "frame 6/6" in remote.model_log(run)
    assert run.host == "gpu1"
    assert run.container_name == f"cosmos-{run.id}"
    assert run.container_id is not None
    assert run.image_digest == remote.host.image("preview")
    assert remote.containers() == []
    assert remote.left_on_host() == []


def test_what_comes_home_and_what_was_there_belongs_to_no_root(remote: RemoteProject) -> None:
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    owners = remote.host.console("find", "/data/cosmos", "-printf", "%u\n").split()
    assert set(owners) == {b"ops"}
    assert b"outputs" in remote.host.console("ls", f"/data/cosmos/runs/{run.id}")
    remote.go_on()
    process.communicate(timeout=LONG_S)
    assert remote.catalog.get_run(run.id).status == "completed"


def test_a_second_run_of_a_scene_uploads_nothing(remote: RemoteProject) -> None:
    remote.execute(remote.pending("first"))
    before = remote.host.console("find", "/data/cosmos/cas", "/data/cosmos/scripts", "-type", "f",
                                 "-printf", "%p %i %T@\n")  # fmt: skip
    (run,) = remote.execute(remote.pending("second"))
    after = remote.host.console("find", "/data/cosmos/cas", "/data/cosmos/scripts", "-type", "f",
                                "-printf", "%p %i %T@\n")  # fmt: skip
    assert sorted(after.splitlines()) == sorted(before.splitlines())
    log = remote.settings.outputs / f"run_{run.id}" / "logs" / "cosmos.log"
    assert "Sent 0 of" in log.read_text()


def test_the_preview_engine_makes_the_same_bytes_as_on_this_machine(
    remote: RemoteProject, tmp_path: Path
) -> None:
    there = remote.pending("fog at dawn", engine="preview", seed=3)
    local = remote.settings.execution.model_copy(update={"backend": "local"})
    settings = remote.settings.model_copy(update={"execution": local})
    prompt, _ = register_prompt(remote.catalog, settings, "fog at dawn", "city")
    planned = plan_transfer(remote.catalog, settings, prompt.id, {"seed": 3}, engine="preview")
    (here,) = execute_runs(
        [enter(remote.catalog, settings, planned).id],
        catalog=remote.catalog, settings=settings, backend=backend_for(settings, "local"),
    )  # fmt: skip
    (there,) = remote.execute(there)
    assert (here.status, there.status) == ("completed", "completed")
    assert there.outputs["model_sha256"] == here.outputs["model_sha256"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("fail", "model_failed"), ("lie", "output_missing"), ("die 3", "out_of_memory")],
)
def test_a_run_that_fails_there_says_why(remote: RemoteProject, text: str, kind: str) -> None:
    (run,) = remote.execute(remote.pending(text))
    assert (run.status, run.error_kind) == ("failed", kind)
    assert "stand-in: 1 sample" in remote.model_log(run)


def test_two_processes_start_one_container(remote: RemoteProject) -> None:
    work = order("sh", "-c", "echo once; sleep 1")
    others = [second_backend(remote) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        handles = list(pool.map(lambda backend: backend.launch(work), others))
    assert len({handle.marks["container_id"] for handle in handles}) == 1
    assert b"".join(others[0].follow(handles[0])) == b"once\n"
    assert remote.containers() == [f"cosmos-{work.id}"]
    assert remote.left_on_host() == [work.id]
    for backend in others:
        backend.close()


def test_kill_9_of_ours_leaves_the_container_which_is_adopted(remote: RemoteProject) -> None:
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert remote.backend.active() == [run.id]
    remote.go_on()
    (done,) = remote.execute(run)
    assert (done.status, done.attempt) == ("completed", 1)
    frames = [line.split()[-1] for line in remote.model_log(run).splitlines() if "frame" in line]
    assert frames == [f"{i}/6" for i in range(1, 7)]


@pytest.mark.parametrize("seconds", [2, 9], ids=["sat out", "connected anew"])
def test_a_cut_link_in_the_middle_costs_no_byte_of_the_log(
    remote: RemoteProject, seconds: float
) -> None:
    work = order("sh", "-c", "for i in $(seq 1 60); do echo line $i; sleep 0.2; done")
    handle = remote.backend.launch(work)
    got, beats = b"", 0
    with after(1, remote.host.cut, seconds, remote.host.mend):
        for chunk in remote.backend.follow(handle):
            got += chunk
            beats += not chunk
    assert got.decode().splitlines() == [f"line {i}" for i in range(1, 61)]
    assert beats >= 1
    assert remote.backend.outcome(handle).exit_code == 0


def test_what_a_running_order_has_finished_comes_home_while_its_log_is_followed(
    remote: RemoteProject, tmp_path: Path
) -> None:
    handle = remote.backend.launch(order("sh", "-c", FINISHING))
    log = remote.backend.follow(handle)
    wait_for(log, b"made\n")
    made = remote.backend.finished(handle)
    assert made.samples == {"rs_1": {"seconds": 2.5}}
    remote.backend.collect(handle, {"a.mp4": tmp_path / "video.mp4"}, made)
    assert (tmp_path / "video.mp4").read_bytes() == b"pixels"
    assert remote.backend.alive(handle)
    (remote.host.root / handle.run_dir.lstrip("/") / "go").touch()
    assert wait_for(log, b"again\n") == b"again\n"


def test_the_log_is_followed_byte_for_byte(remote: RemoteProject) -> None:
    said = r"printf 'a\rb\r\377\376'; head -c 1000000 /dev/zero | tr '\0' x; printf 'no newline'"
    handle = remote.backend.launch(order("sh", "-c", said))
    expected = b"a\rb\r\xff\xfe" + b"x" * 1_000_000 + b"no newline"
    assert b"".join(remote.backend.follow(handle)) == expected
    assert b"".join(remote.backend.follow(handle, 999_000)) == expected[999_000:]


def test_a_host_that_stays_away_fails_the_run_and_its_work_is_found_later(
    tmp_path: Path, fleet: Fleet, gpu1: Host
) -> None:
    with registered(program=STAND_IN):
        remote = remote_project(tmp_path / "home", fleet, gpu1, wait_s=2)
        run = remote.pending("slow 0.5")
        told = []

        def on_line(_: str | None, line: str) -> None:
            if "frame 1/" in line and not told:
                told.append(line)
                gpu1.cut()

        (away,) = execute_runs(
            [run.id], catalog=remote.catalog, settings=remote.settings, backend=remote.backend,
            on_line=on_line,
        )  # fmt: skip
        assert (away.status, away.error_kind) == ("failed", "unreachable")
        gpu1.mend()
        until(lambda: gpu1.port_open(22), "the mended link")
        (done,) = remote.execute(run)
        assert done.status == "completed"
        assert remote.model_log(run).count("stand-in: 1 sample") == 1
        assert remote.containers() == []


def test_cancel_stops_the_container_and_no_other(remote: RemoteProject) -> None:
    one = remote.backend.launch(order("sleep", "600"))
    two = remote.backend.launch(order("sleep", "600"))
    other = remote.host.docker(
        "run", "--detach", "--pull=never", remote.host.image("preview"), "sleep", "600"
    )
    remote.backend.cancel(one, 5)
    assert remote.backend.outcome(one).stopped == "cancelled"
    assert remote.backend.active() == [two.order_id]
    assert other in remote.host.docker("ps", "--quiet", "--no-trunc")
    with pytest.raises(StateError, match="still running"):
        remote.backend.outcome(two)
    with pytest.raises(StateError, match="still running"):
        remote.backend.discard(two.order_id)


def test_a_model_that_ignores_the_request_to_stop_is_killed(remote: RemoteProject) -> None:
    run = remote.pending("stubborn")
    process = remote.in_another_process(run)
    assert process.stdout is not None
    assert any("TERM is ignored" in line for line in process.stdout)
    (ended,) = kill(remote.catalog, remote.settings, run.id)
    assert (ended.status, ended.error_kind) == ("cancelled", "cancelled")
    process.communicate(timeout=LONG_S)
    assert remote.backend.active() == []


def test_a_run_over_its_time_on_the_host_is_stopped(remote: RemoteProject) -> None:
    tight = remote.settings.execution.model_copy(update={"transfer_timeout_s": 2})
    settings = remote.settings.model_copy(update={"execution": tight})
    run = remote.pending("hang")
    (ended,) = execute_runs(
        [run.id], catalog=remote.catalog, settings=settings, backend=remote.backend
    )
    assert (ended.status, ended.error_kind) == ("failed", "timeout")
    assert remote.backend.active() == []


def test_a_lost_answer_to_the_start_is_resolved_by_looking(remote: RemoteProject) -> None:
    """Docker is slow to start it, and the link is gone before it answers."""
    remote.execute(remote.pending("first"))  # scripts and image are known
    docker = remote.host.root / "usr/local/bin/docker"
    docker.write_text(
        '#!/bin/sh\ncase $* in "run "*) echo x >>/data/starts; sleep 3;; esac\n'
        'exec /usr/bin/docker "$@"\n'
    )
    docker.chmod(0o755)
    work = order("sh", "-c", "echo once")
    with after(1.5, remote.host.restart_sshd):
        handle = remote.backend.launch(work)
    docker.unlink()
    assert b"".join(remote.backend.follow(handle)) == b"once\n"
    assert remote.containers() == [f"cosmos-{work.id}"]
    assert (remote.host.root / "data/starts").read_text() == "x\n"
    assert remote.left_on_host() == [work.id]


def test_an_order_that_was_removed_is_not_started_again(remote: RemoteProject) -> None:
    """Who stood still while another process brought it to its end may still want to start it."""
    work = order("true")
    b"".join(remote.backend.follow(remote.backend.launch(work)))
    remote.backend.discard(work.id)
    with pytest.raises(BackendError, match="was started before"):
        remote.backend.launch(work)
    assert remote.containers() == []
    assert remote.left_on_host() == []


def test_a_container_that_someone_kills_leaves_a_lost_run(remote: RemoteProject) -> None:
    handle = remote.backend.launch(order("sh", "-c", "echo up; sleep 600"))
    stream = remote.backend.follow(handle)
    wait_for(stream, b"up\n")
    remote.host.docker("kill", f"cosmos-{handle.order_id}")
    assert b"".join(stream) == b""
    outcome = remote.backend.outcome(handle)
    assert (outcome.exit_code, outcome.stopped) == (None, None)


def test_a_container_that_someone_removes_leaves_a_lost_run(remote: RemoteProject) -> None:
    work = order("sh", "-c", "echo up; sleep 600")
    handle = remote.backend.launch(work)
    stream = remote.backend.follow(handle)
    wait_for(stream, b"up\n")
    remote.host.docker("rm", "--force", f"cosmos-{handle.order_id}")
    assert b"".join(stream) == b""
    assert remote.backend.outcome(handle).exit_code is None
    found = remote.backend.launch(work)
    assert not remote.backend.alive(found)
    assert remote.containers() == []


def ended_for_want_of_memory(remote: RemoteProject, first: str) -> int | None:
    """The exit code that is told of an order of which this process was killed for its memory."""
    eats = (
        "import os, pathlib, time; print('up', flush=True)\n"
        f"if {first == 'run.sh'}: open('/proc/1/oom_score_adj', 'w').write('1000')\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.05)\n"
        "x = [os.urandom(1 << 20) for _ in range(9999)]"
    )
    handle = remote.backend.launch(order("{python}", "-c", eats))
    stream = remote.backend.follow(handle)
    wait_for(stream, b"up\n")
    limits = ["--memory=200m", "--memory-swap=200m"]
    remote.host.docker("update", *limits, f"cosmos-{handle.order_id}")
    (remote.host.root / handle.run_dir.lstrip("/") / "go").touch()
    list(stream)
    return remote.backend.outcome(handle).exit_code


@pytest.mark.parametrize("first", ["model", "run.sh"])
def test_want_of_memory_is_told_whoever_is_killed_for_it(remote: RemoteProject, first: str) -> None:
    """With cgroups v2 Docker may read of the exit first, and then does not note it."""
    codes = [ended_for_want_of_memory(remote, first)]
    while codes[-1] is None and len(codes) < 5:
        codes.append(ended_for_want_of_memory(remote, first))
    assert codes[-1] == 137
    assert first == "run.sh" or len(codes) == 1


def test_a_power_cut_leaves_a_lost_run_that_can_be_run_again(remote: RemoteProject) -> None:
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    remote.host.console("sync")
    remote.host.power_off()
    remote.host.boot()
    process.communicate(timeout=LONG_S)
    lost = remote.catalog.get_run(run.id)
    assert (lost.status, lost.error_kind) == ("failed", "lost")
    assert "frame 1/" in remote.model_log(run)
    remote.go_on()
    (done,) = remote.execute(run)
    assert (done.status, done.attempt) == ("completed", 2)


def test_an_order_starts_although_the_power_was_cut_in_the_middle_of_its_start(
    remote: RemoteProject,
) -> None:
    remote.execute(remote.pending("first"))  # scripts and image are known
    runs = remote.host.root / "data/cosmos/runs"
    remote.host.console("sh", "-c", "flock /data/cosmos/runs/.lock sleep 600 >/dev/null 2>&1 &")
    work = order("echo", "once")
    with ThreadPoolExecutor() as pool:
        launched = pool.submit(remote.backend.launch, work)
        until(lambda: [*runs.glob(".*.part/order.json")], "the start waits for the lock")
        remote.host.power_off()
        remote.host.boot()
        assert b"".join(remote.backend.follow(launched.result())) == b"once\n"


@pytest.mark.parametrize("live_restore", [True, False])
def test_a_restarted_engine_ends_a_run_only_without_live_restore(
    remote: RemoteProject, live_restore: bool
) -> None:
    remote.host.restart_docker(live_restore=live_restore)
    work = order("sh", "-c", "for i in $(seq 1 40); do echo line $i; sleep 0.2; done")
    handle = remote.backend.launch(work)
    stream = remote.backend.follow(handle)
    got = next(c for c in stream if c)
    remote.host.restart_docker(live_restore=live_restore, crash=True)
    got += b"".join(stream)
    outcome = remote.backend.outcome(handle)
    if live_restore:
        assert got.decode().splitlines() == [f"line {i}" for i in range(1, 41)]
        assert outcome.exit_code == 0
    else:
        assert outcome.exit_code in (None, 143)  # it is asked to stop, or killed
        assert Preview().diagnose(outcome, got.decode()).kind == "lost"


def test_a_missing_image_is_said_before_anything_is_uploaded(remote: RemoteProject) -> None:
    remote.settings.docker.images["stand_in"] = "nobody/knows:1"
    (run,) = remote.execute(remote.pending())
    assert (run.status, run.error_kind) == ("failed", "launch_failed")
    assert "nobody/knows:1 is not on gpu1" in (run.error_message or "")
    assert list((remote.host.root / "data/cosmos/cas").iterdir()) == []


def test_what_docker_refuses_is_said_and_leaves_nothing(remote: RemoteProject) -> None:
    containers = remote.settings.docker.model_copy(update={"mounts": ("/not/there:/x",)})
    backend = second_backend(remote, containers)
    with pytest.raises(BackendError, match="bind source path does not exist") as caught:
        backend.launch(order("true"))
    assert caught.value.kind == "launch_failed"
    assert remote.containers() == []
    assert remote.left_on_host() == []


def test_a_run_folder_that_cannot_be_written_is_a_failed_start_with_its_words(
    remote: RemoteProject,
) -> None:
    containers = remote.settings.docker.model_copy(update={"user": "12345:12345"})
    backend = second_backend(remote, containers)
    with pytest.raises(BackendError, match="Permission denied"):
        backend.launch(order("true"))
    assert remote.containers() == []
    assert remote.left_on_host() == []


def test_the_command_environment_and_inputs_are_what_was_ordered(
    remote: RemoteProject, tmp_path: Path
) -> None:
    path = tmp_path / "道 c.mp4"
    path.write_bytes(b"pixels")
    sha256 = hashlib.sha256(b"pixels").hexdigest()
    shape = {"width": 64, "height": 48, "frames": 2, "fps": "24"}
    work = order(
        "sh", "-c", 'cat "inputs/a b/c.mp4" sub/x.json; echo "$WORD|$1|$(id -u)"', "sh",
        "it's \"$x\"",
        inputs={"a b/c.mp4": Video(path=str(path), sha256=sha256, size=6, **shape)},
        documents={"sub/x.json": '{"道": 1}\n'},
        env={"WORD": "a 'b'"},
    )  # fmt: skip
    handle = remote.backend.launch(work)
    said = b"".join(remote.backend.follow(handle)).decode()
    assert said == 'pixels{"道": 1}\na \'b\'|it\'s "$x"|2001\n'
    assert remote.backend.order_of(handle) == work
    assert remote.backend.find(work.id) == handle
    labels = remote.host.docker(
        "inspect", "--format={{json .Config.Labels}}", handle.marks["container_id"]
    )
    assert json.loads(labels)["cosmos.run_id"] == work.id
    remote.backend.discard(work.id)
    remote.backend.discard(work.id)
    assert remote.backend.find(work.id) is None


def test_gpus_are_given_only_to_orders_that_ask(remote: RemoteProject) -> None:
    for gpus, said in ((0, b"none\n"), (1, b"Simulated H100 80GB\n")):
        work = order(
            "sh", "-c",
            "nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null || echo none",
            gpus=gpus,
        )  # fmt: skip
        handle = remote.backend.launch(work)
        assert b"".join(remote.backend.follow(handle)) == said
        assert len(remote.backend.gpus(work).gpus) == gpus


def test_a_host_that_was_never_reached_is_not_waited_for(
    tmp_path: Path, fleet: Fleet, gpu1: Host
) -> None:
    with registered(program=STAND_IN):
        remote = remote_project(tmp_path / "home", fleet, gpu1, wait_s=600)
        gpu1.cut()
        (run,) = remote.execute(remote.pending())
        assert (run.status, run.error_kind) == ("failed", "unreachable")


def test_without_a_host_in_the_settings_the_user_is_told_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No GPU host is set"):
        backend_for(settings_in(tmp_path, ""), "ssh_docker")


def test_a_container_that_was_made_but_never_started_is_made_anew(remote: RemoteProject) -> None:
    work = order("sh", "-c", "echo once")
    label = f"--label=cosmos.order_id={work.id}"
    image = remote.host.image("preview")
    remote.host.docker("create", f"--name=cosmos-{work.id}", label, image, "true")
    assert remote.backend.find(work.id) is None
    handle = remote.backend.launch(work)
    assert b"".join(remote.backend.follow(handle)) == b"once\n"


def test_a_container_of_that_name_that_is_not_ours_is_left_alone(remote: RemoteProject) -> None:
    work = order("sh", "-c", "echo once")
    image = remote.host.image("preview")
    remote.host.docker(
        "run", "--detach", "--pull=never", f"--name=cosmos-{work.id}", image, "sleep", "600"
    )
    with pytest.raises(BackendError, match="belongs to something else"):
        remote.backend.launch(work)
    assert remote.host.docker("ps", "--quiet") != ""


def test_another_project_sees_nothing_of_ours(remote: RemoteProject, tmp_path: Path) -> None:
    remote.backend.launch(order("sleep", "600"))
    settings = remote.settings.model_copy(update={"home": tmp_path / "other"})
    other = backend_for(settings)
    assert other.active() == []
    other.close()


def test_an_engine_that_is_away_for_a_moment_is_waited_for(remote: RemoteProject) -> None:
    remote.backend.find("rs_unknown")  # the host is known to be there
    remote.host.stop_docker()
    with after(2, remote.host.start_docker):
        handle = remote.backend.launch(order("sh", "-c", "echo once"))
    assert b"".join(remote.backend.follow(handle)) == b"once\n"


def test_a_restarted_sshd_costs_no_byte_of_the_log(remote: RemoteProject) -> None:
    work = order("sh", "-c", "for i in $(seq 1 30); do echo line $i; sleep 0.1; done")
    handle = remote.backend.launch(work)
    with after(1, remote.host.restart_sshd):
        got = b"".join(remote.backend.follow(handle))
    assert got.decode().splitlines() == [f"line {i}" for i in range(1, 31)]
    until(lambda: not remote.host.processes("tail -c"), "the end of what followed")


def test_a_full_disk_on_the_host_is_said_and_a_second_try_completes(remote: RemoteProject) -> None:
    run = remote.pending()
    (remote.host.root / "data/cosmos/cas").mkdir(parents=True)
    remote.host.console("chown", "-R", "ops:", "/data/cosmos")
    remote.host.fill_disk(leave_bytes=1 << 20)
    remote.host.console("sh", "-c", "dd if=/dev/zero of=/data/.rest bs=4096 2>/dev/null; true")
    (failed,) = remote.execute(run)
    assert (failed.status, failed.error_kind) == ("failed", "disk_full")
    assert remote.containers() == []
    remote.host.free_disk()
    remote.host.console("rm", "/data/.rest")
    (done,) = remote.execute(run)
    assert done.status == "completed"


def test_ctrl_c_stops_the_container_and_records_cancelled(remote: RemoteProject) -> None:
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONG_S)
    ended = remote.catalog.get_run(run.id)
    assert (ended.status, ended.error_kind) == ("cancelled", "cancelled")
    assert remote.containers() == []
    assert remote.left_on_host() == []


def test_a_closed_follower_leaves_nothing_behind_on_the_host(remote: RemoteProject) -> None:
    handle = remote.backend.launch(order("sleep", "600"))
    stream = remote.backend.follow(handle)
    next(stream)
    stream.close()
    following = ("tail -c", "docker wait")
    until(lambda: not any(map(remote.host.processes, following)), "the end of what followed")
    assert remote.backend.alive(handle)


def test_a_model_cannot_spoil_the_inputs_that_runs_share(
    remote: RemoteProject, tmp_path: Path
) -> None:
    (tmp_path / "c.mp4").write_bytes(b"pixels")
    sha256 = hashlib.sha256(b"pixels").hexdigest()
    shape = {"width": 64, "height": 48, "frames": 2, "fps": "24"}
    video = Video(path=str(tmp_path / "c.mp4"), sha256=sha256, size=6, **shape)
    containers = remote.settings.docker.model_copy(update={"user": "0:0"})
    backend = second_backend(remote, containers)
    handle = backend.launch(
        order("sh", "-c", "echo x >inputs/c.mp4; rm -f inputs/c.mp4", inputs={"c.mp4": video})
    )
    assert b"Read-only file system" in b"".join(backend.follow(handle))
    assert (remote.host.root / "data/cosmos/cas" / sha256).read_bytes() == b"pixels"
    backend.close()


def spoil(file: Path) -> None:
    """Change a byte of a file in place: size, name and mode stay."""
    mode = file.stat().st_mode
    file.chmod(0o644)
    with file.open("r+b") as opened:
        first = opened.read(1)
        opened.seek(0)
        opened.write(bytes([first[0] ^ 1]))
    file.chmod(mode)


def uploaded(remote: RemoteProject) -> dict[str, bytes]:
    """The inputs on the host, by their hash."""
    files = (remote.host.root / "data/cosmos/cas").iterdir()
    return {path.name: path.read_bytes() for path in files if path.is_file()}


def told(remote: RemoteProject, run: Run) -> str:
    """What the log of the run's steps says."""
    return (remote.settings.outputs / f"run_{run.id}" / "logs" / "cosmos.log").read_text()


def test_an_uploaded_input_that_is_damaged_on_the_host_is_sent_again(
    remote: RemoteProject,
) -> None:
    remote.execute(remote.pending("first"))
    sent = uploaded(remote)
    spoilt = max(sent, key=lambda name: len(sent[name]))
    spoil(remote.host.root / "data/cosmos/cas" / spoilt)
    assert uploaded(remote) != sent
    (run,) = remote.execute(remote.pending("second"))
    assert (run.status, run.attempt) == ("completed", 1)
    assert uploaded(remote) == sent
    assert "mp4 had been damaged or changed: sent again" in told(remote, run)
    assert (remote.containers(), remote.left_on_host()) == ([], [])


def test_scripts_that_are_damaged_on_the_host_are_sent_again(remote: RemoteProject) -> None:
    remote.execute(remote.pending("first"))
    (scripts,) = (remote.host.root / "data/cosmos/scripts").iterdir()
    before = (scripts / "run.sh").read_bytes()
    spoil(scripts / "run.sh")
    (run,) = remote.execute(remote.pending("second"))
    assert (run.status, run.attempt) == ("completed", 1)
    assert (scripts / "run.sh").read_bytes() == before
    assert "the scripts had been damaged or changed: sent again" in told(remote, run)


@pytest.mark.parametrize("container_too", [False, True])
def test_a_run_whose_folder_vanished_on_the_host_is_lost_and_can_be_run_again(
    remote: RemoteProject, container_too: bool
) -> None:
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    remote.host.remove(f"/data/cosmos/runs/{run.id}")
    if container_too:
        remote.host.docker("rm", "--force", f"cosmos-{run.id}")
    remote.go_on()
    process.communicate(timeout=LONG_S)
    lost = remote.catalog.get_run(run.id)
    assert (lost.status, lost.error_kind) == ("failed", "lost")
    (done,) = remote.execute(run)
    assert (done.status, done.attempt) == ("completed", 2)
    assert (remote.containers(), remote.left_on_host()) == ([], [])


def test_a_container_without_its_folder_is_stopped_before_its_run_starts_again(
    remote: RemoteProject,
) -> None:
    """Its process is gone, too: nobody can collect what the container makes."""
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    remote.host.remove(f"/data/cosmos/runs/{run.id}")
    (lost,) = remote.execute(run)
    assert (lost.status, lost.error_kind) == ("failed", "lost")
    assert remote.containers() == [f"cosmos-{run.id}"]
    remote.go_on()
    (done,) = remote.execute(run)
    assert (done.status, done.attempt) == ("completed", 2)
    assert (remote.containers(), remote.left_on_host()) == ([], [])


def test_a_daemon_that_hangs_holds_no_line_of_the_log_back(
    remote: RemoteProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines come from the run folder; only the looks need Docker."""
    monkeypatch.setattr("cosmos_pipelines.backends.ssh.follow.CLOCK_S", 0.1)
    monkeypatch.setattr("cosmos_pipelines.backends.ssh.folder.LOOK_S", LONG_S)
    handle = remote.backend.launch(
        order("sh", "-c", f"echo line 1; {UNTIL_GO}; for i in $(seq 2 30); do echo line $i; done")
    )
    stream = remote.backend.follow(handle)
    got = wait_for(stream, b"line 1\n")
    dockerd = remote.host.pids("dockerd")
    remote.host.kill(*dockerd, number=signal.SIGSTOP)
    try:
        (remote.host.root / handle.run_dir.lstrip("/") / "go").touch()
        got += wait_for(stream, b"line 30\n")
    finally:
        remote.host.kill(*dockerd, number=signal.SIGCONT)
    got += b"".join(stream)
    assert got.decode().splitlines() == [f"line {i}" for i in range(1, 31)]
    assert remote.backend.outcome(handle).exit_code == 0
