"""Our argument vectors and a real Docker daemon: from start to end of a container."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.answers import (
    Container,
    DockerDaemon,
    parse_images,
    parse_info,
    parse_inspect,
)
from cosmos_pipelines.remote.docker.commands import ContainerSpec, Mount
from cosmos_pipelines.remote.docker.problems import Problem, parse_problem
from cosmos_pipelines.remote.gpu import GpuReader
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from cosmos_pipelines.remote.ssh.openssh import OpenSsh
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.waiting import LONG_S


@pytest.fixture
def ops(fleet: Fleet, gpu1: Host) -> Iterator[Connection]:
    """The user of gpu1 who may use Docker."""
    with Connection(Target("gpu1", config_file=fleet.ssh_config)) as connection:
        yield connection
    OpenSsh.of(connection.target).close()
    OpenSsh.of.cache_clear()


@pytest.fixture
def spec(gpu1: Host) -> ContainerSpec:
    """A container that waits; `--ipc=host` and a GPU as in a real run."""
    return ContainerSpec(
        name="cosmos_rs_1",
        image=gpu1.image("busybox"),
        argv=("sleep", "60"),
        labels={"cosmos.run_id": "rs_1", "cosmos.operation": "transfer"},
        init=True,
    )


def ask(connection: Connection, argv: list[str]) -> str:
    done = connection.run(argv, timeout_s=LONG_S)
    assert done.exit_code == 0, done.stderr.decode()
    return done.stdout.decode()


def refused(connection: Connection, argv: list[str]) -> Problem:
    done = connection.run(argv, timeout_s=LONG_S)
    assert done.exit_code != 0
    return parse_problem(done.stderr.decode())


def kind_of_info(connection: Connection) -> str:
    done = connection.run(docker.info_argv(), timeout_s=LONG_S)
    answer = parse_info(done.exit_code, done.stdout.decode(), done.stderr.decode())
    assert isinstance(answer, Problem)
    return answer.kind


def looked_at(connection: Connection, name: str) -> Container:
    (container,) = parse_inspect(ask(connection, docker.inspect_argv(name)))
    return container


def test_a_container_is_started_found_stopped_and_removed(
    ops: Connection, spec: ContainerSpec
) -> None:
    started = ask(ops, docker.run_argv(spec)).strip()
    container = looked_at(ops, spec.name)
    assert (container.id, container.name, container.alive) == (started, spec.name, True)
    assert container.labels == spec.labels
    assert container.started_at is not None
    wanted = {"cosmos.run_id": "rs_1", "cosmos.operation": None}
    assert ask(ops, docker.ps_argv(wanted, running=True)).split() == [started]
    assert ask(ops, docker.ps_argv({"cosmos.run_id": "rs"})) == ""
    ask(ops, docker.stop_argv(spec.name, 5))
    assert ask(ops, docker.wait_argv(spec.name)) == "143\n"
    container = looked_at(ops, spec.name)
    assert (container.status, container.alive) == ("exited", False)
    assert refused(ops, docker.kill_argv(spec.name)).kind == "not_running"
    ask(ops, docker.rm_argv(spec.name))
    assert refused(ops, docker.inspect_argv(spec.name)).kind == "no_container"


def test_a_second_start_of_the_same_name_is_refused(ops: Connection, spec: ContainerSpec) -> None:
    ask(ops, docker.run_argv(spec))
    assert refused(ops, docker.run_argv(spec)).kind == "name_taken"


def test_results_belong_to_the_user_and_paths_may_be_odd(
    ops: Connection, spec: ContainerSpec
) -> None:
    user = ":".join(ask(ops, ["id", flag]).strip() for flag in ("-u", "-g"))
    place = '/home/ops/it\'s, a:"place"'
    ask(ops, ["mkdir", place])
    odd = replace(
        spec,
        user=user,
        argv=("sh", "-c", 'echo "$WORD" >out; touch /read/x'),
        env={"WORD": "a b=c"},
        workdir="/a, b:c",
        mounts=(Mount(place, "/a, b:c"), Mount(place, "/read", read_only=True)),
    )
    ask(ops, docker.run_argv(odd))
    assert ask(ops, docker.wait_argv(spec.name)) == "1\n"
    assert "Read-only" in ops.run(docker.logs_argv(spec.name), timeout_s=LONG_S).stderr.decode()
    assert ask(ops, ["cat", f"{place}/out"]) == "a b=c\n"
    assert ask(ops, ["stat", "-c", "%u:%g", f"{place}/out"]).strip() == user


def test_what_docker_refuses_is_told_apart(ops: Connection, spec: ContainerSpec) -> None:
    gone = replace(spec, image="sha256:" + "0" * 64)
    assert refused(ops, docker.run_argv(gone)).kind == "no_image"
    assert refused(ops, docker.run_argv(replace(spec, image="no/such:1"))).kind == "no_image"
    assert refused(ops, docker.image_argv("no/such:1")).kind == "no_image"
    lost = replace(spec, mounts=(Mount("/home/ops/gone", "/x"),))
    assert refused(ops, docker.run_argv(lost)).kind == "bad_mount"
    absent = replace(spec, argv=("no-such-program",), init=False)
    assert refused(ops, docker.run_argv(absent)).kind == "no_program"
    container = looked_at(ops, spec.name)
    assert (container.status, container.started_at) == ("created", None)


def test_a_user_outside_the_group_and_a_stopped_daemon_are_told(
    fleet: Fleet, gpu1: Host, ops: Connection
) -> None:
    with Connection(Target("gpu1", user="nobodyd", config_file=fleet.ssh_config)) as outsider:
        assert refused(outsider, docker.ps_argv()).kind == "not_permitted"
        assert kind_of_info(outsider) == "not_permitted"
    gpu1.stop_docker()
    assert refused(ops, docker.ps_argv()).kind == "daemon_down"
    assert kind_of_info(ops) == "daemon_down"
    gpu1.start_docker()


def test_memory_that_runs_out_is_seen(ops: Connection, spec: ContainerSpec, gpu1: Host) -> None:
    """With cgroups v2 Docker may read of the exit first, and then does not note it."""

    def seen(number: int) -> bool:
        name = f"eats{number}"
        eats = ["docker", "run", f"--name={name}", "-m", "16m", spec.image, "tail", "/dev/zero"]
        assert ops.run(eats, timeout_s=LONG_S).exit_code == 137
        return looked_at(ops, name).oom_killed

    assert any(map(seen, range(10)))


def test_a_power_cut_is_seen(ops: Connection, spec: ContainerSpec, gpu1: Host) -> None:
    ask(ops, docker.run_argv(spec))
    gpu1.power_off()
    gpu1.boot()
    container = looked_at(ops, spec.name)
    assert (container.status, container.alive) == ("exited", False)


def test_daemon_images_and_gpus_are_described(
    ops: Connection, spec: ContainerSpec, gpu1: Host
) -> None:
    daemon = parse_info(0, ask(ops, docker.info_argv()), "")
    assert isinstance(daemon, DockerDaemon)
    assert (daemon.root, daemon.live_restore) == ("/var/lib/docker", False)
    assert "runc" in daemon.runtimes
    (image,) = parse_images(ask(ops, docker.image_argv(spec.image)))
    assert (image.id, image.digest) == (spec.image, spec.image)
    reader = GpuReader(lambda argv: ops.run(argv, timeout_s=LONG_S), keep_s=0)
    assert reader.read().gpus[0].memory_total_mib == 81559
    gpu1.gpu(broken=True)
    assert "Unable to determine" in (reader.read().problem or "")
    gpu1.without_gpu()
    assert "no NVIDIA driver" in (reader.read().problem or "")
