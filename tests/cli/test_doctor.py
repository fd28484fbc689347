"""`cosmos doctor`, `cosmos why` and `cosmos status` as their user meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cosmos, spawn
from tests.cli.test_start import imported_by
from tests.support.project import Project, settings_in
from tests.support.stand_in_engine import registered


@pytest.fixture
def failed(project: Project, cosmos: Cosmos) -> Iterator[str]:
    """The id of a run that ran out of memory."""
    project.scene()
    with registered():
        prompt = cosmos("create", "prompt", "oom", "city").out.strip()
        yield cosmos("inference", prompt, "--engine", "stand_in", "--json").json["id"]


def test_a_new_project_is_well(project: Project, cosmos: Cosmos) -> None:
    said = cosmos("doctor")
    assert said.code == 0
    assert said.out.splitlines()[0].startswith("ok    project")
    assert "11 checks: 11 ok." in said.err


def test_json_is_a_list_of_checks_and_nothing_else(cosmos: Cosmos) -> None:
    checks = cosmos("doctor", "--json").json
    keys = {"name", "place", "result", "found", "do", "host"}
    assert {key for check in checks for key in check} == keys
    assert {check["result"] for check in checks} == {"ok"}


def test_outside_of_a_project_the_settings_fail(tmp_path: Path) -> None:
    said = spawn("doctor", "--json", cwd=tmp_path, env={"COSMOS_HOME": ""})
    assert said.code == 2
    assert [(check["name"], check["result"]) for check in said.json] == [("settings", "fail")]
    assert "cosmos init" in said.json[0]["do"]


def test_a_wrong_setting_is_shown_with_its_line(project: Project, cosmos: Cosmos) -> None:
    (project.settings.home / "cosmos.toml").write_text("[remote]\nport = 99999999\n")
    said = cosmos("doctor")
    assert said.code == 2
    assert said.out.startswith("FAIL  settings")
    assert "line 2" in said.out


def test_a_missing_host_is_a_wrong_setting(cosmos: Cosmos) -> None:
    said = cosmos("doctor", "--backend", "ssh_docker")
    assert said.code == 2
    assert "-> Set host in [remote]" in said.out


def test_an_unknown_backend_is_a_wrong_setting(cosmos: Cosmos) -> None:
    said = cosmos("doctor", "--backend", "moon")
    assert said.code == 2
    assert "local, ssh_docker" in said.out


def test_a_host_that_cannot_be_reached_is_the_gpu_sides_failure(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    (tmp_path / "id").write_text("a key")
    (project.settings.home / "cosmos.toml").write_text(
        f'[remote]\nhost = "127.0.0.1"\nport = 1\nssh_config = "/dev/null"\nkey = "{tmp_path}/id"\n'
    )
    said = cosmos("doctor")
    assert said.code == 4
    assert "FAIL  reachable" in said.out
    assert "-     login              not checked: reachable failed" in said.out
    state = cosmos("status")
    assert state.code == 0
    assert "nothing listens on its port 1" in state.err
    assert "cosmos doctor" in state.err


def test_something_wrong_on_this_machine_is_a_failure(project: Project, cosmos: Cosmos) -> None:
    (project.settings.home / "inputs").write_text("in the way")
    said = cosmos("doctor")
    assert said.code == 1
    assert "FAIL  inputs" in said.out


def test_why_tells_cause_evidence_and_next_command(cosmos: Cosmos, failed: str) -> None:
    said = cosmos("why", failed)
    assert said.code == 0
    assert said.out.splitlines()[0] == f"{failed} failed (out_of_memory)"
    assert "The run ran out of memory" in said.out
    assert f"outputs/run_{failed}/logs/run.log\n  2: torch.OutOfMemoryError" in said.out
    assert f"More is in outputs/run_{failed}/diagnostics" in said.out
    assert f"  cosmos run {failed}  (" in said.out
    told = cosmos("why", failed, "--json").json
    assert told["error_kind"] == "out_of_memory"
    assert told["next"][0]["command"] == "cosmos status"


def test_why_of_an_unknown_run_is_bad_input(cosmos: Cosmos) -> None:
    assert cosmos("why", "rs_1234").code == 2


def test_stray_orders_are_asked_for_alone(cosmos: Cosmos) -> None:
    assert cosmos("kill", "--stray", "--all").code == 2
    said = cosmos("kill", "--stray")
    assert said.code == 0
    assert "Every active order has a run" in said.err


@pytest.mark.parametrize("words", [["doctor"], ["status"]])
def test_they_answer_without_dagster(words: list[str], project: Project) -> None:
    heavy = {"dagster", "paramiko", "av", "numpy", "pandas"}
    assert not imported_by(*words, home=project.settings.home) & heavy


def test_why_answers_without_dagster(project: Project, failed: str) -> None:
    assert not imported_by("why", failed, home=project.settings.home) & {"dagster", "av", "numpy"}


def test_a_model_that_is_not_on_this_machine_is_told(tmp_path: Path) -> None:
    text = '[execution]\nengine = "cosmos_transfer1"\n'
    settings_in(tmp_path / "home", text)
    said = spawn("--home", tmp_path / "home", "doctor")
    assert said.code == 1
    assert "FAIL  model" in said.out
    assert "engines/cosmos_transfer1/code" in said.out
    assert "cosmos host setup" in said.out
