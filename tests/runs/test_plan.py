"""What is said of a run before it is entered."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmos_pipelines.errors import InputError, StateError
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.jobs import job_of
from cosmos_pipelines.runs.plan import plan_enhance, plan_transfer, plan_upscale
from cosmos_pipelines.settings import Settings
from tests.runs.test_execute import execute
from tests.support.project import Project, make_project, write_video


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path / "home")
    made.scene()
    return made


def test_a_setting_that_the_engine_does_not_use_is_told(project: Project, tmp_path: Path) -> None:
    video = write_video(tmp_path / "any.mp4")
    planned = plan_upscale(project.catalog, project.settings, None, {"seed": 5}, video=video)
    assert planned.notes == ["PREVIEW (simulated on the CPU) does not use: seed."]


def test_an_engine_without_the_operation_is_refused_with_one_that_has_it(
    project: Project, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "any.mp4")
    with pytest.raises(InputError, match=r"cosmos3 has no upscale.*--engine.*: cosmos_transfer1"):
        plan_upscale(project.catalog, project.settings, None, {}, video=video, engine="cosmos3")


def with_engines(project: Project, **engines: str) -> Settings:
    """The project's settings with these in [execution]."""
    execution = project.settings.execution.model_copy(update=engines)
    return project.settings.model_copy(update={"execution": execution})


def test_an_upscale_and_an_enhancement_are_planned_with_the_engines_set_for_them(
    project: Project, tmp_path: Path
) -> None:
    settings = with_engines(
        project,
        engine="cosmos_transfer2_5",
        upscale_engine="cosmos_transfer1",
        enhance_engine="preview",
    )
    prompt, _ = register_prompt(project.catalog, settings, "snow", "city")
    video = write_video(tmp_path / "any.mp4")
    plans = [
        plan_transfer(project.catalog, settings, prompt.id, {}),
        plan_enhance(project.catalog, settings, prompt.id, {}),
        plan_upscale(project.catalog, settings, None, {}, video=video),
        plan_upscale(project.catalog, settings, None, {}, video=video, engine="preview"),
    ]
    assert [plan.engine.name for plan in plans] == [
        "cosmos_transfer2_5", "preview", "cosmos_transfer1", "preview",
    ]  # fmt: skip


def test_where_no_engine_is_set_for_an_operation_the_setting_is_named(
    project: Project, tmp_path: Path
) -> None:
    settings = with_engines(project, engine="cosmos_transfer2_5")
    prompt, _ = register_prompt(project.catalog, settings, "snow", "city")
    video = write_video(tmp_path / "any.mp4")
    with pytest.raises(InputError) as refused:
        plan_upscale(project.catalog, settings, None, {}, video=video)
    assert str(refused.value) == (
        "The engine cosmos_transfer2_5 has no upscale. Choose an engine that has it (`--engine`): "
        'cosmos_transfer1, or set upscale_engine = "cosmos_transfer1" under [execution] in '
        "cosmos.toml."
    )
    with pytest.raises(InputError, match='or set enhance_engine = "cosmos_transfer1" under'):
        plan_enhance(project.catalog, settings, prompt.id, {})


def test_weights_that_are_not_given_are_equal_over_what_the_scene_has(project: Project) -> None:
    (project.settings.inputs / "city" / "depth.mp4").unlink()
    prompt, _ = register_prompt(project.catalog, project.settings, "snow", "city")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {})
    weights = planned.job.operation.config()["weights"]
    assert weights == {"vis": 0.3333, "edge": 0.3333, "depth": 0.0, "seg": 0.3333}


def test_a_recipe_gives_way_to_what_is_said(project: Project) -> None:
    prompt, _ = register_prompt(project.catalog, project.settings, "snow", "city")
    project.catalog.put_recipe("r", "preview", "transfer", {"num_steps": 9, "seed": 4})
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {"seed": 5}, recipe="r")
    config = planned.job.operation.config()
    assert (config["num_steps"], config["seed"]) == (9, 5)


def test_a_scene_outside_the_inputs_is_taken_by_its_absolute_path_only(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("color", "depth"):
        write_video(tmp_path / "elsewhere" / "shot" / f"{name}.mp4")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="not below the inputs root"):
        register_prompt(project.catalog, project.settings, "snow", "shot")
    absolute = tmp_path / "elsewhere" / "shot"
    prompt, created = register_prompt(project.catalog, project.settings, "snow", absolute)
    assert created
    assert prompt.scene.startswith("shot@")


@pytest.mark.parametrize(
    ("given", "avoided"),
    [({}, "rain"), ({"negative_prompt": "fog"}, "fog"), ({"negative_prompt": ""}, "")],
)
def test_a_run_avoids_what_was_planned_also_if_that_is_nothing(
    project: Project, given: dict[str, str], avoided: str
) -> None:
    catalog, settings = project.catalog, project.settings
    prompt, _ = register_prompt(catalog, settings, "snow", "city", negative_prompt="rain")
    planned = plan_transfer(catalog, settings, prompt.id, given)
    run = enter(catalog, settings, planned)
    stored = job_of(catalog, settings, run, prompt)
    assert (planned.job.negative_prompt, stored.negative_prompt) == (avoided, avoided)


def test_a_queued_4k_is_planned_with_the_video_that_its_run_is_expected_to_make(
    project: Project,
) -> None:
    there = project.catalog, project.settings
    prompt, _ = register_prompt(*there, "snow", "city")
    video = enter(*there, plan_transfer(*there, prompt.id, {}), queued=True)
    with pytest.raises(StateError, match="nothing to upscale"):
        plan_upscale(*there, video.id, {})
    plan = plan_upscale(*there, video.id, {}, queued=True)
    expected = plan.job.inputs["video"]
    assert (expected.width, expected.height, expected.frames, expected.fps) == (64, 48, 6, "24")
    larger = enter(*there, plan, queued=True)
    assert larger.parent_run_id == video.id
    assert [run.id for run in project.catalog.ready_runs()] == [video.id]
    (done,) = execute(project, video)
    assert [run.id for run in project.catalog.ready_runs()] == [larger.id]
    (made,) = execute(project, larger)
    assert (done.status, made.status) == ("completed", "completed")


def test_a_4k_of_a_run_that_has_failed_is_not_queued(project: Project) -> None:
    there = project.catalog, project.settings
    prompt, _ = register_prompt(*there, "snow", "city")
    video = enter(*there, plan_transfer(*there, prompt.id, {}), queued=True)
    project.catalog.cancel_pending(video.id)
    with pytest.raises(StateError, match="is cancelled"):
        plan_upscale(*there, video.id, {}, queued=True)
