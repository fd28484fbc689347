"""Why Docker's commands fail, in the wordings of several versions: a kind, a line, what helps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.remote.docker.problems import parse_problem

DIRECTORY = Path(__file__).parent.parent.parent / "cases" / "docker"
PROBLEMS = [
    (kind, said)
    for kind, texts in json.loads((DIRECTORY / "problems.json").read_text()).items()
    for said in texts
]


def test_a_gpu_that_failed_before_the_start_has_its_own_kind_and_remedy() -> None:
    said = "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch"
    error = parse_problem(said).error("gpu1")
    assert error.kind == "gpu_lost"
    assert "reboot the host" in str(error)
    missing = parse_problem('could not select device driver "" with capabilities: [[gpu]].')
    assert missing.error("gpu1").kind == "launch_failed"
    assert "nvidia-container-toolkit" in missing.hint


@pytest.mark.parametrize(("kind", "said"), PROBLEMS)
def test_a_problem_is_told_from_others(kind: str, said: str) -> None:
    problem = parse_problem(said)
    assert problem.kind == kind
    assert "\n" not in problem.message
    assert problem.hint


def test_a_problem_becomes_one_line_with_the_host() -> None:
    problem = parse_problem("docker: Error response from daemon: No such image: c:9.\n")
    error = problem.error("gpu1")
    assert error.kind == "launch_failed"
    assert str(error).startswith("Docker on gpu1: No such image: c:9. `docker pull`")


@given(st.text())
def test_no_words_of_docker_crash_us(said: str) -> None:
    assert parse_problem(said).message


def test_a_question_of_docker_gets_no_full_stop() -> None:
    asked = "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"
    assert parse_problem(asked).message == asked


def test_a_refused_connection_is_told_without_the_request_of_dockers_client() -> None:
    refused = "permission denied while trying to connect to the Docker daemon socket at unix:///x"
    request = 'Get "http://%2Fx/v1.24/info?filters=%7B": dial unix /x: connect: permission denied'
    problem = parse_problem(f"{refused}: {request}")
    assert (problem.kind, problem.message) == ("not_permitted", f"{refused}.")
