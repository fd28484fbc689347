"""`cosmos doctor` before a real host: each thing that can be wrong is told with what to do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.backends.carriers.docker_checks import DockerChecks
from cosmos_pipelines.backends.carriers.gpu_choice import GPUS_LOCK
from cosmos_pipelines.backends.checks import Checked
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.remote.ssh.connection import Connection
from cosmos_pipelines.settings import Settings
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.gpu_host import RemoteProject
from tests.support.login_shells import SHELLS, login_shell
from tests.support.project import settings_in
from tests.support.waiting import LONG_S

SETTINGS = """
[execution]
backend = "ssh_docker"

[remote]
host = "{host}"
ssh_config = "{config}"
remote_dir = "/data/cosmos"
connect_timeout_s = 10
{more}

[docker]
image = "{image}"
"""
IMAGE = "cosmos-rig/preview:1"

Found = dict[str, Checked]


@pytest.fixture
def home(tmp_path: Path, fleet: Fleet, gpu1: Host) -> Iterator[Path]:
    """An empty directory for a project; the host has the image."""
    gpu1.image("preview")
    yield tmp_path / "home"


def settings_of(home: Path, fleet: Fleet, more: str = "", image: str = IMAGE) -> Settings:
    """A project that runs on the first host."""
    values = {"host": "gpu1", "config": fleet.ssh_config, "more": more, "image": image}
    return settings_in(home, SETTINGS.format(**values))


def looked(settings: Settings) -> Found:
    """What the checks have found, by name."""
    return {checked.name: checked for checked in examine(settings)}


def failed(found: Found) -> list[str]:
    """Names of the checks that failed, in their order."""
    return [name for name, checked in found.items() if checked.result == "fail"]


def test_a_host_that_has_everything_is_all_green(home: Path, fleet: Fleet, gpu1: Host) -> None:
    found = looked(settings_of(home, fleet))
    assert {c.result for c in found.values()} == {"ok"}, found
    assert "gpu1" in found["reachable"].found
    assert "Simulated H100 80GB, 79.0 of 79.6 GiB free, driver 550.54.15" in found["GPU"].found
    assert gpu1.image("preview") in found["image"].found
    assert found["scripts"].found.startswith("no scripts yet")
    assert [c.place for c in found.values()].index("host") == len(found) - 16
    assert list((gpu1.root / "data/cosmos").iterdir()) == []


def test_scripts_that_a_run_has_brought_are_up_to_date(remote: RemoteProject) -> None:
    remote.execute(remote.pending())
    assert looked(remote.settings)["scripts"].found.startswith("up to date")


@pytest.mark.parametrize("act", ["echo x >>run.sh", "rm complete", "echo 1 >json.py"])
def test_scripts_that_were_changed_on_the_host_are_called_damaged(
    remote: RemoteProject, act: str
) -> None:
    remote.execute(remote.pending())
    remote.host.console("sh", "-c", f"cd /data/cosmos/scripts/* && {act}")
    found = looked(remote.settings)["scripts"]
    assert (found.result, found.found[:8]) == ("warn", "damaged:")
    assert "the next run sends the scripts of this version" in found.found
    remote.execute(remote.pending("again"))
    assert looked(remote.settings)["scripts"].found.startswith("up to date")


def test_an_unknown_host_key_names_the_command_that_adds_it(
    home: Path, fleet: Fleet, gpu1: Host, tmp_path: Path
) -> None:
    empty = tmp_path / "known_hosts"
    found = looked(settings_of(home, fleet, f'known_hosts = "{empty}"'))
    assert failed(found) == ["host key"]
    assert found["reachable"].result == "ok"
    assert "ssh-keyscan" in found["host key"].do
    assert f">> {empty}" in found["host key"].do
    assert found["login"].found == found["GPU"].found == "not checked: host key failed"
    empty.write_bytes(subprocess.check_output(["ssh-keyscan", gpu1.address]))
    assert failed(looked(settings_of(home, fleet, f'known_hosts = "{empty}"'))) == []


def test_a_key_that_is_not_let_in_names_what_lets_it_in(
    home: Path, fleet: Fleet, tmp_path: Path
) -> None:
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    config = tmp_path / "config"
    config.write_text(fleet.ssh_config.read_text().replace(str(fleet.key), str(key)))
    settings = settings_in(
        home, SETTINGS.format(host="gpu1", config=config, more=f'key = "{key}"', image=IMAGE)
    )
    found = looked(settings)
    assert failed(found) == ["login"]
    assert f"{key}.pub to ~/.ssh/authorized_keys of ops" in found["login"].do


def test_a_host_whose_key_nobody_checks_is_told(home: Path, fleet: Fleet, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"StrictHostKeyChecking no\n{fleet.ssh_config.read_text()}")
    values = {"host": "gpu1", "config": config, "more": "", "image": IMAGE}
    found = looked(settings_in(home, SETTINGS.format(**values)))
    assert failed(found) == []
    assert found["host key"].result == "warn"
    assert "StrictHostKeyChecking accept-new" in found["host key"].do


@pytest.mark.parametrize(
    ("shell", "remedy"),
    [
        ("bash", "begin ~/.bashrc there with `case $- in *i*) ;; *) return ;; esac`"),
        ("tcsh", "begin ~/.cshrc (or ~/.tcshrc) there with `if (! $?prompt) exit`"),
        ("fish", "between `if status is-interactive` and `end`"),
    ],
)
def test_a_login_shell_that_talks_is_named_and_disturbs_no_other_check(
    home: Path, fleet: Fleet, gpu1: Host, shell: str, remedy: str
) -> None:
    with login_shell(gpu1, shell, noisy=True):
        found = looked(settings_of(home, fleet))
        assert [name for name, c in found.items() if c.result != "ok"] == ["login shell"]
        assert found["login shell"].result == "warn"
        assert found["login shell"].found == (
            f"{SHELLS[shell]} prints 'Welcome to gpu-box' before each program; this is skipped"
        )
        assert remedy in found["login shell"].do
    assert looked(settings_of(home, fleet))["login shell"].found == "/bin/bash"


def test_a_login_shell_that_runs_no_program_fails_the_login_with_its_words(
    home: Path, fleet: Fleet, gpu1: Host
) -> None:
    gpu1.console("usermod", "-s", "/usr/sbin/nologin", "ops")
    try:
        found = looked(settings_of(home, fleet))
    finally:
        gpu1.console("usermod", "-s", "/bin/bash", "ops")
    assert failed(found) == ["login"]
    assert "It printed: This account is currently not available." in found["login"].found


def test_a_key_that_is_not_there_is_told_before_connecting(home: Path, fleet: Fleet) -> None:
    found = looked(settings_of(home, fleet, 'key = "no-such-key"'))
    assert failed(found) == ["key"]
    assert "ssh-keygen" in found["key"].do
    assert found["reachable"].result == "skipped"


def test_a_host_without_power_is_not_reachable(home: Path, fleet: Fleet, gpu1: Host) -> None:
    gpu1.power_off()
    found = looked(settings_of(home, fleet))
    assert failed(found) == ["reachable"]
    assert "ssh -v gpu1" in found["reachable"].do
    assert {found[n].result for n in ("host key", "login", "Docker", "image")} == {"skipped"}


def test_a_closed_port_is_told_from_a_host_that_is_off(
    home: Path, fleet: Fleet, gpu1: Host
) -> None:
    gpu1.stop_sshd()
    found = looked(settings_of(home, fleet))
    assert failed(found) == ["reachable"]
    assert "nothing listens" in found["reachable"].found


def test_a_user_who_may_not_use_docker_is_told_how_to_be_allowed(home: Path, fleet: Fleet) -> None:
    more = 'user = "nobodyd"'
    settings = settings_of(home, fleet, more)
    settings = settings.model_copy(
        update={"remote": settings.remote.model_copy(update={"remote_dir": "cosmos"})}
    )
    found = looked(settings)
    assert failed(found) == ["Docker"]
    assert "usermod -aG docker nobodyd" in found["Docker"].do
    assert {found[n].result for n in ("login", "GPU", "write access")} == {"ok"}
    assert found["image"].result == "skipped"


def test_a_stopped_engine_is_told_from_a_missing_permission(
    home: Path, fleet: Fleet, gpu1: Host
) -> None:
    gpu1.stop_docker()
    found = looked(settings_of(home, fleet))
    assert failed(found) == ["Docker"]
    assert "systemctl start docker" in found["Docker"].do


def test_a_broken_gpu_driver_is_told_with_where_to_look(
    home: Path, fleet: Fleet, gpu1: Host
) -> None:
    gpu1.gpu(broken=True)
    found = looked(settings_of(home, fleet))
    assert failed(found) == ["GPU"]
    assert "Unable to determine the device handle" in found["GPU"].found
    assert "nvidia-smi" in found["GPU"].do


HEALTHY = "0, H100, 81559, 612, 3, 41, 92.10, 550.54.15, GPU-0"


@pytest.mark.parametrize(
    ("signs", "result", "said"),
    [
        ("0, No, [N/A], None", "ok", "none has uncorrected memory errors"),
        ("7, No, [N/A]", "warn", "GPU 0: 7 uncorrected ECC errors since its start"),
        ("0, Yes, [N/A]", "warn", "GPU 0: a repair of its memory waits for a reset"),
        ("0, No, [N/A], Drain and Reset", "warn", "GPU 0: the driver asks for: Drain and Reset"),
        ("0, No, [N/A], Reset", "fail", "GPU 0: the driver asks for: Reset"),
    ],
)
def test_a_failing_gpu_is_told_before_a_run_is_lost_on_it(
    home: Path, fleet: Fleet, gpu1: Host, signs: str, result: str, said: str
) -> None:
    gpu1.gpu(f"{HEALTHY}, {signs}\n")
    found = looked(settings_of(home, fleet))["GPU health"]
    assert (found.result, said in found.found) == (result, True), found
    assert ("nvidia-smi --gpu-reset" in found.do) == (result != "ok")


def test_a_container_that_sees_no_gpu_of_a_host_that_has_one_is_told(
    home: Path, fleet: Fleet, gpu1: Host
) -> None:
    settings = settings_of(home, fleet)
    with Connection(settings.ssh_target(settings.places["ssh_docker"])) as connection:
        checks = DockerChecks(
            settings.docker, "gpu1", lambda: "root",
            lambda argv: connection.run(argv, timeout_s=LONG_S), needs_gpu=True,
        )  # fmt: skip
        assert checks.image("preview", None, None)[0].result == "ok"
        gpu1.gpu(lost_inside=True)
        found, digest = checks.image("preview", None, None)
    assert (found.result, digest is not None) == ("fail", True)
    assert "Failed to initialize NVML: Unknown Error" in found.found
    assert "native.cgroupdriver=cgroupfs" in found.do
    assert gpu1.docker("ps", "--all", "--quiet") == ""


def test_a_host_without_gpu_serves_simulated_engines_only(
    home: Path, fleet: Fleet, gpu1: Host
) -> None:
    gpu1.without_gpu()
    found = looked(settings_of(home, fleet))
    assert failed(found) == []
    assert found["GPU"].result == "warn"
    assert "Only simulated engines" in found["GPU"].do


def test_a_lock_of_the_gpus_that_nobody_can_take_is_told(
    home: Path, fleet: Fleet, gpu1: Host
) -> None:
    gpu1.console("ln", "-sfn", "/data/victim", GPUS_LOCK)
    settings = settings_of(home, fleet)
    lock = looked(settings)["GPU lock"]
    gpu1.console("rm", "-f", GPUS_LOCK)
    assert (lock.result, lock.do.split(":")[0]) == ("fail", "Remove that file on gpu1")
    assert f"{GPUS_LOCK} -> /data/victim" in lock.found
    gpu1.console("mv", "/usr/bin/flock", "/usr/bin/flock.away")
    lock = looked(settings)["GPU lock"]
    gpu1.console("mv", "/usr/bin/flock.away", "/usr/bin/flock")
    assert (lock.result, lock.do) == (
        "warn", "Install flock on gpu1: it is in the package util-linux.",
    )  # fmt: skip


def test_an_image_that_is_missing_names_the_command_that_brings_it(
    home: Path, fleet: Fleet
) -> None:
    found = looked(settings_of(home, fleet, image="nvidia/no-such:1"))
    assert failed(found) == ["image"]
    assert found["image"].do == "ssh gpu1 docker pull nvidia/no-such:1"


def test_no_image_at_all_is_told(home: Path, fleet: Fleet) -> None:
    found = looked(settings_of(home, fleet, image=""))
    assert failed(found) == ["image"]
    assert "[docker]" in found["image"].do


def test_a_full_disk_is_told_with_what_takes_the_room(home: Path, fleet: Fleet, gpu1: Host) -> None:
    gpu1.fill_disk(leave_bytes=1 << 20)
    found = looked(settings_of(home, fleet))
    assert "host disk" in failed(found)
    assert "0.0 GiB free" in found["host disk"].found
    assert "ssh gpu1 du" in found["host disk"].do


def test_a_directory_that_may_not_be_written_is_named(home: Path, fleet: Fleet) -> None:
    settings = settings_of(home, fleet)
    remote = settings.remote.model_copy(update={"remote_dir": "/proc/cosmos"})
    found = looked(settings.model_copy(update={"remote": remote}))
    assert "write access" in failed(found)
    assert "/proc/cosmos" in found["write access"].found
    assert "remote_dir" in found["write access"].do
    assert found["scripts"].result == "skipped"


def test_an_alias_that_nobody_knows_is_told(home: Path, fleet: Fleet) -> None:
    values = {"host": "gpu9.invalid", "config": fleet.ssh_config, "more": "", "image": IMAGE}
    found = looked(settings_in(home, SETTINGS.format(**values)))
    assert failed(found) in (["reachable"], ["key"])
