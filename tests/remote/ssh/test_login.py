"""Whom we talk to and who we are: host keys, keys, agents, jumps, against a real sshd."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_pipelines.errors import HostKeyChanged, HostKeyUnknown, LoginRefused, Unreachable
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from tests.rig.fleet import Fleet
from tests.rig.host import Host, run
from tests.support.waiting import LONG_S


def who(target: Target) -> str:
    with Connection(target) as connection:
        return connection.run(["id", "-un"], timeout_s=LONG_S).stdout.decode().strip()


def direct(fleet: Fleet, host: Host, **more: object) -> Target:
    """By address: nothing of the configuration applies."""
    given = {
        "user": "ops", "key_file": fleet.key, "known_hosts": fleet.known_hosts,
        "config_file": Path("/dev/null"),
    }  # fmt: skip
    return Target(host.address, **{**given, **more})  # type: ignore[arg-type]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key that no host knows."""
    path = tmp_path / "id_other"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
    return path


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An agent without keys, which `ssh-add` and we find by the environment."""
    socket = tmp_path / "agent"
    child = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout is not None
    child.stdout.readline()  # it listens now
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield socket
    child.terminate()
    child.wait()


def test_an_alias_of_the_configuration_is_enough(at_gpu1: Target) -> None:
    assert who(at_gpu1) == "ops"


def test_everything_can_be_given_without_a_configuration(fleet: Fleet, gpu1: Host) -> None:
    assert who(direct(fleet, gpu1, user="nobodyd")) == "nobodyd"


def test_an_unknown_host_key_is_refused_and_the_named_command_adds_it(
    fleet: Fleet, gpu1: Host, tmp_path: Path
) -> None:
    known_hosts = tmp_path / "known hosts"
    target = direct(fleet, gpu1, known_hosts=known_hosts)
    with pytest.raises(HostKeyUnknown) as caught:
        who(target)
    error = caught.value
    shown = gpu1.console("ssh-keygen", "-lf", "/system/ssh/host_ed25519.pub").decode().split()[1]
    assert (error.kind, error.host) == ("launch_failed", gpu1.address)
    assert shown in str(error)
    command = re.search(r"ssh-keyscan -H .*$", str(error))
    assert command is not None
    subprocess.run(["sh", "-c", command[0]], check=True, capture_output=True)
    assert who(target) == "ops"
    assert gpu1.address not in known_hosts.read_text()  # -H: hashed


def test_a_changed_host_key_is_another_error_that_names_both_keys_and_the_file(
    fleet: Fleet, gpu1: Host
) -> None:
    before = gpu1.console("ssh-keygen", "-lf", "/system/ssh/host_ed25519.pub").decode().split()[1]
    gpu1.new_host_key()
    after = gpu1.console("ssh-keygen", "-lf", "/system/ssh/host_ed25519.pub").decode().split()[1]
    try:
        with pytest.raises(HostKeyChanged, match="HAS CHANGED") as caught:
            who(direct(fleet, gpu1))
    finally:
        fleet.learn_host_keys()
    for part in (before, after, str(fleet.known_hosts), f"ssh-keygen -R {gpu1.address}"):
        assert part in str(caught.value)
    assert who(direct(fleet, gpu1)) == "ops"


def test_a_host_known_by_a_key_of_another_type_is_asked_for_that_one(
    fleet: Fleet, gpu1: Host, tmp_path: Path
) -> None:
    lines = fleet.known_hosts.read_text().splitlines()
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text("".join(f"{line}\n" for line in lines if "ecdsa" in line))
    assert who(direct(fleet, gpu1, known_hosts=known_hosts)) == "ops"


def test_a_revoked_host_key_is_refused(fleet: Fleet, gpu1: Host, tmp_path: Path) -> None:
    words = gpu1.console("cat", "/system/ssh/host_ed25519.pub").decode().split()
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"{fleet.known_hosts.read_text()}@revoked * {' '.join(words[:2])}\n")
    with pytest.raises(HostKeyChanged, match="revoked"):
        who(direct(fleet, gpu1, known_hosts=known_hosts))


def test_a_key_that_is_not_let_in_is_named_with_what_lets_it_in(
    fleet: Fleet, gpu1: Host, key: Path
) -> None:
    with pytest.raises(LoginRefused, match="does not let ops in") as caught:
        who(direct(fleet, gpu1, key_file=key))
    assert caught.value.kind == "launch_failed"
    assert str(key) in str(caught.value)
    assert f"add the line of {key}.pub to ~/.ssh/authorized_keys of ops" in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


def test_a_user_that_does_not_exist_is_not_let_in(fleet: Fleet, gpu1: Host) -> None:
    with pytest.raises(LoginRefused, match="does not let ghost in"):
        who(direct(fleet, gpu1, user="ghost"))


def test_a_key_file_that_cannot_be_used_is_told_from_one_that_is_refused(
    fleet: Fleet, gpu1: Host, tmp_path: Path
) -> None:
    locked, rubbish = tmp_path / "locked", tmp_path / "rubbish"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "geheim", "-f", locked])
    rubbish.write_text("no key")
    for file, reason in ((locked, "has a passphrase: ssh-add"), (rubbish, "is not a private key")):
        with pytest.raises(LoginRefused) as caught:
            who(direct(fleet, gpu1, key_file=file))
        assert f"{file} ({reason}" in str(caught.value)
        assert "geheim" not in str(caught.value)


def test_an_agent_lets_us_in_without_a_key_file(
    fleet: Fleet, gpu1: Host, agent: Path, key: Path
) -> None:
    target = direct(fleet, gpu1, key_file=None)
    with pytest.raises(LoginRefused):
        who(target)
    run(["ssh-add", "-q", key])  # a wrong one is offered first
    run(["ssh-add", "-q", fleet.key])
    assert who(target) == "ops"


def test_a_key_with_a_passphrase_works_through_the_agent(
    fleet: Fleet, gpu1: Host, agent: Path, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    shutil.copy2(fleet.key, locked)
    shutil.copy2(fleet.key.with_suffix(".pub"), f"{locked}.pub")
    run(["ssh-add", "-q", locked])
    run(["ssh-keygen", "-q", "-p", "-N", "geheim", "-f", locked])
    assert who(direct(fleet, gpu1, key_file=locked)) == "ops"


def test_a_dead_agent_is_no_obstacle(
    at_gpu1: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    assert who(at_gpu1) == "ops"


def test_a_jump_leads_to_a_host_behind_another(
    fleet: Fleet, gpu1: Host, gpu2: Host, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Include {fleet.ssh_config}\n"
        f"Host behind\n  HostName {gpu2.address}\n  ProxyJump gpu1\n  User ops\n"
        f"  IdentityFile {fleet.key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {fleet.known_hosts}\n"
    )
    with Connection(Target("behind", config_file=config)) as connection:
        done = connection.run(["sh", "-c", "hostname; echo $SSH_CONNECTION"], timeout_s=LONG_S)
    assert done.stdout.decode().split()[:2] == ["gpu2", gpu1.address]
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(
        "".join(ln for ln in fleet.known_hosts.open() if ln.startswith(gpu1.address))
    )
    target = Target("behind", config_file=config, known_hosts=known_hosts)
    with pytest.raises(HostKeyUnknown, match=f"ssh gpu1 ssh-keyscan .* {gpu2.address}"):
        who(target)
    gpu2.power_off()
    with pytest.raises(Unreachable) as caught:
        who(replace(target, connect_timeout_s=4))
    assert caught.value.host == "behind" and "gpu1" in str(caught.value)


def test_a_proxy_command_carries_the_connection(fleet: Fleet, gpu1: Host, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host gpu1\n  ProxyCommand busybox nc {gpu1.address} %p\n")
    config.write_text(config.read_text() + fleet.ssh_config.read_text())
    assert who(Target("gpu1", config_file=config)) == "ops"
