"""A look at an order that says nothing is asked again; it ends nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from cosmos_pipelines.backends.carriers.docker import DockerCarrier
from cosmos_pipelines.backends.registry import host_backend
from cosmos_pipelines.backends.ssh import folder
from cosmos_pipelines.backends.ssh.follow import LONGEST_PAUSE_S
from cosmos_pipelines.backends.ssh.host_shell import parts
from cosmos_pipelines.backends.ssh.script import look
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import (
    BackendError,
    HostKeyChanged,
    LoginRefused,
    NotUnderstood,
    Unreachable,
)
from cosmos_pipelines.operate.kill import kill
from tests.backends.ssh.test_backend import order, second_backend, wait_for_frame
from tests.rig.host import Host
from tests.rig.machine import until
from tests.support.gpu_host import RemoteProject
from tests.support.waiting import LONG_S

HALF: Final = '#!/bin/sh\n[ "$1" = rm ] || printf \'[\\n {"Id": \'\nexec /usr/bin/docker "$@"\n'
STRAY: Final = '#!/bin/sh\necho WARNING: a stray line\nexec /usr/bin/docker "$@"\n'


def docker_is(host: Host, text: str) -> None:
    """Put this program in the place of Docker's client."""
    docker = host.root / "usr/local/bin/docker"
    docker.write_text(text)
    docker.chmod(0o755)


CAUSES: Final[dict[str, tuple[Callable[[Host], None], str]]] = {
    "half an answer": (lambda host: docker_is(host, HALF), "cannot be read"),
    "no permission": (Host.forbid_docker, "permission denied"),
    "no process": (lambda host: host.shell_runs("ulimit -u 1"), "gpu1"),
    "exit code": (lambda host: host.shell_runs("exit 5"), "exit code 5"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_an_answer_that_is_not_understood_says_nothing_of_the_order(
    remote: RemoteProject, cause: str
) -> None:
    strike, said = CAUSES[cause]
    handle = remote.backend.launch(order("sleep", "600"))
    strike(remote.host)
    with pytest.raises(NotUnderstood, match=said) as caught:
        remote.backend.find(handle.order_id)
    assert caught.value.kind == "unreachable"
    remote.host.shell_is_plain()
    remote.host.allow_docker()
    (remote.host.root / "usr/local/bin/docker").unlink(missing_ok=True)
    assert remote.backend.alive(handle)


def test_a_record_that_cannot_be_read_is_no_empty_record(tmp_path: Path) -> None:
    """A failing disk, a network disk that was mounted again."""
    failing = tmp_path / "bin"
    failing.mkdir()
    (failing / "head").write_text("#!/bin/sh\necho head: Input/output error >&2\nexit 1\n")
    (failing / "head").chmod(0o755)
    (tmp_path / "exit_code").write_text("0\n")
    argv = look(str(tmp_path), "exit_code", ask_carrier=["true"])
    sound = subprocess.run(argv, capture_output=True, check=True)
    assert parts(sound.stdout)["exit_code"] == "0"
    env = {"PATH": f"{failing}:{os.environ['PATH']}"}
    failed = subprocess.run(argv, capture_output=True, env=env, check=False)
    assert (failed.returncode, failed.stderr) == (74, b"head: Input/output error\n")


def test_a_stray_line_before_the_answers_of_docker_is_skipped(remote: RemoteProject) -> None:
    docker_is(remote.host, STRAY)
    handle = remote.backend.launch(order("sleep", "600"))
    assert remote.backend.active() == [handle.order_id]
    assert remote.backend.alive(handle)
    remote.backend.cancel(handle, 0)
    assert not remote.backend.alive(handle)


@pytest.mark.parametrize(
    ("strike", "relief", "error"),
    [
        (Host.refuse_logins, Host.allow_logins, LoginRefused),
        (Host.show_other_key, Host.show_own_key, HostKeyChanged),
    ],
    ids=["login refused", "other key"],
)
def test_a_host_that_lets_us_in_no_more_is_waited_for_but_not_at_the_first_connection(
    remote: RemoteProject,
    strike: Callable[[Host], None],
    relief: Callable[[Host], None],
    error: type[BackendError],
) -> None:
    handle = remote.backend.launch(order("sh", "-c", "echo up; sleep 600"))
    stream = remote.backend.follow(handle)
    next(chunk for chunk in stream if chunk)
    strike(remote.host)
    new = second_backend(remote)
    with pytest.raises(error):
        new.launch(order("true"))
    relief(remote.host)
    remote.backend.cancel(handle, 0)
    assert b"".join(stream) == b""
    assert remote.backend.outcome(handle).stopped == "cancelled"


def test_docker_that_may_not_be_used_at_the_first_contact_fails_at_once(
    remote: RemoteProject,
) -> None:
    remote.host.forbid_docker()
    (run,) = remote.execute(remote.pending())
    assert (run.status, run.error_kind) == ("failed", "launch_failed")
    assert "group docker" in (run.error_message or "")


def test_a_time_without_a_usable_answer_is_told_once_and_costs_nothing(
    remote: RemoteProject,
) -> None:
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    remote.host.forbid_docker()
    remote.host.restart_sshd()
    assert process.stdout is not None
    said = [next(line for line in process.stdout if "Lost sight" in line)]
    until(lambda: remote.host.processes("tail -c"), "another look")
    remote.host.allow_docker()
    remote.go_on()
    said += process.communicate(timeout=LONG_S)[0].splitlines()
    assert [sum(words in line for line in said) for words in ("Lost sight", "Reached")] == [1, 1]
    done = remote.catalog.get_run(run.id)
    assert (done.status, done.attempt) == ("completed", 1)
    assert remote.model_log(run).count("stand-in: 1 sample") == 1


def test_a_run_whose_folder_is_gone_says_that_its_container_still_runs(
    remote: RemoteProject,
) -> None:
    run = remote.pending("hang")
    process = remote.in_another_process(run)
    assert process.stdout is not None
    next(line for line in process.stdout if "stand-in: 1 sample" in line)
    remote.host.remove(f"/data/cosmos/runs/{run.id}")
    remote.host.restart_sshd()
    process.communicate(timeout=LONG_S)
    lost = remote.catalog.get_run(run.id)
    assert (lost.status, lost.error_kind) == ("failed", "lost")
    assert f"container cosmos-{run.id} still runs" in (lost.error_message or "")
    assert f"`cosmos kill {run.id}` stops it" in (lost.error_message or "")
    assert remote.backend.active() == [run.id]
    (stopped,) = kill(remote.catalog, remote.settings, run.id)
    assert (stopped.status, remote.backend.active()) == ("cancelled", [])


def test_a_run_goes_on_while_the_disk_of_all_runs_is_away(remote: RemoteProject) -> None:
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    remote.host.console("mv", "/data/cosmos", "/data/away")
    remote.host.restart_sshd()
    assert process.stdout is not None
    next(line for line in process.stdout if "Lost sight" in line)
    remote_now = remote.settings.remote.model_copy(update={"wait_s": 0})
    other = host_backend(remote.settings.model_copy(update={"remote": remote_now}))
    handle = other.find(run.id)
    assert handle is not None
    with pytest.raises(Unreachable, match="runs is not there, with all runs"):
        other.alive(handle)
    time.sleep(2 * LONGEST_PAUSE_S)  # the other process has looked, too
    assert remote.catalog.get_run(run.id).status == "running"
    remote.host.console("mv", "/data/away", "/data/cosmos")
    remote.go_on()
    process.communicate(timeout=LONG_S)
    done = remote.catalog.get_run(run.id)
    assert (done.status, done.attempt) == ("completed", 1)
    assert remote.model_log(run).count("stand-in: 1 sample") == 1


def made_anew(remote: RemoteProject) -> Run:
    """A run in work whose process is gone, as are its container and `remote_dir`."""
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    process.kill()
    process.wait()
    remote.host.docker("rm", "--force", f"cosmos-{run.id}")
    remote.host.console("mv", "/data/cosmos", "/data/away")
    return run


def test_a_run_of_a_host_that_was_made_anew_is_lost_at_once_and_can_be_run_again(
    remote: RemoteProject,
) -> None:
    run = made_anew(remote)
    (lost,) = remote.execute(run)
    assert (lost.status, lost.error_kind) == ("failed", "lost")
    remote.go_on()
    (done,) = remote.execute(run)
    assert (done.status, done.attempt) == ("completed", 2)


def test_nothing_is_told_of_a_run_of_which_nothing_is_there_but_whose_disk_is_away(
    remote: RemoteProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a job of Slurm, of which all that is known lies on that disk."""
    monkeypatch.setattr(DockerCarrier, "remembers", False)
    run = made_anew(remote)
    with pytest.raises(BackendError, match=r"not known whether run .* was stopped; .* may still"):
        kill(remote.catalog, remote.settings, run.id)
    assert remote.catalog.get_run(run.id).status == "running"
    assert remote.backend.find(run.id) is None
    remote.host.console("mv", "/data/away", "/data/cosmos")
    (stopped,) = kill(remote.catalog, remote.settings, run.id)
    assert stopped.status != "running"


def test_two_ctrl_c_with_the_link_cut_say_that_the_container_may_still_run(
    remote: RemoteProject,
) -> None:
    run = remote.pending("hang")
    process = remote.in_another_process(run)
    assert process.stdout is not None
    next(line for line in process.stdout if "stand-in: 1 sample" in line)
    remote.host.cut()
    process.send_signal(signal.SIGINT)
    next(line for line in process.stdout if "Stopping" in line)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=LONG_S)
    left = remote.catalog.get_run(run.id)
    assert (left.status, left.error_kind) == ("failed", "unreachable")
    assert "not known whether the run was stopped" in said
    assert f"`cosmos kill {run.id}` stops it" in said
    remote.host.mend()
    assert remote.backend.active() == [run.id]
    (stopped,) = kill(remote.catalog, remote.settings, run.id)
    assert (stopped.status, remote.containers()[1:]) == ("cancelled", [])
    assert remote.backend.active() == []


def test_a_kill_while_docker_hangs_says_that_the_run_may_go_on(
    remote: RemoteProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = remote.pending("hang")
    process = remote.in_another_process(run)
    assert process.stdout is not None
    next(line for line in process.stdout if "stand-in: 1 sample" in line)
    remote.host.freeze_docker()
    may_go_on = r"not known whether run .* was stopped; .* may still"
    with monkeypatch.context() as patch, pytest.raises(BackendError, match=may_go_on):
        patch.setattr(folder, "LOOK_S", 1.0)
        kill(remote.catalog, remote.settings, run.id)
    assert remote.catalog.get_run(run.id).status == "running"
    remote.host.thaw_docker()
    (stopped,) = kill(remote.catalog, remote.settings, run.id)
    assert stopped.status == "cancelled"
    process.communicate(timeout=LONG_S)


def test_ctrl_c_while_docker_starts_the_container_leaves_nothing_running(
    remote: RemoteProject,
) -> None:
    docker_is(
        remote.host,
        '#!/bin/sh\ncase $* in "run "*) touch /data/starting; sleep 2;; esac\n'
        'exec /usr/bin/docker "$@"\n',
    )
    run = remote.pending("hang")
    process = remote.in_another_process(run)
    until((remote.host.root / "data/starting").exists, "the start")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONG_S)
    assert remote.catalog.get_run(run.id).status == "cancelled"
    assert remote.backend.active() == []
