"""Argument vectors: exact ones as JSON cases, and what the real Docker client makes of them.

A case in `tests/cases/docker/run_*.json` has `spec` and either `argv` or `refused`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.remote.docker import commands as docker
from cosmos_pipelines.remote.docker.commands import ContainerSpec, Mount
from tests.support.docker_listener import DockerListener

CASES = sorted((Path(__file__).parent.parent.parent / "cases" / "docker").glob("run_*.json"))

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
paths = st.text(
    st.characters(min_codepoint=32, exclude_characters="\0/", exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=40,
).map(lambda name: f"/{name}")
# The daemon cleans paths and the client trims blanks round them; ours have neither.
mountable = paths.filter(lambda p: p == p.strip() and p.strip("/") not in (".", ".."))


def spec_of(facts: dict[str, Any]) -> ContainerSpec:
    """The spec of a case; lists become tuples."""
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    return ContainerSpec(**plain | {"mounts": tuple(Mount(**m) for m in facts.get("mounts", []))})


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_vector_is_exactly_that_of_the_case(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    if "refused" in case:
        with pytest.raises(InputError) as refusal:
            docker.run_argv(spec_of(case["spec"]))
        assert str(refusal.value) == case["refused"]
    else:
        assert docker.run_argv(spec_of(case["spec"])) == case["argv"]


def test_docker_reads_a_whole_vector_as_it_is_meant(
    docker_listener: DockerListener, tmp_path: Path
) -> None:
    secrets = tmp_path / "secret.env"
    secrets.write_text("HF_TOKEN=hf_x y#z\n")
    spec = ContainerSpec(
        name="cosmos_rs_1",
        image="cosmos@sha256:" + "a" * 64,
        argv=("--flag", "a b", "$(id)"),
        labels={"cosmos.run_id": "rs_1", "cosmos.note": "a=b\nc"},
        env={"A": "x=y"},
        env_file=str(secrets),
        gpus=("0", "1"),
        user="1000:1001",
        workdir="/cosmos",
        entrypoint="/bin/sh",
        network="none",
        init=True,
        stop_timeout_s=7,
        ulimits=("stack=67108864",),
    )
    asked = docker_listener.asked_by(docker.run_argv(spec))
    host = asked["HostConfig"]
    assert asked["query"] == "name=cosmos_rs_1"
    assert asked["Labels"] == spec.labels
    assert sorted(asked["Env"]) == ["A=x=y", "HF_TOKEN=hf_x y#z"]
    assert asked["Cmd"] == ["--flag", "a b", "$(id)"]
    assert (asked["Entrypoint"], asked["User"], asked["WorkingDir"]) == (
        ["/bin/sh"], "1000:1001", "/cosmos")  # fmt: skip
    assert host["DeviceRequests"][0]["DeviceIDs"] == ["0", "1"]
    assert (host["IpcMode"], host["NetworkMode"], host["Init"]) == ("host", "none", True)
    assert (host["ShmSize"], asked["StopTimeout"]) == (8 << 30, 7)
    assert host["Ulimits"] == [{"Name": "stack", "Hard": 67108864, "Soft": 67108864}]
    assert not host["AutoRemove"]
    assert not host["Privileged"]


@pytest.mark.parametrize(("gpus", "count"), [("all", -1), (2, 2)])
def test_docker_gives_all_or_so_many_gpus(
    docker_listener: DockerListener, gpus: docker.Gpus, count: int
) -> None:
    asked = docker_listener.asked_by(docker.run_argv(ContainerSpec("c1", "i:1", (), gpus=gpus)))
    assert asked["HostConfig"]["DeviceRequests"][0]["Count"] == count


@settings(max_examples=25)
@given(source=mountable, target=mountable, read_only=st.booleans())
def test_docker_mounts_any_path_there_is(
    docker_listener: DockerListener, source: str, target: str, read_only: bool
) -> None:
    spec = ContainerSpec("c1", "i:1", (), gpus=None, mounts=(Mount(source, target, read_only),))
    (mount,) = docker_listener.asked_by(docker.run_argv(spec))["HostConfig"]["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Target"]) == ("bind", source, target)
    assert mount.get("ReadOnly", False) == read_only


@given(argv=st.lists(words), label=words, value=words)
def test_what_comes_from_a_user_stays_one_word(argv: list[str], label: str, value: str) -> None:
    spec = ContainerSpec("c1", "i:1", tuple(argv), labels={"l": label}, env={"V": value})
    vector = docker.run_argv(spec)
    image = vector.index("i:1")
    assert vector[image + 1 :] == argv
    assert [w for w in vector[:image] if w.startswith(("--label=", "--env="))] == [
        f"--label=l={label}",
        f"--env=V={value}",
    ]


def test_every_other_vector_is_one_that_docker_takes(docker_listener: DockerListener) -> None:
    vectors = [
        docker.inspect_argv("a", "b"),
        docker.ps_argv({"cosmos.run_id": None, "cosmos.order_id": "rs_1"}),
        docker.logs_argv("c", tail=5, follow=True),
        docker.stop_argv("c", 3),
        docker.kill_argv("c", "TERM"),
        docker.wait_argv("c"),
        docker.rm_argv("c", force=True),
        docker.image_argv("i"),
        docker.info_argv(),
    ]
    for vector in vectors:
        said = docker_listener.run(vector).stderr
        assert "unknown" not in said, vector
        assert "--help" not in said, vector
