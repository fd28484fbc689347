"""A result is out of date as soon as it would be another, and only then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from cosmos_pipelines.backends.tar_bundle import SCRIPTS
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.tables import runs
from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.runs.again import plan_again, to_make_again, with_parents
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import current_scene
from cosmos_pipelines.runs.outdated import Now, made_by, outdated_runs, replacements
from cosmos_pipelines.runs.plan import plan_upscale
from tests.media import renders
from tests.runs.test_execute import execute, pending
from tests.support.project import Project, make_project, write_video
from tests.support.stand_in_engine import StandIn, registered


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with the scene `city`, which is rendered frames."""
    with registered():
        made = make_project(tmp_path / "home")
        renders.render(made.settings.inputs / "city", frames=3)
        yield made


def made(project: Project, **fields: Any) -> Run:
    """A completed run of the scene."""
    (run,) = execute(project, pending(project, **fields))
    assert run.status == "completed"
    return run


def larger(project: Project, parent: str | None = None, video: Path | None = None) -> Run:
    """A completed upscale."""
    catalog, settings = project.catalog, project.settings
    planned = plan_upscale(catalog, settings, parent, {}, video=video, engine="stand_in")
    (run,) = execute(project, enter(catalog, settings, planned))
    assert run.status == "completed"
    return run


def why(project: Project, run: Run) -> list[str]:
    """Kinds of the reasons why a run is out of date."""
    now = Now(project.catalog, project.settings)
    return [reason.kind for reason in now.reasons(project.catalog.get_run(run.id))]


def changed(project: Project, run: Run, **values: Any) -> None:
    """Change a run's row as nobody does."""
    with project.catalog.write() as tx:
        statement = update(runs).where(runs.c.id == run.id)
        tx.connection.execute(statement.values(**values, **tx.stamp()))


def city(project: Project) -> Path:
    return project.settings.inputs / "city"


def rendered_again(project: Project) -> None:
    renders.save(city(project) / "color.0002.png", renders.colour(50))


def test_what_was_just_made_is_up_to_date(project: Project) -> None:
    run = made(project)
    assert run.outputs["made_by"] == {"engine_version": StandIn.version}
    assert why(project, run) == []


@pytest.mark.parametrize("looked_at", [False, True])
def test_a_video_of_an_older_render_is_out_of_date(project: Project, looked_at: bool) -> None:
    run = made(project)
    rendered_again(project)
    if looked_at:
        current_scene(project.catalog, project.settings, "city")
    assert why(project, run) == ["render"]
    (found,) = outdated_runs(project.catalog, project.settings, [run])
    assert [r.said for r in found[1]] == ["color of city was rendered again since."]
    assert why(project, made(project, seed=2)) == []


def test_a_pass_that_the_video_was_not_made_of_does_not_matter(project: Project) -> None:
    run = made(project, weights={"edge": 0.5})
    used = set(run.outputs["inputs"])
    assert "depth" not in used
    renders.save(city(project) / "depth.0002.png", renders.distance(50))
    assert why(project, run) == []


def test_touched_files_change_nothing(project: Project) -> None:
    run = made(project)
    for path in city(project).glob("*.png"):
        path.touch()
    assert why(project, run) == []


def test_a_video_of_a_deleted_scene_is_out_of_date_until_it_is_back(
    project: Project, tmp_path: Path
) -> None:
    run = made(project)
    kept = Path(shutil.move(city(project), tmp_path / "kept"))
    assert why(project, run) == ["gone"]
    shutil.move(kept, city(project))
    assert why(project, run) == []


def test_a_renamed_scene_leaves_its_videos_up_to_date(project: Project) -> None:
    run = made(project)
    city(project).rename(project.settings.inputs / "town")
    assert why(project, run) == []


def test_a_newer_version_of_the_engine_outdates_what_it_made(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(project)
    monkeypatch.setattr(StandIn, "version", "next")
    assert why(project, run) == ["engine"]


def test_other_checkpoints_or_code_outdate_what_they_made(project: Project) -> None:
    run = made(project)
    engine = engine_named("cosmos_transfer2_5")
    known = made_by(engine, "transfer")
    assert set(known) == {"engine_version", "code", "checkpoints"}
    for name, kind in (("code", "engine"), ("checkpoints", "checkpoints")):
        had = known | {name: "another"}
        changed(project, run, engine=engine.name, outputs=run.outputs | {"made_by": had})
        assert why(project, run) == [kind]


def test_checkpoints_are_told_apart_by_their_pins_and_by_where_they_are_taken_from() -> None:
    engine = engine_named("cosmos_transfer1")
    elsewhere = engine.with_options(engine.options.model_copy(update={"checkpoints": "/other"}))
    known = {
        made_by(engine, "transfer")["checkpoints"],
        made_by(elsewhere, "transfer")["checkpoints"],
    }
    assert len(known | {made_by(engine, "upscale")["checkpoints"]}) == 3


def test_weights_that_only_judge_outdate_nothing(tmp_path: Path) -> None:
    engine = engine_named("cosmos_transfer1")
    assert engine.setup is not None
    manifest = json.loads((SCRIPTS / engine.setup.manifest).read_text(encoding="utf-8"))
    judging = [file for file in manifest["files"] if file.get("guardrail")]
    assert {file["repo"] for file in judging} == {"google/siglip-so400m-patch14-384"}
    manifest["files"] = [file for file in manifest["files"] if file not in judging]
    (tmp_path / "before.json").write_text(json.dumps(manifest))
    setup = engine.setup.model_copy(update={"manifest": str(tmp_path / "before.json")})
    before = type("Before", (type(engine),), {"setup": setup})()
    assert made_by(before, "transfer") == made_by(engine, "transfer")


def test_the_4k_of_an_outdated_video_is_out_of_date(project: Project) -> None:
    run = made(project)
    four_k = larger(project, run.id)
    assert why(project, four_k) == []
    rendered_again(project)
    assert why(project, four_k) == ["parent"]
    found = outdated_runs(project.catalog, project.settings, [run, four_k], "render")
    assert [r.id for r, _ in found] == [run.id]


@pytest.mark.parametrize(("change", "kind"), [("write", "render"), ("unlink", "gone")])
def test_the_4k_of_a_file_follows_the_file(
    project: Project, tmp_path: Path, change: str, kind: str
) -> None:
    clip = write_video(tmp_path / "clip.mp4")
    run = larger(project, video=clip)
    assert why(project, run) == []
    if change == "write":
        write_video(clip, seed=5)
    else:
        clip.unlink()
    assert why(project, run) == [kind]


def test_runs_that_kept_nothing_of_what_they_were_made_of_are_not_called_out_of_date(
    project: Project,
) -> None:
    """Those of earlier versions: nobody can tell."""
    run = made(project)
    kept = {k: v for k, v in run.outputs.items() if k not in ("inputs", "made_by")}
    changed(project, run, outputs=kept)
    rendered_again(project)
    assert why(project, run) == []


def test_an_unknown_reason_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="'age'"):
        outdated_runs(project.catalog, project.settings, [], "age")


# Again ------------------------------------------------------------------------------------------


def again(project: Project, run: Run, parent: str | None = None) -> Run:
    planned = plan_again(project.catalog, project.settings, run, parent)
    (done,) = execute(project, enter(project.catalog, project.settings, planned))
    return done


def test_made_again_has_the_same_settings_and_what_is_rendered_now(project: Project) -> None:
    run = made(project, num_steps=7, seed=3)
    rendered_again(project)
    assert to_make_again(project.catalog, project.settings) == [run]
    new = again(project, run)
    assert (new.status, new.prompt_id, new.execution_config) == (
        "completed",
        run.prompt_id,
        run.execution_config,
    )
    assert new.outputs["inputs"] != run.outputs["inputs"]
    assert f"Made again of {run.id}." in new.notes
    assert project.catalog.get_run(run.id) == run, "the old one is kept as it was"
    assert to_make_again(project.catalog, project.settings) == []


def test_a_run_that_waits_counts_as_asked_for_and_one_that_failed_does_not(
    project: Project,
) -> None:
    run = made(project)
    rendered_again(project)
    planned = plan_again(project.catalog, project.settings, run)
    new = enter(project.catalog, project.settings, planned, queued=True)
    assert to_make_again(project.catalog, project.settings) == []
    project.catalog.cancel_pending(new.id)
    assert to_make_again(project.catalog, project.settings) == [run]


def test_the_video_of_a_4k_is_made_again_before_it(project: Project) -> None:
    run = made(project)
    four_k = larger(project, run.id)
    rendered_again(project)
    wanted, new = with_parents(project.catalog, project.settings, [four_k])
    assert ([r.id for r in wanted], new) == ([run.id, four_k.id], {})
    video = again(project, run)
    wanted, new = with_parents(project.catalog, project.settings, [four_k])
    assert ([r.id for r in wanted], new) == ([four_k.id], {run.id: video.id})
    bigger = again(project, four_k, new[run.id])
    assert bigger.parent_run_id == video.id
    everything = project.catalog.list_runs(limit=None)
    assert replacements(everything, [run.id, four_k.id])[four_k.id] == bigger.id
