"""Doctor and carrier with this machine's other Docker client, on a host with an older daemon.

Where there is no other client, they are made with the daemon's own, as in `test_host`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cosmos_pipelines.backends.carriers.container import ORDER_LABEL
from cosmos_pipelines.backends.carriers.docker import DockerCarrier
from cosmos_pipelines.backends.carriers.docker_checks import DockerChecks
from cosmos_pipelines.backends.checks import Checked, Finding
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.commands import ContainerSpec
from cosmos_pipelines.remote.ssh.connection import Completed, Connection, Target
from cosmos_pipelines.settings import Docker, Settings
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.project import settings_in
from tests.support.waiting import LONG_S

ANSWERS = Path(__file__).parent.parent / "cases" / "docker" / "info.json"
CLIENTS = ("/usr/local/bin/docker", "/usr/bin/docker")
SETTINGS = """
[execution]
backend = "ssh_docker"
[remote]
host = "gpu1"
user = "{user}"
ssh_config = "{config}"
remote_dir = "cosmos"
[docker]
image = "cosmos-rig/preview:1"
"""
ENDS = """#!/bin/sh
case "$*" in "container inspect"*)
    echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1 ;;
esac
exec /usr/bin/docker "$@"
"""
"""A client whose daemon ends after it has listed the containers."""


@pytest.fixture
def host(gpu1: Host) -> Host:
    """A host whose users have this client."""
    gpu1.image("preview")
    client = next(path for path in CLIENTS if Path(path).exists())
    shutil.copy2(client, gpu1.root / "usr/local/bin/docker")
    return gpu1


@pytest.fixture
def settings(fleet: Fleet, tmp_path: Path) -> Settings:
    return settings_in(tmp_path / "home", SETTINGS.format(user="ops", config=fleet.ssh_config))


def failed(settings: Settings) -> dict[str, Checked]:
    return {c.name: c for c in examine(settings) if c.result == "fail"}


def test_where_docker_runs_nothing_is_wrong(host: Host, settings: Settings) -> None:
    assert failed(settings) == {}


def test_where_no_daemon_runs_docker_is_wrong(host: Host, settings: Settings) -> None:
    host.stop_docker()
    found = failed(settings)
    assert list(found) == ["Docker"]
    assert "Cannot connect to the Docker daemon" in found["Docker"].found
    assert "systemctl start docker" in found["Docker"].do


def test_where_the_user_may_not_use_docker_docker_is_wrong(
    host: Host, fleet: Fleet, tmp_path: Path
) -> None:
    text = SETTINGS.format(user="nobodyd", config=fleet.ssh_config)
    found = failed(settings_in(tmp_path / "home", text))
    assert list(found) == ["Docker"]
    assert "usermod -aG docker nobodyd" in found["Docker"].do


@pytest.mark.parametrize("name", ["rootless", "Podman's docker", "a warning before the answer"])
def test_an_answer_is_told_as_it_is(name: str) -> None:
    case = next(c for c in json.loads(ANSWERS.read_text()) if c["name"] == name)
    said = [case["stdout"].encode(), case["stderr"].encode()]
    done = Completed(case["exit_code"], said[0], said[1])

    def permission(containers: Docker) -> Finding:
        checks = DockerChecks(containers, "gpu1", lambda: "ops", lambda _: done, needs_gpu=False)
        return checks.permission()

    found = permission(Docker())
    expected = {"rootless": 'user = "0:0"', "Podman's docker": "Install Docker"}.get(name, "")
    assert (found.result == "fail") == bool(expected)
    assert expected in found.do
    root = permission(Docker(user="0:0"))
    assert (root.result == "fail") == (name == "Podman's docker")


def test_a_rootless_daemon_that_programs_over_ssh_do_not_find_is_named(
    host: Host, settings: Settings
) -> None:
    host.stop_docker()
    listen = (
        'd=/run/user/$(id -u ops); mkdir -p "$d"; chmod 755 /run/user "$d"; '
        'python3 -c "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])" '
        '"$d/docker.sock"'
    )
    host.console("sh", "-c", listen)
    try:
        do = failed(settings)["Docker"].do
    finally:
        host.console("sh", "-c", "rm -rf /run/user/$(id -u ops)")
    assert "A rootless daemon listens on /run/user/" in do
    assert "docker context use rootless" in do


def asked(connection: Connection, argv: list[str], **env: str) -> Completed:
    return connection.run(argv, timeout_s=LONG_S, env=env)


def test_a_warning_of_the_client_does_not_end_a_container(host: Host, fleet: Fleet) -> None:
    warns = "mkdir /data/odd && echo '{' >/data/odd/config.json && chmod -R a+rX /data/odd"
    host.console("sh", "-c", warns)
    with Connection(Target("gpu1", user="ops", config_file=fleet.ssh_config)) as connection:
        spec = ContainerSpec(name="here", image=host.image("busybox"), argv=("sleep", "60"),
                             gpus=None)  # fmt: skip
        assert asked(connection, docker.run_argv(spec)).exit_code == 0
        odd = {"DOCKER_CONFIG": "/data/odd"}
        assert b"WARNING" in asked(connection, docker.ps_argv(), **odd).stderr
        for name, state in (("here", b"running\n"), ("gone", b"absent\n")):
            assert asked(connection, DockerCarrier(Docker()).state(name), **odd).stdout == state


def test_a_daemon_that_ends_while_containers_are_listed_is_no_empty_list(
    gpu1: Host, fleet: Fleet
) -> None:
    carrier = DockerCarrier(Docker())
    with Connection(Target("gpu1", user="ops", config_file=fleet.ssh_config)) as connection:
        spec = ContainerSpec(name="here", image=gpu1.image("busybox"), argv=("sleep", "60"),
                             gpus=None, labels={ORDER_LABEL: "or_1"})  # fmt: skip
        assert asked(connection, docker.run_argv(spec)).exit_code == 0
        assert len(carrier.read_orders(asked(connection, carrier.list_orders()).stdout.decode()))
        client = gpu1.root / "usr/local/bin/docker"
        client.write_text(ENDS)
        client.chmod(0o755)
        done = asked(connection, carrier.list_orders())
        assert done.exit_code != 0
        assert carrier.error("gpu1", done.stderr.decode()).kind == "unreachable"
