"""One message says what has happened; nothing in it can call anybody or fill a screen."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_pipelines.catalog.notices import Notice
from cosmos_pipelines.notify.digest import LISTED, digest, safe

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def notice(said: str, kind: str = "failed", key: str = "k") -> Notice:
    return Notice(key, kind, said, NOW)


def test_forty_failed_runs_are_one_short_message() -> None:
    title, body, bad = digest("films", [notice(f"rs_{n}: timeout") for n in range(40)], None)
    assert title == "films: 40 runs failed"
    assert body.count("timeout") == LISTED
    assert "and 30 more: `cosmos list runs --status failed` lists them." in body
    assert bad


def test_what_matters_most_comes_first() -> None:
    found = [
        notice("empty", "queue_empty"),
        notice("rs_1: timeout"),
        notice("full", "disk_full"),
        notice("away", "host_away"),
        notice("spent", "budget"),
    ]
    title, body, _ = digest("films", found, "http://studio:3000")
    assert title.startswith("films: budget used up, a host is away, a disk is nearly full, 1 run")
    parts = [body.index(word) for word in ("spent", "away", "full", "timeout", "empty")]
    assert parts == sorted(parts)
    assert body.endswith("http://studio:3000/cosmos/")


def test_an_empty_queue_is_no_bad_news() -> None:
    assert digest("films", [notice("empty", "queue_empty")], None)[2] is False


@settings(max_examples=50)
@given(st.text(max_size=2000))
def test_no_text_calls_anybody_or_fills_a_screen(text: str) -> None:
    title, body, _ = digest(text, [notice(text), notice(text, "host_away")], None)
    for line in (safe(text), title, *body.split("\n")):
        assert len(line) <= 300
        assert not set("<>@\x1b\x00\r").intersection(line)
    assert body.count("\n") == 3
