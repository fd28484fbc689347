"""The daemon tells people once, in one message, and keeps the budget."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.sensors.notices import notices
from cosmos_pipelines.settings import NOTIFY_VARIABLE, load_settings
from tests.catalog.rows import add_run, fail
from tests.support.dagster_project import tick
from tests.support.inboxes import Webhook
from tests.support.project import Project, make_project


@pytest.fixture
def films(tmp_path: Path) -> Project:
    return make_project(tmp_path / "films")


def told(films: Project, cursor: str | None) -> tuple[str, str | None]:
    """One tick: what it says, and the next cursor."""
    with dg.DagsterInstance.ephemeral() as instance:
        result, after = tick(films, notices, instance, cursor)
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message), after


def say(films: Project, text: str) -> None:
    (films.settings.home / "cosmos.toml").write_text(text)
    load_settings(films.settings.home)


def test_forty_failed_runs_are_one_message_and_a_restart_sends_nothing_twice(
    films: Project, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTIFY_VARIABLE, webhook.url)
    say(films, '[notify]\nevery_min = 0\nevents = ["failed"]\n')
    _, cursor = told(films, None)
    for n in range(40):
        fail(films.catalog, add_run(films.catalog), order=f"od_{n}")
    said, after = told(films, cursor)
    assert said == "Told 1 of 1: films: 40 runs failed"
    assert [post["title"] for post in webhook.posts] == ["films: 40 runs failed"]
    for restarted in (after, cursor):  # the daemon died before its cursor was kept
        assert told(films, restarted)[0] == "There is nothing new to tell."
    assert len(webhook.posts) == 1


def test_within_the_window_nothing_more_is_sent(
    films: Project, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTIFY_VARIABLE, webhook.url)
    say(films, '[notify]\nevery_min = 0\nevents = ["failed"]\n')
    _, cursor = told(films, None)
    fail(films.catalog, add_run(films.catalog))
    _, cursor = told(films, cursor)
    say(films, '[notify]\nevery_min = 60\nevents = ["failed"]\n')
    for _ in range(3):
        fail(films.catalog, add_run(films.catalog))
        said, cursor = told(films, cursor)
        assert said == "There is nothing new to tell."
    say(films, '[notify]\nevery_min = 0\nevents = ["failed"]\n')
    told(films, cursor)
    assert [post["title"] for post in webhook.posts] == [
        "films: 1 run failed",
        "films: 3 runs failed",
    ]


def test_what_could_not_be_sent_is_sent_later(
    films: Project, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTIFY_VARIABLE, webhook.url)
    say(films, '[notify]\nevery_min = 0\nevents = ["failed"]\n')
    _, cursor = told(films, None)
    fail(films.catalog, add_run(films.catalog))
    webhook.status = 503
    said, cursor = told(films, cursor)
    assert said == "Told 0 of 1: films: 1 run failed"
    webhook.status = 200
    said, cursor = told(films, cursor)
    assert said == "Told 1 of 1: films: 1 run failed"


def test_nothing_is_looked_at_without_an_address(films: Project) -> None:
    fail(films.catalog, add_run(films.catalog))
    said, cursor = told(films, None)
    assert "has no address" in said
    assert cursor is None


def test_the_budget_is_kept_without_addresses_and_with_wrong_ones(
    films: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(films, "[budget]\ngpu_hours_a_day = 1e-9\n")
    fail(films.catalog, add_run(films.catalog, engine="cosmos3"))
    said, _ = told(films, None)
    assert said.startswith("The budget of 1e-09 GPU hours")
    films.catalog.resume("all")
    say(films, "[budget]\ngpu_hours_a_day = 1e-10\n")
    monkeypatch.setenv(NOTIFY_VARIABLE, "no url")
    with pytest.raises(CosmosError, match="no Apprise URL"):
        told(films, None)
    assert [pause.paused_by for pause in films.catalog.list_pauses()] == ["budget"]


def test_a_budget_is_told_to_those_who_are_told(
    films: Project, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTIFY_VARIABLE, webhook.url)
    say(films, "[budget]\ngpu_hours_a_day = 1e-9\n[notify]\nevery_min = 0\nevents = ['budget']\n")
    fail(films.catalog, add_run(films.catalog, engine="cosmos3"))
    assert told(films, None)[0] == "Told 1 of 1: films: budget used up"
    assert "The queue is paused until 00:00 UTC" in webhook.posts[0]["message"]
