"""A daemon that is seen to be dead, from the time of its files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cosmos_pipelines.operate.daemon_gone import SILENT_S, daemon_is_gone
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings
from tests.support.project import settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project in which Dagster has just written."""
    settings = settings_in(tmp_path, "")
    with open_instance(settings, captures=False):
        pass
    return settings


def aged(settings: Settings, seconds: float) -> None:
    """Let Dagster's newest record be as old."""
    for file in (settings.dagster_dir / "history").iterdir():
        os.utime(file, (time.time() - seconds,) * 2)


def test_where_dagster_never_ran_no_daemon_lives(tmp_path: Path) -> None:
    assert daemon_is_gone(settings_in(tmp_path, ""))


def test_a_daemon_that_has_just_written_is_not_gone(settings: Settings) -> None:
    assert not daemon_is_gone(settings)


def test_a_daemon_that_has_long_written_nothing_is_gone(settings: Settings) -> None:
    aged(settings, SILENT_S + 60)
    assert daemon_is_gone(settings)


def test_of_a_daemon_whose_records_are_in_a_server_nothing_is_said(settings: Settings) -> None:
    aged(settings, SILENT_S + 60)
    (settings.dagster_dir / "history").rename(settings.dagster_dir / "elsewhere")
    assert not daemon_is_gone(settings)
