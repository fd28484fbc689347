"""The page says of each video whether it is up to date, and says so again when that changes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cosmos_pipelines.assets.partitions import FILES, SCENES, VIDEOS
from cosmos_pipelines.assets.recheck import RECHECK
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.runs.outdated import Now, Reason
from cosmos_pipelines.runs.plan import plan_upscale
from cosmos_pipelines.sensors.up_to_date import Seen, up_to_date
from tests.support.dagster_project import add_run, materialize, run_job, tick
from tests.support.project import Project, settings_in, write_video
from tests.support.stand_in_engine import StandIn

CHECKED = dg.DagsterEventType.ASSET_CHECK_EVALUATION


class Ticks:
    """Ticks of the sensor; what each says is recorded as Dagster's daemon would."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance
        self.cursor: str | None = None

    def once(self) -> list[tuple[str, str | None, bool]]:
        """Check, partition and verdict of what this tick has recorded."""
        result: Any
        result, self.cursor = tick(self.project, up_to_date, self.instance, self.cursor)
        if isinstance(result, dg.SkipReason):
            return []
        (request,) = result.run_requests
        config = request.run_config["ops"]["compare_again"]["config"]
        done = run_job(self.project, self.instance, RECHECK, "compare_again", **config)
        assert done.success
        records = self.instance.all_logs(done.run_id, of_type=CHECKED)
        found = [r.dagster_event.asset_check_evaluation_data for r in records if r.dagster_event]
        return [(e.check_name, e.partition, e.passed) for e in found]


@pytest.fixture
def ticks(staged: Project, instance: dg.DagsterInstance) -> Ticks:
    return Ticks(staged, instance)


def made(project: Project, instance: dg.DagsterInstance, text: str = "works") -> Run:
    """A run that was executed as from the page."""
    run = add_run(project, text)
    record(instance, project.catalog, project.settings, run)
    assert materialize(project, instance, VIDEOS, run.id).success
    return project.catalog.get_run(run.id)


def verdict(instance: dg.DagsterInstance, run: Run) -> Any:
    """The newest evaluation of a run's check."""
    key = dg.AssetCheckKey(VIDEOS, "up_to_date")
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
    found = [r.event.dagster_event.asset_check_evaluation_data for r in records if r.event]
    return next(e for e in found if e.partition == run.id)


def rendered_again(project: Project) -> None:
    city = project.settings.inputs / "city"
    write_video(city / "color.mp4", seed=99)
    register_scene(project.catalog, project.settings, city)


def test_a_video_is_called_up_to_date_when_it_is_made(
    staged: Project, instance: dg.DagsterInstance, ticks: Ticks
) -> None:
    run = made(staged, instance)
    assert verdict(instance, run).passed
    assert ticks.once() == []


def test_a_new_render_is_told_at_the_videos_of_the_old_one_once(
    staged: Project, instance: dg.DagsterInstance, ticks: Ticks
) -> None:
    old = made(staged, instance)
    ticks.once()
    rendered_again(staged)
    assert ticks.once() == [("up_to_date", old.id, False)]
    said = verdict(instance, old)
    assert said.severity == dg.AssetCheckSeverity.WARN
    assert "color of city was rendered again since." in said.metadata["reason"].value
    assert said.metadata["what to do"].value == f"cosmos run --again {old.id}"
    assert said.target_materialization_data is not None
    assert ticks.once() == []
    new = made(staged, instance, "works too")
    assert verdict(instance, new).passed
    assert ticks.once() == []


def test_a_scene_that_is_deleted_and_put_back_is_told_with_its_videos(
    staged: Project, instance: dg.DagsterInstance, ticks: Ticks, tmp_path: Path
) -> None:
    run = made(staged, instance)
    ticks.once()
    kept = shutil.move(staged.settings.inputs / "city", tmp_path / "kept")
    assert ticks.once() == [("there", "city", False), ("up_to_date", run.id, False)]
    assert ticks.once() == []
    shutil.move(kept, staged.settings.inputs / "city")
    assert ticks.once() == [("there", "city", True), ("up_to_date", run.id, True)]


def test_another_version_of_the_engine_is_told_at_all_that_it_made(
    staged: Project,
    instance: dg.DagsterInstance,
    ticks: Ticks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = made(staged, instance)
    ticks.once()
    monkeypatch.setattr(StandIn, "version", "next")
    assert ticks.once() == [("up_to_date", run.id, False)]
    assert verdict(instance, run).metadata["because"].value == "engine"


def test_another_checkpoint_in_the_settings_is_told_at_what_was_made_without_it(
    staged: Project,
    instance: dg.DagsterInstance,
    ticks: Ticks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = made(staged, instance)
    ticks.once()
    text = (staged.settings.home / "cosmos.toml").read_text(encoding="utf-8")
    settings = settings_in(staged.settings.home, f'{text}\n[cosmos3]\ncheckpoint = "/data/rain"\n')
    ticks.project = replace(staged, settings=settings)
    monkeypatch.setattr(StandIn, "weights", lambda *_: "/data/rain")
    assert ticks.once() == [("up_to_date", run.id, False)]
    assert verdict(instance, run).metadata["because"].value == "checkpoints"
    assert ticks.once() == []


def test_a_scene_elsewhere_is_looked_at_too(
    staged: Project, instance: dg.DagsterInstance, ticks: Ticks, tmp_path: Path
) -> None:
    away = write_video(tmp_path / "away" / "color.mp4").parent
    from cosmos_pipelines.runs.inputs import register_prompt
    from cosmos_pipelines.runs.plan import plan_transfer

    prompt, _ = register_prompt(staged.catalog, staged.settings, "works", away)
    fields = {"weights": {"edge": 0.5}}
    project = staged.catalog, staged.settings
    run = enter(*project, plan_transfer(*project, prompt.id, fields, engine="stand_in"))
    record(instance, *project, run)
    assert materialize(staged, instance, VIDEOS, run.id).success
    ticks.once()
    write_video(away / "color.mp4", seed=5)
    assert ticks.once() == [("up_to_date", run.id, False)]


def test_what_is_too_much_for_one_tick_is_told_in_the_next(
    staged: Project,
    instance: dg.DagsterInstance,
    ticks: Ticks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = {made(staged, instance, f"works {n}").id for n in range(3)}
    ticks.once()
    monkeypatch.setattr("cosmos_pipelines.sensors.up_to_date.A_TICK", 2)
    rendered_again(staged)
    first, second = ticks.once(), ticks.once()
    assert [len(first), len(second)] == [2, 1]
    assert {run for _, run, _ in (*first, *second)} == runs


def test_the_scene_s_asset_says_that_it_is_there(
    staged: Project, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions("scenes", ["city"])
    result = materialize(staged, instance, SCENES, "city")
    assert [(e.check_name, e.passed) for e in result.get_asset_check_evaluations()] == [
        ("there", True)
    ]


def upscaled_file(project: Project, instance: dg.DagsterInstance, video: Path) -> Run:
    """A completed 4K of a video file."""
    catalog, settings = project.catalog, project.settings
    planned = plan_upscale(catalog, settings, None, {}, video=video, engine="stand_in")
    run = enter(catalog, settings, planned)
    record(instance, catalog, settings, run)
    assert materialize(project, instance, FILES, run.id).success
    return run


def test_a_file_that_an_upscale_was_made_of_is_looked_at_too(
    staged: Project, instance: dg.DagsterInstance, ticks: Ticks, tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "away" / "clip.mp4")
    run = upscaled_file(staged, instance, clip)
    ticks.once()
    write_video(clip, seed=5)
    assert ticks.once() == [("up_to_date", run.id, False)]
    assert ticks.once() == []


def test_what_an_earlier_version_remembered_is_kept(
    staged: Project, instance: dg.DagsterInstance, ticks: Ticks, tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "away" / "clip.mp4")
    run = upscaled_file(staged, instance, clip)
    ticks.once()
    new = json.loads(str(ticks.cursor))
    both = {"away@01234567": "a" * 12, **new.pop("files")}
    old = {name: new[name] for name in ("at", "engines", "gone", "outdated", "later", "asked")}
    ticks.cursor = json.dumps({**old, "elsewhere": both})
    seen = Seen.parse(ticks.cursor)
    assert [*seen.elsewhere] == ["away@01234567"]
    assert [*seen.files] == [str(clip)]
    write_video(clip, seed=5)
    assert ticks.once() == [("up_to_date", run.id, False)]


def test_a_video_that_cannot_be_compared_does_not_stop_the_others(
    staged: Project, instance: dg.DagsterInstance, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = made(staged, instance, "one"), made(staged, instance, "two")
    ticks.once()
    whole = Now.reasons

    def reasons(self: Now, run: Run) -> list[Reason]:
        if run.id == bad.id:
            raise PermissionError("not for you")
        return whole(self, run)

    monkeypatch.setattr(Now, "reasons", reasons)
    rendered_again(staged)
    assert ticks.once() == [("up_to_date", good.id, False)]
