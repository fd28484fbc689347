"""What Docker is told of an order, without a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.backends.carriers.base import OrderPaths, project_of
from cosmos_pipelines.backends.carriers.container import image_of, spec_of
from cosmos_pipelines.backends.ssh.script import start
from cosmos_pipelines.backends.tar_bundle import scripts_bundle
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.operations import Order
from cosmos_pipelines.remote.docker.answers import Image
from cosmos_pipelines.remote.docker.commands import ContainerSpec, run_argv
from cosmos_pipelines.settings import Docker
from tests.support.project import settings_in

IMAGE = Image("sha256:" + "a" * 64, ("nvcr.io/x@sha256:" + "b" * 64,), 1)


def order(**fields: object) -> Order:
    """An order of two runs."""
    given = {"id": "batch_1", "run_ids": ("rs_1", "rs_2"), "engine": "cosmos", "inputs": {},
             "model_type": "transfer", "argv": ("{python}", "{scripts}/x.py", "{run}/r.json"),
             "expected": (), "labels": {"prompt_id": "ps_1"}}  # fmt: skip
    return Order(**{**given, **fields})


def spec(docker: Docker, work: Order | None = None) -> ContainerSpec:
    """The container of an order."""
    places = OrderPaths(
        root="/d", scripts="/d/scripts/1", user="1000:1000", project="p", gpus="{gpus,1}"
    )
    return spec_of(work or order(), docker, IMAGE, places)


def test_a_container_is_named_and_marked_after_its_order() -> None:
    made = spec(Docker())
    assert made.name == "cosmos-batch_1"
    assert made.labels["cosmos.run_id"] == "rs_1,rs_2"
    assert made.labels["cosmos.prompt_id"] == "ps_1"
    assert made.labels["cosmos.operation"] == "transfer"
    assert made.labels["cosmos.image"] == IMAGE.digests[0]
    assert made.image == IMAGE.id


def test_the_program_runs_under_our_script_as_who_logs_in() -> None:
    words = run_argv(spec(Docker(python="/opt/python")))
    at = words.index(IMAGE.id)
    assert words[at + 1 :] == ["/cosmos/scripts/run.sh", "/cosmos/run", "--", "/opt/python",
                               "/cosmos/scripts/x.py", "/cosmos/run/r.json"]  # fmt: skip
    assert "--entrypoint=/bin/sh" in words
    assert "--user=1000:1000" in words
    assert "--pull=never" in words


def test_the_gpus_are_those_that_the_host_chooses_in_the_moment_of_the_start() -> None:
    words = run_argv(spec(Docker(), order(gpus=2)))
    argv = start("/d", "o", "t", "s", [], choose=["true"], chosen="{gpus,1}", start=words)
    assert """'--gpus="device='"$gpus"'"'""" in argv[2]
    assert "'--label=cosmos.gpus='\"$gpus\"''" in argv[2]
    assert "{gpus,1}" not in argv[2]
    none = run_argv(spec(Docker(gpus="all"), order(gpus=0)))
    assert not [word for word in none if "gpus" in word]


def test_mounts_and_environment_of_the_settings_come_to_ours() -> None:
    docker = Docker(mounts=("/w:/weights:ro",), env={"A": "1"}, env_file="/home/me/secrets")
    words = run_argv(spec(docker, order(env={"A": "2"})))
    assert "--mount=type=bind,src=/w,dst=/weights,ro" in words
    assert "--env=A=2" in words  # the order knows better
    assert "--env-file=/home/me/secrets" in words


def test_an_engine_may_have_an_image_of_its_own() -> None:
    docker = Docker(image="one", images={"cosmos3": "three"})
    assert image_of(docker, "cosmos3") == "three"
    assert image_of(docker, "preview") == "one"
    with pytest.raises(SettingsError, match="No image is set for preview"):
        image_of(Docker(), "preview")


def test_projects_are_told_apart(tmp_path: Path) -> None:
    assert project_of(tmp_path / "a") == project_of(tmp_path / "a")
    assert project_of(tmp_path / "a") != project_of(tmp_path / "b")


def test_scripts_are_named_by_their_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.py").write_text("1")
    assert scripts_bundle(tmp_path / "a") == scripts_bundle(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "x.py").write_text("2")
    assert scripts_bundle(tmp_path / "c").name != scripts_bundle(tmp_path / "a").name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('mounts = ["weights:/w"]', "is not '/on/the/host:/in/the/container"),
        ('mounts = ["/w:/w:rx"]', "is not '/on/the/host:/in/the/container"),
        ('env_file = "secrets"', "must be absolute"),
        ('user = "me"', "must be two numbers"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        settings_in(tmp_path, f"[docker]\n{line}\n")
    assert "cosmos.toml, line 2" in caught.value.message
