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

DIRECTORY = Path(__file__).parent.parent.parent / "cases" / "docker"
CASES = sorted(DIRECTORY.glob("inspect_*.json"))
ANSWERS = {c["name"]: c for c in json.loads((DIRECTORY / "info.json").read_text())}
PROBLEMS = [
    (kind, said)
    for kind, texts in json.loads((DIRECTORY / "problems.json").read_text()).items()
    for said in texts
]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_container_is_read_as_it_is(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    (found,) = answers.parse_inspect(json.dumps(case["inspect"]))
    shown = json.loads(json.dumps(asdict(found), default=datetime.isoformat))
    assert shown == case["container"]
    assert found.alive == case["alive"]


def test_a_gpu_that_failed_before_the_start_has_its_own_kind_and_remedy() -> None:
    said = "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch"
    error = answers.parse_problem(said).error("gpu1")
    assert error.kind == "gpu_lost"
    assert "reboot the host" in str(error)
    missing = answers.parse_problem('could not select device driver "" with capabilities: [[gpu]].')
    assert missing.error("gpu1").kind == "launch_failed"
    assert "nvidia-container-toolkit" in missing.hint


@pytest.mark.parametrize(("kind", "said"), PROBLEMS)
def test_a_problem_is_told_from_others(kind: str, said: str) -> None:
    problem = answers.parse_problem(said)
    assert problem.kind == kind
    assert "\n" not in problem.message
    assert problem.hint


def test_a_problem_becomes_one_line_with_the_host() -> None:
    problem = answers.parse_problem("docker: Error response from daemon: No such image: c:9.\n")
    error = problem.error("gpu1")
    assert error.kind == "launch_failed"
    assert str(error).startswith("Docker on gpu1: No such image: c:9. `docker pull`")


@given(st.text())
def test_no_words_of_docker_crash_us(said: str) -> None:
    assert answers.parse_problem(said).message


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
    assert (found.kind if isinstance(found, answers.Problem) else None) == case["kind"]
    if isinstance(found, answers.DockerDaemon):
        assert (found.version, found.cpus) == ("24.0.9", 8)
        assert found.rootless == (found.context == "rootless") == (name == "rootless")


def test_a_daemon_elsewhere_is_not_to_be_started_on_the_host() -> None:
    for name in ("28.2 no answer over TCP", "28.2 no such host"):
        case = ANSWERS[name]
        found = answers.parse_info(case["exit_code"], case["stdout"], case["stderr"])
        assert isinstance(found, answers.Problem)
        assert "docker context ls" in found.hint


@pytest.mark.parametrize("kind", ["not_permitted", "daemon_down", "versions"])
def test_an_image_is_missing_only_if_docker_says_so(kind: str) -> None:
    for said in (text for known, text in PROBLEMS if known == kind):
        found = answers.parse_image(1, "[]\n", said)
        assert isinstance(found, answers.Problem) and found.kind == kind
    for said in (text for known, text in PROBLEMS if known == "no_image"):
        found = answers.parse_image(1, "[]\n", said)
        assert isinstance(found, answers.Problem) and found.kind == "no_image"


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


def test_a_question_of_docker_gets_no_full_stop() -> None:
    asked = "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"
    assert answers.parse_problem(asked).message == asked


def test_a_refused_connection_is_told_without_the_request_of_dockers_client() -> None:
    refused = "permission denied while trying to connect to the Docker daemon socket at unix:///x"
    request = 'Get "http://%2Fx/v1.24/info?filters=%7B": dial unix /x: connect: permission denied'
    problem = answers.parse_problem(f"{refused}: {request}")
    assert (problem.kind, problem.message) == ("not_permitted", f"{refused}.")
