"""What the Docker carrier reads of containers: those of others may have any name and label."""

from __future__ import annotations

import json

import pytest

from cosmos_pipelines.backends.carriers.base import project_of
from cosmos_pipelines.backends.carriers.container import ORDER_LABEL, PROJECT_LABEL, RUNS_LABEL
from cosmos_pipelines.backends.carriers.docker import DockerCarrier
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.operate.kill import kill_stray
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.settings import Docker
from tests.support.gpu_host import RemoteProject

ODD = ["a\tb\tc", "line\nrs_1", 'quote"\\', "../../etc", "", "x" * 5000, "\x1b[31mred", "batch 1"]


def carrier() -> DockerCarrier:
    return DockerCarrier(Docker())


@pytest.mark.parametrize("label", ODD)
def test_a_malformed_label_is_passed_over_and_those_beside_it_are_read(label: str) -> None:
    odd = json.dumps(["/theirs", label, label, label, "running", "0001-01-01T00:00:00Z"])
    ours = json.dumps(
        ["/cosmos-rs_1", "rs_1", "p", "rs_1", "exited", "2026-01-01T00:00:00.123456789Z"]
    )
    nobody, known = carrier().read_orders(f"{odd}\n{ours}\n")
    assert (nobody.order_id, nobody.project, nobody.state) == ("", "", "running")
    assert (known.order_id, known.project, known.state) == ("rs_1", "p", "ended")
    active = f"{json.dumps(['theirs', label])}\n{json.dumps(['cosmos-rs_1', 'rs_1'])}\nnoise\n"
    assert carrier().read_running(active) == ["rs_1"]


@pytest.mark.parametrize("word", ["stopping", "Up 3 hours", "", "RUNNING"])
def test_a_state_that_docker_never_named_before_is_no_end(word: str) -> None:
    with pytest.raises(BackendError, match="Docker's answer cannot be read"):
        carrier().read(json.dumps([container_in(word)]))
    listed = json.dumps(["/cosmos-rs_1", "rs_1", "p", "rs_1", word, "0001-01-01T00:00:00Z"])
    assert carrier().read_orders(listed)[0].state == "running"
    assert carrier().read(json.dumps([container_in("exited")])).state == "ended"


def container_in(state: str) -> dict[str, object]:
    labels = {ORDER_LABEL: "rs_1"}
    return {
        "Id": "a1", "Name": "/cosmos-rs_1", "State": {"Status": state}, "Config": {"Labels": labels}
    }  # fmt: skip


def test_a_container_that_has_our_labels_and_another_name_is_not_ours() -> None:
    copied = json.dumps(["/copy", "rs_1", "p", "rs_1", "exited", "2026-01-01T00:00:00Z"])
    (found,) = carrier().read_orders(copied)
    assert found.order_id == ""
    assert carrier().read_running(json.dumps(["copy", "rs_1"])) == []


def test_containers_of_others_with_odd_labels_hinder_neither_status_nor_kill(
    remote: RemoteProject,
) -> None:
    project = project_of(remote.settings.home)
    run = ["run", "--detach", "--pull=never", "--entrypoint=/bin/sleep"]
    for n, label in enumerate(ODD):
        labels = [f"--label={key}={label}" for key in (ORDER_LABEL, RUNS_LABEL)]
        labels.append(f"--label={PROJECT_LABEL}={project}")
        remote.host.docker(*run, f"--name=other{n}", *labels, "cosmos-rig/preview:1", "600")
    stray = [f"--label={ORDER_LABEL}=rs_stray", f"--label={PROJECT_LABEL}={project}"]
    remote.host.docker(*run, "--name=cosmos-rs_stray", *stray, "cosmos-rig/preview:1", "600")
    left = status(remote.catalog, remote.settings)["left"]
    assert [(one["what"], one["id"]) for one in left] == [("stray", "rs_stray")]
    assert kill_stray(remote.catalog, remote.settings) == ["rs_stray"]
    running = remote.host.docker("ps", "--format={{.Names}}").split()
    assert sorted(running) == sorted(f"other{n}" for n in range(len(ODD)))
    assert [order.order_id for order in remote.backend.kept()] == ["rs_stray"]
