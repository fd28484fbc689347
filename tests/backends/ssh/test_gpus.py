"""GPUs of a host are held by the containers that run there: no two orders ever share one."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_pipelines.backends.carriers.docker import DockerCarrier
from cosmos_pipelines.backends.carriers.gpu_choice import GPUS_LOCK
from cosmos_pipelines.backends.registry import host_backend
from cosmos_pipelines.backends.ssh.backend import SshBackend
from cosmos_pipelines.errors import BackendError, GpusBusy, StateError
from cosmos_pipelines.operations import Order, Video
from cosmos_pipelines.settings import Docker
from tests.rig.fleet import Fleet
from tests.rig.host import Host
from tests.support.gpu_host import RemoteProject
from tests.support.project import settings_in

_ids = itertools.count(1)
ROUNDS = int(os.environ.get("COSMOS_ROUNDS", "2"))
PLACES = {"one": "[1]", "wrong": "[1, 5]"}
CARD = "{}, Simulated H100 80GB, 81559, 612, 3, 41, 92.10, 550.54.15, GPU-{}\n"


def order(gpus: int = 1, *argv: str) -> Order:
    """An order that holds its GPUs until it is stopped."""
    run_id = f"rs_{next(_ids):032x}"
    facts = {"engine": "none", "model_type": "transfer", "inputs": {}, "expected": ()}
    return Order(id=run_id, run_ids=(run_id,), argv=argv or ("sleep", "600"), gpus=gpus, **facts)


def with_gpus(host: Host, count: int) -> None:
    host.gpu("".join(CARD.format(i, i) for i in range(count)))


def given(host: Host, work: Order) -> tuple[str, str]:
    """The GPUs that the daemon was asked for, and what the label says."""
    asked = "{{json .HostConfig.DeviceRequests}}"
    (request,) = json.loads(host.docker("inspect", f"--format={asked}", f"cosmos-{work.id}"))
    said = '{{index .Config.Labels "cosmos.gpus"}}'
    label = host.docker("inspect", f"--format={said}", f"cosmos-{work.id}")
    return ",".join(request["DeviceIDs"]), label


@pytest.fixture
def other(remote: RemoteProject, fleet: Fleet) -> Iterator[SshBackend]:
    """A client of another user of the host, with another directory there."""
    target = replace(remote.backend.host.connection.target, user="root")
    carrier = DockerCarrier(Docker(image="cosmos-rig/preview:1"))
    with closing(SshBackend("b", target, "/root/cosmos", carrier, "another")) as backend:
        yield backend


def test_two_users_that_start_at_the_same_moment_never_share_a_gpu(
    remote: RemoteProject, other: SshBackend
) -> None:
    with_gpus(remote.host, 2)
    for _ in range(ROUNDS):
        works = [order(), order()]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda b, work: b.launch(work), (remote.backend, other), works))
        held = [given(remote.host, work) for work in works]
        assert sorted(held) == [("0", "0"), ("1", "1")]
        remote.host.docker("rm", "--force", *(f"cosmos-{work.id}" for work in works))


def test_of_many_that_want_the_last_gpu_one_gets_it_and_the_others_start_nothing(
    remote: RemoteProject, other: SshBackend
) -> None:
    with_gpus(remote.host, 1)
    with closing(host_backend(remote.settings)) as third:
        clients, works = (remote.backend, other, third), [order() for _ in range(3)]

        def launched(client: SshBackend, work: Order) -> bool:
            try:
                client.launch(work)
            except GpusBusy as e:
                assert "GPU 0 is used by the container cosmos-rs_" in e.message
                return False
            return True

        with ThreadPoolExecutor() as pool:
            assert sum(pool.map(launched, clients, works)) == 1
    assert len(remote.containers()) == 1
    assert len(remote.left_on_host()) <= 1


def test_the_lock_belongs_to_nobody_and_follows_no_link(
    remote: RemoteProject, other: SshBackend
) -> None:
    lock = remote.host.root / GPUS_LOCK.lstrip("/")
    remote.host.console("rm", "-f", GPUS_LOCK)
    remote.host.console("ln", "-s", "/data/victim", GPUS_LOCK)
    with pytest.raises(
        BackendError, match=r"The lock of the GPUs of gpu1 cannot be used: .*victim"
    ):
        remote.backend.launch(order())
    assert not (remote.host.root / "data/victim").exists()
    assert remote.containers() == []
    remote.host.console("rm", "-f", GPUS_LOCK)
    remote.backend.launch(order())
    assert (lock.stat().st_uid, lock.stat().st_mode & 0o777) == (2001, 0o666)
    with_gpus(remote.host, 2)
    other.launch(order())


def test_an_order_waits_with_its_files_there_and_then_starts_without_another_upload(
    remote: RemoteProject, tmp_path: Path
) -> None:
    first, path = order(), tmp_path / "c.mp4"
    path.write_bytes(b"pixels")
    sha256 = hashlib.sha256(b"pixels").hexdigest()
    shape = {"width": 64, "height": 48, "frames": 2, "fps": "24"}
    video = Video(path=str(path), sha256=sha256, size=6, **shape)
    waiting = order(1, "cat", "inputs/c.mp4").model_copy(update={"inputs": {"c.mp4": video}})
    calls: list[str] = []
    remote.backend.launch(first)
    for _ in range(2):
        with pytest.raises(GpusBusy, match=f"GPU 0 is used by the container cosmos-{first.id}"):
            remote.backend.launch(waiting, lambda: calls.append("start"))
    assert calls == []
    assert remote.left_on_host() == [first.id]
    assert (remote.host.root / "data/cosmos/cas" / video.sha256).read_bytes() == b"pixels"
    path.unlink()
    remote.host.docker("rm", "--force", f"cosmos-{first.id}")
    path.write_bytes(b"pixels")
    handle = remote.backend.launch(waiting, lambda: calls.append("start"))
    assert b"".join(remote.backend.follow(handle)) == b"pixels"
    assert calls == ["start"]


def test_what_is_raised_before_the_start_starts_nothing(remote: RemoteProject) -> None:
    work = order()

    def paused() -> None:
        raise StateError("The queue is paused.")

    with pytest.raises(StateError, match="paused"):
        remote.backend.launch(work, paused)
    assert remote.containers() == remote.left_on_host() == []
    assert remote.backend.find(work.id) is None


def test_another_users_process_on_a_gpu_is_told_and_not_collided_with(
    remote: RemoteProject,
) -> None:
    with_gpus(remote.host, 2)
    apps = remote.host.root / "opt/rig/apps.csv"
    apps.write_text("1, 20480, GPU-0\n")
    work = order()
    remote.backend.launch(work)
    assert given(remote.host, work) == ("1", "1")
    with pytest.raises(GpusBusy) as busy:
        remote.backend.launch(order())
    said = "GPU 0 is used by the process 1 of root, 20480 MiB; GPU 1 is used by the container"
    assert said in busy.value.message
    apps.unlink()
    remote.backend.launch(order())


def test_a_container_of_an_earlier_version_holds_what_it_was_given(
    remote: RemoteProject,
) -> None:
    run = ["run", "--detach", "--pull=never", "--entrypoint=/bin/sleep", "--name=cosmos-old"]
    labels = ["--label=cosmos.order_id=old", "--label=cosmos.project=theirs"]
    remote.host.docker(*run, *labels, "--gpus=all", "cosmos-rig/preview:1", "600")
    with pytest.raises(GpusBusy, match="GPU 0 is used by the container cosmos-old"):
        remote.backend.launch(order())
    remote.host.docker("rm", "--force", "cosmos-old")
    remote.backend.launch(order())


def test_the_gpus_of_an_order_are_those_that_it_was_given_also_for_who_adopts_it(
    remote: RemoteProject,
) -> None:
    with_gpus(remote.host, 3)
    works = [order(), order(2)]
    for work in works:
        remote.backend.launch(work)
    with closing(host_backend(remote.settings)) as adopting:
        for backend in (remote.backend, adopting):
            for work, ids in zip(works, ([0], [1, 2]), strict=True):
                assert backend.find(work.id) is not None
                assert [gpu.index for gpu in backend.gpus(work).gpus] == ids


def test_a_place_gives_only_the_gpus_that_it_may_and_names_one_that_is_not_there(
    remote: RemoteProject, fleet: Fleet
) -> None:
    with_gpus(remote.host, 2)
    config = f'host = "gpu1"\nssh_config = "{fleet.ssh_config}"\n'
    image = 'image = "cosmos-rig/preview:1"\n'
    named = "".join(
        f'[hosts.{n}]\nremote_dir = "/data/{n}"\n{config}{image}gpus = {ids}\n'
        for n, ids in PLACES.items()
    )
    settings = settings_in(remote.settings.home.parent / "named", named)
    work = order()
    with closing(host_backend(settings, "one")) as backend:
        backend.launch(work)
        assert given(remote.host, work) == ("1", "1")
    with closing(host_backend(settings, "wrong")) as backend:
        with pytest.raises(BackendError) as refused:
            backend.launch(order())
        assert refused.value.message == "gpu1 has no GPU 5: it has 0, 1."
        with pytest.raises(BackendError, match="needs 3 GPUs of gpu1, where it may use 2: 0, 1"):
            remote.backend.launch(order(3))
    assert remote.containers() == [f"cosmos-{work.id}"]
    assert remote.left_on_host() == []
