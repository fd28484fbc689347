"""What has happened is seen once, from the moment at which somebody looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.notify.events import look
from cosmos_pipelines.operate.place_looks import look_now
from cosmos_pipelines.runs.known_places import PlaceState, remember
from cosmos_pipelines.settings import Settings
from tests.catalog.rows import OWNER, add_run, complete, fail
from tests.support.project import settings_in
from tests.support.templates import lay_catalog

NONE = timedelta()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog; tests/catalog/test_notices.py asks both databases."""
    url = f"sqlite:///{tmp_path / 'cosmos.db'}"
    lay_catalog(url)
    with Catalog.open(url) as opened:
        yield opened


def watching(home: Path, *events: str, more: str = "") -> Settings:
    return settings_in(home, f"[notify]\nevents = {list(events)}\n{more}".replace("'", '"'))


def told(catalog: Catalog) -> list[str]:
    return [notice.said for notice in catalog.take_notices(every=NONE, gathered=NONE)]


def test_runs_that_failed_before_anybody_looked_are_no_news(
    catalog: Catalog, tmp_path: Path
) -> None:
    settings = watching(tmp_path / "films", "failed")
    fail(catalog, add_run(catalog))
    cursor = look(catalog, settings, None)
    run = fail(catalog, add_run(catalog), kind="timeout", message="It took\ntoo long.")
    cursor = look(catalog, settings, cursor)
    assert told(catalog) == [f"{run.id} (transfer on local): timeout: It took\ntoo long."]
    catalog.rate(run.id, 1)  # changed, and failed still
    look(catalog, settings, cursor)
    assert told(catalog) == []


def test_a_run_that_fails_again_is_told_again(catalog: Catalog, tmp_path: Path) -> None:
    settings = watching(tmp_path / "films", "failed")
    cursor, run = look(catalog, settings, None), add_run(catalog)
    for _ in range(2):
        fail(catalog, run)
        cursor = look(catalog, settings, cursor)
        assert len(told(catalog)) == 1


def test_no_secret_of_an_error_is_told(catalog: Catalog, tmp_path: Path) -> None:
    settings = watching(tmp_path / "films", "failed")
    cursor = look(catalog, settings, None)
    fail(catalog, add_run(catalog), message="401 for https://me:pa55word@hub/ HF_TOKEN=hf_abcdef")
    look(catalog, settings, cursor)
    (said,) = told(catalog)
    assert "pa55word" not in said
    assert "hf_abcdef" not in said


def test_an_empty_queue_is_told_once_with_what_was_made(catalog: Catalog, tmp_path: Path) -> None:
    settings = watching(tmp_path / "films", "queue_empty")
    look(catalog, settings, None)
    assert told(catalog) == []
    runs = [add_run(catalog, queued=True) for _ in range(3)]
    look(catalog, settings, None)
    complete(catalog, runs[0])
    fail(catalog, runs[1])
    look(catalog, settings, None)
    assert told(catalog) == []
    complete(catalog, runs[2])
    with Catalog.open(catalog.url.render_as_string(hide_password=False)) as other:
        look(catalog, settings, None)
        look(other, settings, None)
    (said,) = told(catalog)
    assert said.startswith("The queue is empty. Since ")
    assert said.endswith(": 2 completed, 1 failed.")


def test_a_queue_that_was_at_work_between_two_looks_is_told_once(
    catalog: Catalog, tmp_path: Path
) -> None:
    settings = watching(tmp_path / "films", "queue_empty")
    first = look(catalog, settings, None)
    runs = [add_run(catalog, queued=True) for _ in range(2)]
    for run in runs:
        complete(catalog, run)
    fail(catalog, add_run(catalog))  # by hand
    second = look(catalog, settings, first)
    with Catalog.open(catalog.url.render_as_string(hide_password=False)) as other:
        look(other, settings, first)
    assert told(catalog) == ["The queue is empty: 2 completed."]
    look(catalog, settings, second)
    assert told(catalog) == []


def test_an_old_run_that_is_rated_is_no_news(catalog: Catalog, tmp_path: Path) -> None:
    settings = watching(tmp_path / "films", "queue_empty", "failed")
    old = datetime.now(UTC) - timedelta(days=1)
    run = fail(catalog, add_run(catalog, queued=True), began=old, ended=old)
    cursor = look(catalog, settings, None)
    catalog.rate(run.id, 1)
    look(catalog, settings, cursor)
    assert told(catalog) == []


def test_a_run_that_somebody_executes_by_hand_is_no_queue(catalog: Catalog, tmp_path: Path) -> None:
    settings = watching(tmp_path / "films", "queue_empty")
    run = add_run(catalog)
    assert catalog.claim(run.id, OWNER)
    look(catalog, settings, None)
    catalog.advance(run.id, OWNER, "uploading", "cancelled", error_kind="cancelled")
    look(catalog, settings, None)
    assert told(catalog) == []


def test_a_disk_that_is_nearly_full_is_told_once_until_it_has_room_again(
    catalog: Catalog, tmp_path: Path
) -> None:
    home = tmp_path / "films"
    full = watching(home, "disk_full", more="disk_free_gib = 1e9\n")
    look(catalog, full, None)
    look(catalog, full, None)
    (said,) = told(catalog)
    assert "GiB free in" in said
    assert "`cosmos clean`" in said
    look(catalog, watching(home, "disk_full", more="disk_free_gib = 0\n"), None)
    assert told(catalog) == []
    look(catalog, full, None)
    assert len(told(catalog)) == 1


def test_a_disk_of_a_host_that_is_nearly_full_is_told_once_until_it_has_room_again(
    catalog: Catalog, tmp_path: Path
) -> None:
    settings = watching(
        tmp_path / "films", "disk_full", more=f"disk_free_gib = 0\nhost_disk_free_gib = 30\n{HOSTS}"
    )
    now = datetime.now(UTC)

    def seen(gib: int | None, up: bool = True) -> list[str]:
        free = None if gib is None else gib << 30
        state = PlaceState("gpu1", up, looked_at=now, away_since=None if up else now)
        remember(settings, settings.places["gpu1"], replace(state, free_bytes=free))
        remember(settings, settings.places["local"], PlaceState("local", True, looked_at=now))
        look(catalog, settings, None, now)
        return told(catalog)

    assert seen(None) == seen(31) == seen(2, up=False) == []
    assert seen(29) == [
        "29.0 GiB free below cosmos on 127.0.0.1 (gpu1). `cosmos clean` makes room."
    ]
    assert seen(2) == seen(None) == seen(31) == seen(40) == []
    assert len(seen(29)) == 1
    look(catalog, watching(tmp_path / "films", "disk_full", more="disk_free_gib = 0\n"), None)
    assert catalog.open_notices("disk_full") == {}


HOSTS = """
[hosts.gpu1]
host = "127.0.0.1"
port = 9
user = "me"
"""


def test_a_host_that_is_away_is_told_after_a_while_and_when_it_is_back(
    catalog: Catalog, tmp_path: Path
) -> None:
    settings = watching(tmp_path / "films", "host_away", more=f"host_away_min = 5\n{HOSTS}")
    now = datetime.now(UTC)

    def asked(away_min: float | None) -> list[str]:
        away = None if away_min is None else now - timedelta(minutes=away_min)
        up, said = away is None, None if away is None else "no route"
        state = PlaceState("gpu1", up, looked_at=now, away_since=away, said=said)
        remember(settings, settings.places["gpu1"], state)
        remember(settings, settings.places["local"], PlaceState("local", True, looked_at=now))
        look(catalog, settings, None, now)
        return told(catalog)

    assert asked(None) == []
    assert asked(4) == []
    (said,) = asked(6)
    assert said.startswith("gpu1 is away since ")
    assert said.endswith(" UTC: no route")
    assert asked(60) == []
    assert asked(None) == ["gpu1 answers again."]
    assert asked(None) == []


def test_a_host_that_is_not_in_the_settings_any_more_is_forgotten(
    catalog: Catalog, tmp_path: Path
) -> None:
    home = tmp_path / "films"
    settings = watching(home, "host_away", more=f"host_away_min = 0\n{HOSTS}")
    look_now(settings, ["gpu1"])  # nobody listens there
    look(catalog, settings, None)
    (said,) = told(catalog)
    assert said.startswith("gpu1 is away since ")
    look(catalog, watching(home, "host_away"), None)
    assert told(catalog) == []
    assert catalog.open_notices("host_away") == {}


@pytest.mark.parametrize("event", ["failed", "queue_empty", "disk_full", "host_away"])
def test_what_is_not_wanted_is_not_looked_for(catalog: Catalog, tmp_path: Path, event: str) -> None:
    settings = watching(tmp_path / "films", event, more="disk_free_gib = 1e9\n")
    cursor = look(catalog, settings, None)
    fail(catalog, add_run(catalog, queued=True))
    look(catalog, settings, cursor)
    kinds = {notice.kind for notice in catalog.take_notices(every=NONE, gathered=NONE)}
    assert kinds <= {event}
