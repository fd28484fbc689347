"""`cosmos notify` shows who is told of what, sends a test, and never shows an address."""

from __future__ import annotations

import pytest

from cosmos_pipelines.doctor.here import checks_here
from cosmos_pipelines.runs.budget import keep_budget
from cosmos_pipelines.settings import NOTIFY_VARIABLE, load_settings
from tests.catalog.rows import add_run, fail
from tests.cli.conftest import Cosmos
from tests.support.inboxes import Mailbox, Webhook
from tests.support.project import Project


def test_a_test_reaches_everybody(
    cosmos: Cosmos, webhook: Webhook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTIFY_VARIABLE, f"{webhook.url} {mailbox.url}")
    said = cosmos("notify", "--test")
    assert said.code == 0
    assert "address 1 (json)" in said.out
    assert "s3cr3t" not in said.out + said.err
    assert webhook.posts[0]["title"] == "home: a test"
    assert mailbox.mails[0]["Subject"] == "home: a test"


def test_a_test_that_does_not_reach_all_fails(
    cosmos: Cosmos, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTIFY_VARIABLE, webhook.url)
    webhook.status = 500
    said = cosmos("notify", "--test", "--json")
    assert said.code == 1
    assert [one["sent"] for one in said.json] == [False]
    assert "500" in said.json[0]["problem"]
    assert "s3cr3t" not in said.out + said.err


def test_without_an_address_a_test_says_what_to_set(cosmos: Cosmos) -> None:
    said = cosmos("notify", "--test")
    assert said.code == 2
    assert "urls_file" in said.error


def test_the_status_says_why_the_queue_is_paused(cosmos: Cosmos, project: Project) -> None:
    assert "Paused" not in cosmos("status").out
    (project.settings.home / "cosmos.toml").write_text("[budget]\ngpu_hours_a_day = 1e-9\n")
    fail(project.catalog, add_run(project.catalog, engine="cosmos3"))
    keep_budget(project.catalog, load_settings(project.settings.home))
    said = cosmos("status").out
    assert "Paused" in said
    assert "The budget of 1e-09 GPU hours" in said
    (pause,) = cosmos("status", "--json").json["paused"]
    assert (pause["scope"], pause["paused_by"]) == ("all", "budget")


def test_who_is_told_of_what_is_shown_without_addresses(
    cosmos: Cosmos, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTIFY_VARIABLE, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/")
    fail(project.catalog, add_run(project.catalog, engine="cosmos3"))
    said = cosmos("notify")
    assert "address 1 (slack)" in said.out
    assert "queue_empty" in said.out
    assert "GPU hours today" in said.out
    assert "TIiaj" not in said.out + said.err
    state = cosmos("notify", "--json").json
    assert state["addresses"] == ["address 1 (slack)"]
    assert state["budget"]["gpu_hours_a_day"] is None


def test_a_limit_of_money_names_the_hosts_without_a_price(cosmos: Cosmos, project: Project) -> None:
    toml = project.settings.home / "cosmos.toml"
    host = '[hosts.gpu1]\nhost = "192.0.2.1"\n'
    toml.write_text(f"[budget]\nmoney_a_day = 5\n{host}")
    line = (
        "does not count runs on gpu1, which has no price: set price_per_gpu_hour in [hosts.gpu1]."
    )
    assert line in cosmos("queue").err
    assert line in cosmos("notify").err
    settings = load_settings(project.settings.home)
    (found,) = (check.look() for check in checks_here(settings) if check.name == "budget")
    assert (found.result, found.do) == ("warn", "Set price_per_gpu_hour in [hosts.gpu1].")
    for text in (
        f"[budget]\ngpu_hours_a_day = 5\n{host}",
        f"[budget]\nmoney_a_day = 5\n{host}price_per_gpu_hour = 0\n",
    ):
        toml.write_text(text)
        assert "no price" not in cosmos("queue").err + cosmos("notify").err
