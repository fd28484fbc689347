"""Who ordered a run, through every door."""

from __future__ import annotations

import os
import pwd
import socket
import threading
from contextlib import closing
from contextvars import copy_context
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.cli import main
from cosmos_pipelines.person import LONGEST, clean_person, ordering_as, person, user_here
from cosmos_pipelines.runs.scene_requests import read_request, register_request
from tests.support.dagster_project import add_prompt, run_job
from tests.support.project import Project
from tests.support.review_page import review_page, visitor

HERE = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


def who(project: Project) -> list[str | None]:
    return [run.ordered_by for run in project.catalog.list_runs()]


def say(project: Project, text: str) -> None:
    file = project.settings.home / "cosmos.toml"
    file.write_text(file.read_text() + text)


def test_on_the_command_line_it_is_the_user_of_this_machine(staged: Project) -> None:
    prompt = add_prompt(staged)
    assert main(["--home", str(staged.settings.home), "create", "run", prompt.id]) == 0
    assert who(staged) == [HERE]


def test_whoever_the_settings_or_the_environment_name(
    staged: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = add_prompt(staged)
    monkeypatch.setenv("COSMOS_PERSON", "mia@studio")
    with CosmosAPI(staged.settings.home) as api:
        api.create_run(prompt.id)
        api.queue_order([prompt.id], key="k" * 32)
    assert set(who(staged)) == {"mia@studio"}


def test_on_dagsters_page_it_is_the_user_of_the_daemon(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    prompt = add_prompt(staged)
    form = {"prompts": [prompt.id], "queue": False}
    assert run_job(staged, instance, "create_runs", "register_runs", **form).success
    assert who(staged) == [HERE]


def test_of_a_dropped_scene_it_is_who_has_dropped_it(staged: Project) -> None:
    directory = staged.settings.inputs / "city"
    file = directory / "scene.toml"
    file.write_text('[[prompt]]\ntext = "fog"\n')
    uid = 65534 if os.geteuid() == 0 else os.getuid()
    os.chown(file, uid, -1)
    request = read_request(directory)
    assert request
    register_request(staged.catalog, staged.settings, directory, request)
    assert who(staged) == [user_here(uid)]


@pytest.mark.parametrize(
    ("header", "sent", "expected"),
    [
        ("", {}, HERE),
        ("", {"X-Forwarded-User": "mia"}, HERE),
        ("X-Forwarded-User", {"X-Forwarded-User": "mia"}, "mia"),
        ("X-Forwarded-User", {"X-Forwarded-User": ""}, HERE),
        ("X-Forwarded-User", {}, HERE),
    ],
    ids=["usual", "not trusted", "named", "empty", "not sent"],
)
def test_on_the_review_page_it_is_whom_a_trusted_proxy_names(
    staged: Project, header: str, sent: dict[str, str], expected: str
) -> None:
    prompt = add_prompt(staged)
    if header:
        say(staged, f'[ui]\nperson_header = "{header}"\n')
    with (
        CosmosAPI(staged.settings.home) as api,
        review_page(api, alone=True) as url,
        closing(visitor(url)) as client,
    ):
        order = {"prompts": [prompt.id], "key": "k" * 32}
        answer = client.post("/cosmos/order", json=order, headers=sent)
        assert answer.status_code == 200, answer.text
        assert expected in client.get(f"/cosmos/run/{answer.json()['runs'][0]}").text
    assert who(staged) == [expected]


def test_lists_and_records_say_who(staged: Project, capfd: pytest.CaptureFixture[str]) -> None:
    prompt = add_prompt(staged)
    with CosmosAPI(staged.settings.home) as api:
        run = api.create_run(prompt.id, queue=True)
    for words in (["list", "runs"], ["show", run["id"]], ["status"]):
        capfd.readouterr()
        assert main(["--home", str(staged.settings.home), *words]) == 0
        assert HERE in capfd.readouterr().out, words


def test_two_threads_order_each_for_its_own_person() -> None:
    found: dict[str, str] = {}

    def order(name: str) -> None:
        with ordering_as(name):
            meeting.wait()
            handed = threading.Thread(target=copy_context().run, args=(keep, name))
            handed.start()
            handed.join()

    def keep(name: str) -> None:
        found[name] = person("usual")

    meeting = threading.Barrier(2)
    threads = [threading.Thread(target=order, args=(name,)) for name in ("mia", "noor")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"mia": "mia", "noor": "noor"}
    assert person("usual") == "usual"


def test_a_user_without_a_name_has_a_number() -> None:
    assert user_here(987654) == f"uid987654@{socket.gethostname()}"


@given(st.text(max_size=300))
def test_whatever_a_name_holds_becomes_one_short_line(text: str) -> None:
    name = clean_person(text)
    assert name is None or (name.isprintable() and 0 < len(name) <= LONGEST and name.strip())


@pytest.fixture(autouse=True)
def _nobody_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COSMOS_PERSON", raising=False)
