"""What Docker says, in the wordings of several versions, becomes plain values."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.remote.docker import answers
from cosmos_pipelines.remote.docker.problems import Problem
from tests.remote.docker.test_problems import DIRECTORY, PROBLEMS

CASES = sorted(DIRECTORY.glob("inspect_*.json"))
ANSWERS = {c["name"]: c for c in json.loads((DIRECTORY / "info.json").read_text())}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_container_is_read_as_it_is(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    (found,) = answers.parse_inspect(json.dumps(case["inspect"]))
    shown = json.loads(json.dumps(asdict(found), default=datetime.isoformat))
    assert shown == case["container"]
    assert found.alive == case["alive"]


@given(st.text() | st.recursive(st.none() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["State", "Config", "Id", "Name", "Image"]), x)).map(json.dumps))  # fmt: skip
def test_an_answer_is_read_or_refused_in_our_words(text: str) -> None:
    for parse in (answers.parse_inspect, answers.parse_images, read_info):
        try:
            parse(text)
        except BackendError as e:
            assert "cannot be read" in e.message


def read_info(text: str) -> object:
    return answers.parse_info(0, text, "")


@pytest.mark.parametrize("name", ANSWERS)
def test_a_daemon_that_cannot_be_used_is_never_taken_for_one_that_can(name: str) -> None:
    case = ANSWERS[name]
    found = answers.parse_info(case["exit_code"], case["stdout"], case["stderr"])
    assert (found.kind if isinstance(found, Problem) else None) == case["kind"]
    if isinstance(found, answers.DockerDaemon):
        assert (found.version, found.cpus) == ("24.0.9", 8)
        assert found.rootless == (found.context == "rootless") == (name == "rootless")


def test_a_daemon_elsewhere_is_not_to_be_started_on_the_host() -> None:
    for name in ("28.2 no answer over TCP", "28.2 no such host"):
        case = ANSWERS[name]
        found = answers.parse_info(case["exit_code"], case["stdout"], case["stderr"])
        assert isinstance(found, Problem)
        assert "docker context ls" in found.hint


@pytest.mark.parametrize("kind", ["not_permitted", "daemon_down", "versions"])
def test_an_image_is_missing_only_if_docker_says_so(kind: str) -> None:
    for said in (text for known, text in PROBLEMS if known == kind):
        found = answers.parse_image(1, "[]\n", said)
        assert isinstance(found, Problem) and found.kind == kind
    for said in (text for known, text in PROBLEMS if known == "no_image"):
        found = answers.parse_image(1, "[]\n", said)
        assert isinstance(found, Problem) and found.kind == "no_image"


def test_nothing_there_is_an_empty_list() -> None:
    assert answers.parse_inspect("[]\n") == []
    assert answers.parse_images("") == []


def test_an_image_made_on_the_host_is_named_by_its_id() -> None:
    facts = {"Id": "sha256:1", "RepoDigests": [], "Size": 5}
    (image,) = answers.parse_images(json.dumps([facts]))
    assert (image.digest, image.size) == ("sha256:1", 5)
    (pulled,) = answers.parse_images(json.dumps([{**facts, "RepoDigests": ["c@sha256:2"]}]))
    assert pulled.digest == "c@sha256:2"


def test_the_daemon_tells_version_and_runtimes() -> None:
    text = json.dumps({"ServerVersion": "28.2.2", "DockerRootDir": "/var/lib/docker", "NCPU": 2,
                       "Runtimes": {"runc": {}, "nvidia": {}}, "LiveRestoreEnabled": True,
                       "MemTotal": 1024})  # fmt: skip
    assert answers.parse_info(0, text, "") == answers.DockerDaemon(
        "28.2.2", "/var/lib/docker", ("nvidia", "runc"), True, 1024, 2
    )
