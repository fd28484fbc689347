"""Jobs whose program runs in Docker on the node; the node is a host of the rig, without Slurm."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.backends.carriers.base import OrderPaths
from cosmos_pipelines.backends.carriers.slurm.job import script_of
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.ssh.connection import Connection
from cosmos_pipelines.settings import Docker
from cosmos_pipelines.settings_hosts import Slurm
from tests.rig.host import Host
from tests.support.waiting import LONG_S, until

ROOT = Path(__file__).resolve().parents[4]
FOLDER = "/data/cosmos"
NAME = "cosmos-rs_1"


class Node:
    """A node that executes the script of a job."""

    def __init__(self, host: Host, connection: Connection) -> None:
        self.host, self.connection = host, connection
        self.run = host.root / FOLDER.lstrip("/") / "runs/rs_1"
        host.image("preview")
        script = (ROOT / "gpu_scripts/run.sh").read_text()
        made = f"{FOLDER}/slurm {FOLDER}/scripts/x {FOLDER}/runs/rs_1/inputs"
        text = f"mkdir -p {made} && cat >{FOLDER}/scripts/x/run.sh"
        done = connection.run(["sh", "-c", text], timeout_s=LONG_S, input=script.encode())
        assert done.exit_code == 0, done.stderr
        self.user = connection.run(["sh", "-c", "echo $(id -u):$(id -g)"], timeout_s=LONG_S)

    def start(self, program: str) -> None:
        """Start the job of an order whose program is this."""
        order = Order(
            id="rs_1", run_ids=("rs_1",), engine="none", model_type="transfer", inputs={},
            argv=("sh", "-c", program), expected=(), gpus=1,
        )  # fmt: skip
        containers = Docker(ulimits=(), ipc=None, shm_size=None)
        places = OrderPaths(FOLDER, f"{FOLDER}/scripts/x", self.user.stdout.decode().strip(), "p1")
        text = script_of(
            order, Slurm(images="docker"), containers, "cosmos-rig/preview:1", places,
            token="t1", beat_s=1,
        )  # fmt: skip
        record = f"echo {NAME}.t1 >{FOLDER}/slurm/{NAME}"
        job = f"SLURM_JOB_GPUS=1 setsid sh -c {shlex.quote(text)} </dev/null >/dev/null 2>&1 &"
        done = self.connection.run(["sh", "-c", f"{record}; {job}"], timeout_s=LONG_S)
        assert done.exit_code == 0, done.stderr

    def containers(self) -> list[str]:
        """The names of all containers."""
        return self.host.docker("ps", "--all", "--format={{.Names}}").split()


@pytest.fixture
def node(gpu1: Host, connection: Connection) -> Iterator[Node]:
    """The node; its folders are removed by the healing of the host."""
    yield Node(gpu1, connection)
    gpu1.remove(FOLDER)


def test_a_container_has_the_gpus_of_the_job_and_is_removed_at_its_end(node: Node) -> None:
    node.start("echo gpus $NVIDIA_VISIBLE_DEVICES")
    until((node.run / "exit_code").exists, "the end")
    assert (node.run / "run.log").read_text() == "gpus 1\n"
    assert (node.run / "exit_code").read_text() == "0\n"
    until(lambda: not node.containers(), "the removal")
    until(lambda: not (node.run / "beat").exists(), "the last beat")


def test_a_container_ends_when_its_job_is_killed(node: Node) -> None:
    node.start("echo begun; sleep 300")
    until(lambda: (node.run / "run.log").exists() and (node.run / "run.log").read_text(), "a line")
    node.host.kill(*node.host.pids("docker"))  # the client, as Slurm kills all that it knows
    until(lambda: not node.containers(), "the end of the container")


def test_a_container_is_asked_to_end_through_the_shared_folder(node: Node) -> None:
    node.start("trap 'echo asked; exit 5' TERM; echo begun; sleep 300 & wait")
    until(lambda: (node.run / "run.log").exists() and (node.run / "run.log").read_text(), "a line")
    node.host.console("sh", "-c", f"echo cancelled >{FOLDER}/runs/rs_1/stop")
    until((node.run / "exit_code").exists, "the end")
    assert "asked" in (node.run / "run.log").read_text()
    until(lambda: not node.containers(), "the removal")
