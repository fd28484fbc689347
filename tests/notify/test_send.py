"""Messages reach a real webhook and a real mail server; no text ever shows an address."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos_pipelines.doctor.here import checks_here, messages
from cosmos_pipelines.errors import CosmosError, InputError, SettingsError
from cosmos_pipelines.notify.addresses import MOST, Address, addresses_of
from cosmos_pipelines.notify.send import send
from cosmos_pipelines.settings import NOTIFY_VARIABLE, Settings, load_settings
from tests.support.inboxes import Mailbox, Webhook
from tests.support.project import settings_in

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"


def address(url: str, number: int = 1) -> Address:
    return Address(number, url)


def with_file(home: Path, text: str, mode: int = 0o600) -> Settings:
    settings = settings_in(home, '[notify]\nurls_file = "notify.urls"\n')
    file = home / "notify.urls"
    file.write_text(text)
    file.chmod(mode)
    return settings


def test_a_message_reaches_a_webhook_and_a_mailbox(webhook: Webhook, mailbox: Mailbox) -> None:
    both = [address(webhook.url), address(mailbox.url, 2)]
    sent = send(both, "films: 2 runs failed", "rs_1 failed\nrs_2 <b>failed</b> & more", bad=True)
    assert [(one.address, one.problem) for one in sent] == [
        ("address 1 (json)", None),
        ("address 2 (mailto)", None),
    ]
    (post,) = webhook.posts
    assert post["title"] == "films: 2 runs failed"
    assert post["message"] == "rs_1 failed\nrs_2 <b>failed</b> & more"
    assert post["type"] == "failure"
    (mail,) = mailbox.mails
    assert mail["Subject"] == "films: 2 runs failed"
    body = mail.get_body(("html", "plain"))
    assert body
    text = body.get_content().replace("&nbsp;", " ")
    assert "rs_1 failed" in text
    assert "http" not in text.replace("http-equiv", "")  # no picture from another host


def test_an_address_that_does_not_take_it_leaves_the_others_alone(
    webhook: Webhook, mailbox: Mailbox
) -> None:
    webhook.status = 403
    sent = send([address(webhook.url), address(mailbox.url, 2)], "title", "text")
    assert sent[0].problem
    assert "403" in sent[0].problem
    assert sent[1].problem is None
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 500])
def test_what_is_said_of_a_refusal_shows_no_part_of_the_address(
    webhook: Webhook, status: int, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    webhook.status = status
    caplog.set_level(logging.DEBUG)
    (sent,) = send([address(webhook.url)], "title", "text")
    assert sent.problem
    assert any("s3cr3t-p4th" in path for path in webhook.paths)
    out = capfd.readouterr()
    for text in (sent.problem, str(sent), repr(sent), caplog.text, out.out, out.err):
        assert "s3cr3t-p4th" not in text


def test_nobody_at_the_address_is_told_without_it() -> None:
    (sent,) = send([address("json://me:pa55word@127.0.0.1:9/hooks/s3cr3t")], "title", "text")
    assert sent.problem
    assert "127.0.0.1" in sent.problem
    assert "pa55word" not in sent.problem
    assert "s3cr3t" not in sent.problem


@pytest.mark.parametrize("url", ["nothing://of/the-kind", "slack://s3cr3t", "mailto://"])
def test_an_address_that_apprise_does_not_know_is_told_before_anything_is_sent(
    url: str, webhook: Webhook
) -> None:
    with pytest.raises(SettingsError, match=r"Apprise does not take address 2 \(") as caught:
        send([address(webhook.url), address(url, 2)], "title", "text")
    assert "s3cr3t" not in str(caught.value)
    assert not webhook.posts


def test_an_address_shows_itself_nowhere() -> None:
    one = address(SLACK, 3)
    for shown in (str(one), repr(one), f"{[one]}"):
        assert "TIiaj" not in shown
        assert "T1JJ" not in shown
        assert "3 (slack)" in shown


def test_addresses_come_from_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    settings = with_file(tmp_path, f"# Slack\n{SLACK}\n\n  json://host/path?a=b,c  \n")
    assert [one.url for one in addresses_of(settings, {})] == [SLACK, "json://host/path?a=b,c"]
    (tmp_path / "notify.urls").chmod(0o640)
    with pytest.raises(InputError, match=r"\[notify\] urls_file: Other users can read"):
        addresses_of(settings, {})


def test_doctor_looks_at_the_addresses_where_there_are_some(tmp_path: Path) -> None:
    assert "messages" not in [check.name for check in checks_here(settings_in(tmp_path, ""))]
    settings = with_file(tmp_path, SLACK)
    assert "messages" in [check.name for check in checks_here(settings)]
    assert messages(settings).result == "ok"
    (tmp_path / "notify.urls").chmod(0o644)
    with pytest.raises(InputError, match="Other users can read"):
        messages(settings)


def test_those_of_the_environment_win(tmp_path: Path) -> None:
    settings = with_file(tmp_path, SLACK)
    found = addresses_of(settings, {NOTIFY_VARIABLE: "json://a/b\n mailto://c:d@e.f"})
    assert [one.kind for one in found] == ["json", "mailto"]


@pytest.mark.parametrize("text", ["no url", "slack:/T1/s3cr3t", "json://a b", "s3cr3t"])
def test_a_line_that_is_no_address_is_told_by_its_number(tmp_path: Path, text: str) -> None:
    settings = with_file(tmp_path, f"# first\n{text}\n")
    with pytest.raises(SettingsError, match=r"notify.urls: line 2 is no Apprise URL") as caught:
        addresses_of(settings, {})
    assert "s3cr3t" not in str(caught.value)


def test_more_addresses_than_anybody_means_are_refused(tmp_path: Path) -> None:
    settings = with_file(tmp_path, "json://host/path\n" * (MOST + 1))
    with pytest.raises(SettingsError, match="at most"):
        addresses_of(settings, {})


@pytest.mark.parametrize(
    "text",
    ['events = ["faild"]', "every_min = -1", 'every_min = "x"', 'urls = ["slack://a"]'],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="notify"):
        settings_in(tmp_path, f"[notify]\n{text}\n")


def test_nothing_is_sent_and_no_library_needed_without_addresses(tmp_path: Path) -> None:
    assert addresses_of(settings_in(tmp_path, ""), {}) == []
    program = (
        "import sys, cosmos_pipelines.notify.tell, cosmos_pipelines.sensors.notices;"
        "assert not {'apprise', 'requests'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_library_it_is_told_how_to_get_it(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(CosmosError, match=r"Apprise, which is not installed.*\[notify\]"):
        send([address(webhook.url)], "title", "text")


def test_addresses_do_not_keep_a_project_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_in(tmp_path, "")
    monkeypatch.setenv(NOTIFY_VARIABLE, SLACK)
    assert SLACK not in repr(load_settings(tmp_path))
