"""The daemon cleans if the settings say so."""

from __future__ import annotations

import dagster as dg

from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.sensors.daily_clean import daily_clean
from cosmos_pipelines.settings import load_settings
from tests.support.dagster_project import add_run, run_job
from tests.support.project import Project


def test_the_daemon_cleans_only_if_the_settings_say_so(staged: Project) -> None:
    assert not staged.settings.clean.daily
    assert daily_clean(staged.settings).default_status == dg.DefaultScheduleStatus.STOPPED
    file = staged.settings.home / "cosmos.toml"
    file.write_text(file.read_text() + "[clean]\ndaily = true\n")
    settings = load_settings(staged.settings.home)
    (schedule,) = build_definitions(settings).resolve_all_job_defs() and [daily_clean(settings)]
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_the_job_removes_what_is_older_than_the_settings_say(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    add_run(staged)
    kept = staged.backend.cas / ("0" * 64)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("x")
    file = staged.settings.home / "cosmos.toml"
    before = file.read_text()
    assert run_job(staged, instance, "clean_up", "remove_unneeded").success
    assert kept.exists()
    file.write_text(before + '[clean]\nolder = "0s"\n')
    assert run_job(staged, instance, "clean_up", "remove_unneeded").success
    assert not kept.exists()
