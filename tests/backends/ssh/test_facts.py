"""What a GPU host tells of itself: its GPUs, and what explains a failure. On real hosts."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.operate.why import explain
from cosmos_pipelines.operations.base import Job, Order
from cosmos_pipelines.runs.bundle import bundle
from tests.backends.ssh.test_backend import order
from tests.support.gpu_host import STAND_IN, RemoteProject
from tests.support.stand_in_engine import StandIn


class OnGpu(StandIn):
    """The stand-in with a GPU and a secret."""

    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """The stand-in's order, with both."""
        order = super().compile(jobs, order_id)
        env = {**order.env, "HF_TOKEN": "hf_ABCDEFGHIJKLMNOP"}
        return order.model_copy(update={"gpus": 1, "env": env})


@pytest.fixture
def on_gpu(remote: RemoteProject) -> RemoteProject:
    """The remote project, whose model asks for a GPU."""
    ENGINES["stand_in"] = OnGpu(program=STAND_IN)
    return remote


def place(project: RemoteProject) -> dict[str, object]:
    """What status says of the host."""
    (found,) = status(project.catalog, project.settings)["places"]
    return dict(found)


def test_status_shows_the_gpus_of_the_host(remote: RemoteProject) -> None:
    found = place(remote)
    assert (found["host"], found["problem"], found["gpu_problem"]) == ("gpu1", None, None)
    (gpu,) = found["gpus"]  # type: ignore[misc]
    assert (gpu["name"], gpu["memory_used_mib"]) == ("Simulated H100 80GB", 612)


def test_a_broken_driver_is_reported_and_nothing_else_suffers(remote: RemoteProject) -> None:
    remote.host.gpu(broken=True)
    found = place(remote)
    assert (found["gpus"], found["problem"]) == ([], None)
    assert "Unable to determine the device handle" in str(found["gpu_problem"])


def test_a_host_without_gpu_is_reported(remote: RemoteProject) -> None:
    remote.host.without_gpu()
    assert "no NVIDIA driver" in str(place(remote)["gpu_problem"])


def test_gpus_are_told_also_where_docker_cannot_be_used(remote: RemoteProject) -> None:
    remote.host.stop_docker()
    found = place(remote)
    assert "docker" in str(found["problem"]).lower()
    assert len(found["gpus"]) == 1  # type: ignore[arg-type]


def test_a_host_without_power_is_reported_as_unreachable(remote: RemoteProject) -> None:
    remote.host.power_off()
    assert "gpu1" in str(place(remote)["problem"])


def test_a_container_that_no_run_owns_is_a_stray_container(remote: RemoteProject) -> None:
    work = order("sleep", "600")
    remote.backend.launch(work)
    (left,) = status(remote.catalog, remote.settings)["left"]
    assert (left["what"], left["id"], left["do"]) == ("stray", work.id, "cosmos kill --stray")
    assert "runs on gpu1" in left["found"]


def test_a_killed_container_has_vanished(remote: RemoteProject) -> None:
    run = remote.pending("hang")
    with remote.in_another_process(run) as process:
        while remote.catalog.get_run(run.id).status != "running":
            assert process.poll() is None
        process.kill()
    remote.host.docker("kill", f"cosmos-{run.id}")
    (left,) = status(remote.catalog, remote.settings)["left"]
    assert (left["what"], left["do"]) == ("vanished", f"cosmos run {run.id}")
    assert left["found"] == "says running, but its order does not run on gpu1"


def test_a_run_on_the_host_keeps_what_it_took_of_its_gpu(on_gpu: RemoteProject) -> None:
    on_gpu.host.gpu("0, Fake A, 81559, 70000, 97, 41, 92.1, 550, GPU-0\n"
                    "1, Fake B, 81559, 10, 1, 41, 92.1, 550, GPU-1\n")  # fmt: skip
    (run,) = on_gpu.execute(on_gpu.pending("slow 0.3"))
    assert run.status == "completed", run.error_message
    assert run.outputs["gpu"] == {
        "name": "Fake A", "peak_memory_mib": 70000, "peak_load_percent": 97
    }  # fmt: skip


def test_a_failure_on_the_host_leaves_all_that_explains_it(on_gpu: RemoteProject) -> None:
    (run,) = on_gpu.execute(on_gpu.pending("oom"))
    assert (run.status, run.error_kind) == ("failed", "out_of_memory")
    files = bundle(on_gpu.settings, run.id)
    texts = {name: file.read_text() for name, file in files.items()}
    (container,) = json.loads(texts["container.json"])
    assert container["Name"] == f"/cosmos-{run.id}"
    assert container["State"]["ExitCode"] == 1
    assert "Simulated H100" in texts["gpu.txt"]
    assert "/data" in texts["disk.txt"]
    assert "MemTotal" in texts["memory.txt"]
    assert texts["folder/exit_code"].strip() == "1"
    assert json.loads(texts["docker.json"])["ServerVersion"]
    assert f"/data/cosmos/runs/{run.id}" in texts["ssh.txt"]
    assert json.loads(texts["order.json"])["run_ids"] == [run.id]
    assert {"system.txt", "dmesg.txt", "log_tail.txt", "versions.json"} <= set(texts)
    assert not [name for name, text in texts.items() if "hf_ABC" in text]
    told = explain(on_gpu.catalog, on_gpu.settings, run.id)
    assert any("OutOfMemoryError" in one["text"] for one in told["evidence"])


def test_a_container_that_cannot_be_started_is_explained(on_gpu: RemoteProject) -> None:
    hook = on_gpu.host.root / "usr/bin/nvidia-container-runtime-hook"
    aside = hook.rename(hook.with_name("hook.aside"))
    on_gpu.host.restart_docker()
    try:
        (run,) = on_gpu.execute(on_gpu.pending("works"))
    finally:
        aside.rename(hook)
        on_gpu.host.restart_docker()
    assert (run.status, run.error_kind) == ("failed", "launch_failed")
    told = explain(on_gpu.catalog, on_gpu.settings, run.id)
    assert "nvidia-container-toolkit" in told["cause"]
    assert told["next"][0]["command"] == "cosmos doctor"
    files = bundle(on_gpu.settings, run.id)
    assert "never started" in files["notes.txt"].read_text()
    assert "order.json" in files
