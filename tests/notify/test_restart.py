"""Daemons that die while they send, and several at once: nobody hears the same twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import apprise  # noqa: F401  forked processes need not import it

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.notify.addresses import addresses_of
from cosmos_pipelines.notify.events import look
from cosmos_pipelines.notify.tell import tell
from cosmos_pipelines.settings import NOTIFY_VARIABLE, load_settings
from tests.catalog.rows import add_run, fail
from tests.support.inboxes import Webhook
from tests.support.project import settings_in
from tests.support.together import meet, together
from tests.support.waiting import until

DAEMONS = 4
NOW = timedelta()


def one_tick(home: Path, cursor: str) -> None:
    """What the sensor does in one tick."""
    settings = load_settings(home)
    with Catalog.open(settings.catalog_url) as catalog:
        look(catalog, settings, cursor)
        tell(catalog, settings, addresses_of(settings, os.environ), NOW)


def tick_together(number: int, home: str, cursor: str) -> None:
    meet(Path(home) / "meeting", number, DAEMONS)
    one_tick(Path(home), cursor)


def failed_project(home: Path, database: str) -> str:
    """A project in which a run has failed since somebody looked; return what that look said."""
    text = f'database_url = "{database}"\n[notify]\nevery_min = 0\nevents = ["failed"]\n'
    settings = settings_in(home, text)
    with Catalog.open(settings.catalog_url) as catalog:
        cursor = look(catalog, settings, None)
        fail(catalog, add_run(catalog))
    return cursor


def test_several_daemons_at_once_send_one_message(
    tmp_path: Path, postgres_url: str, webhook: Webhook
) -> None:
    cursor = failed_project(tmp_path, postgres_url)
    (tmp_path / "meeting").mkdir()
    os.environ[NOTIFY_VARIABLE] = webhook.url
    try:
        act = f"{__name__}:{tick_together.__name__}"
        assert together(act, tmp_path, cursor, count=DAEMONS) == [0] * DAEMONS
    finally:
        del os.environ[NOTIFY_VARIABLE]
    assert len(webhook.posts) == 1


def test_a_daemon_that_is_killed_while_it_sends_is_not_followed_by_the_same_message(
    tmp_path: Path, webhook: Webhook
) -> None:
    cursor = failed_project(tmp_path, f"sqlite:///{tmp_path / 'cosmos.db'}")
    webhook.answers = threading.Event()  # it takes the message and does not say so
    program = (
        "import sys; from pathlib import Path; from tests.notify.test_restart import one_tick; "
        "one_tick(Path(sys.argv[1]), sys.argv[2])"
    )
    words = [sys.executable, "-c", program, str(tmp_path), cursor]
    env = {**os.environ, NOTIFY_VARIABLE: webhook.url}
    daemon = subprocess.Popen(words, env=env, cwd=Path(__file__).parents[2])
    until(lambda: len(webhook.posts) == 1, "the message")
    daemon.send_signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL
    webhook.answers.set()
    subprocess.run(words, env=env, cwd=Path(__file__).parents[2], check=True)
    assert len(webhook.posts) == 1
