"""What is in a scene's mp4s is what is rendered now, whoever looks at the scene."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from cosmos_pipelines.assets.partitions import SCENES
from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import (
    current_scene,
    prepare,
    register_prompt,
    register_scene,
    scene_directory,
)
from cosmos_pipelines.runs.plan import plan_enhance, plan_transfer
from tests.media import renders
from tests.runs.test_execute import execute
from tests.support.counting import counting
from tests.support.dagster_project import materialize
from tests.support.project import Project, make_project, write_video
from tests.support.stand_in_engine import registered

Door = Callable[[Project], object]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose scene `city` is five rendered frames, registered with a prompt."""
    with registered():
        made = make_project(tmp_path / "home")
        renders.render(made.settings.inputs / "city", frames=5)
        register_prompt(made.catalog, made.settings, "works", "city", name="first")
        yield made


def city(project: Project) -> Path:
    return project.settings.inputs / "city"


def scene(project: Project) -> SceneRow:
    return project.catalog.get_scene("city")


def frames(project: Project) -> dict[str, int]:
    """Frames of each mp4 of the scene, as they are in the files."""
    return {
        path.stem: probe(path, deep=True).frames for path in sorted(city(project).glob("*.mp4"))
    }


def a_further_prompt(project: Project) -> None:
    register_prompt(project.catalog, project.settings, "works too", "city")


def a_plan(project: Project) -> None:
    prompt = project.catalog.get_prompt("first")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")
    assert planned.job.inputs["color"].frames == 24


def a_plan_of_an_enhancement(project: Project) -> None:
    prompt = project.catalog.get_prompt("first")
    planned = plan_enhance(project.catalog, project.settings, prompt.id, {})
    assert planned.job.inputs["color"].frames == 24


def prepared_again(project: Project) -> None:
    prepare(project.catalog, project.settings, city(project))


def the_sensor_s_asset(project: Project) -> None:
    with open_instance(project.settings, captures=False) as instance:
        instance.add_dynamic_partitions("scenes", ["city"])
        assert materialize(project, instance, SCENES, "city").success


DOORS: list[Door] = [
    a_further_prompt,
    a_plan,
    a_plan_of_an_enhancement,
    prepared_again,
    the_sensor_s_asset,
]


@pytest.mark.parametrize("door", DOORS)
def test_frames_rendered_over_a_registered_scene_are_what_every_door_takes(
    project: Project, door: Door
) -> None:
    before = scene(project)
    renders.render(city(project), frames=24)
    door(project)
    now = scene(project)
    assert frames(project) == {"color": 24, "depth": 24, "segmentation": 24}
    assert {facts["frames"] for facts in now.facts.values()} == {24}
    assert now.digest != before.digest


def queued(project: Project) -> str:
    prompt, _ = register_prompt(project.catalog, project.settings, "works", "city")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")
    return enter(project.catalog, project.settings, planned, queued=True).id


def test_a_queued_run_is_made_of_what_is_rendered_when_it_starts(project: Project) -> None:
    run = project.catalog.get_run(queued(project))
    renders.render(city(project), frames=24)
    (ended,) = execute(project, run)
    assert (ended.status, ended.outputs["frames"]) == ("completed", 24)


def test_a_retry_is_made_of_what_is_rendered_by_then(project: Project) -> None:
    run = project.catalog.get_run(queued(project))
    (city(project) / "color.0005.png").unlink()
    (failed,) = execute(project, run)
    assert (failed.status, failed.error_kind) == ("failed", "validation")
    assert "are gone" in (failed.error_message or "")
    renders.render(city(project), frames=24)
    (ended,) = execute(project, run)
    assert (ended.status, ended.outputs["frames"]) == ("completed", 24)


def test_only_the_pass_that_changed_is_made_anew(project: Project) -> None:
    before = scene(project).facts
    made_at = (city(project) / "color.mp4").stat().st_mtime_ns
    renders.save(city(project) / "depth.0003.png", renders.distance(17))
    now = current_scene(project.catalog, project.settings, "city").facts
    assert now["depth"]["sha256"] != before["depth"]["sha256"]
    assert {n: now[n]["sha256"] for n in ("color", "segmentation")} == {
        n: before[n]["sha256"] for n in ("color", "segmentation")
    }
    assert (city(project) / "color.mp4").stat().st_mtime_ns == made_at


def test_files_that_were_only_touched_or_copied_are_not_encoded_again(project: Project) -> None:
    before = {p: p.stat().st_mtime_ns for p in city(project).glob("*.mp4")}
    for path in city(project).glob("*.png"):
        os.utime(path, (1, 1))
    current_scene(project.catalog, project.settings, "city")
    assert {p: p.stat().st_mtime_ns for p in before} == before
    with counting(project.settings) as counts:
        current_scene(project.catalog, project.settings, "city")
    assert counts["probe"] == 0, "the second look believes the times as they are now"


def test_a_look_at_a_scene_that_is_as_it_was_reads_no_file(project: Project) -> None:
    opened: list[str] = []
    read = Path.open

    def watched(path: Path, *args: object, **kwargs: object) -> object:
        opened.append(str(path))
        return read(path, *args, **kwargs)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", watched)
        patch.setattr("builtins.open", watched)
        with counting(project.settings) as counts:
            current_scene(project.catalog, project.settings, "city")
    assert ([name for name in opened if "city" in name], counts["probe"]) == ([], 0)


def test_a_pass_that_is_rendered_later_is_made(project: Project) -> None:
    renders.sequence(city(project), "edge.%04d.png", renders.colour, range(1, 6))
    assert "edge" in current_scene(project.catalog, project.settings, "city").facts


def test_a_sequence_beside_a_finished_video_is_not_left_out(project: Project) -> None:
    """color.mp4 is there, so the scene once counted as prepared."""
    other = project.settings.inputs / "other"
    write_video(other / "color.mp4", frames=6)
    renders.sequence(other, "depth.%04d.png", renders.distance, range(1, 7))
    facts = register_scene(project.catalog, project.settings, other).facts
    assert set(facts) == {"color", "depth"}
    assert facts["color"]["file"] == "color.prepared.mp4"


def test_a_scene_of_which_half_of_the_frames_are_gone_is_refused(project: Project) -> None:
    before = frames(project)
    for number in (4, 5):
        (city(project) / f"depth.{number:04d}.png").unlink()
    with pytest.raises(MediaError, match=r"2 of the 5 frames of depth\.####\.png are gone") as e:
        current_scene(project.catalog, project.settings, "city")
    assert "cosmos prepare" in str(e.value)
    assert frames(project) == before


def test_a_shorter_sequence_that_was_rendered_anew_is_taken(project: Project) -> None:
    for path in city(project).glob("*.png"):
        path.unlink()
    renders.render(city(project), frames=3)
    for number in (1, 2, 3):
        renders.save(city(project) / f"color.{number:04d}.png", renders.colour(number + 30))
        renders.save(city(project) / f"depth.{number:04d}.png", renders.distance(number + 30))
        picture = renders.segments(number + 30)
        renders.save(city(project) / f"segmentation.{number:04d}.png", picture)
    current_scene(project.catalog, project.settings, "city")
    assert set(frames(project).values()) == {3}


def test_pictures_that_were_removed_after_preparing_leave_the_scene_usable(
    project: Project,
) -> None:
    before = scene(project).digest
    for path in city(project).glob("*.png"):
        path.unlink()
    assert current_scene(project.catalog, project.settings, "city").digest == before
    assert set(frames(project).values()) == {5}


def test_a_pass_whose_pictures_are_gone_is_never_lost_while_another_is_made_anew(
    project: Project,
) -> None:
    for path in city(project).glob("depth.*.png"):
        path.unlink()
    renders.sequence(city(project), "color.%04d.png", renders.colour, range(1, 25))
    with pytest.raises(
        MediaError, match=r"depth\.####\.png, of which depth\.mp4 was made, is gone"
    ):
        current_scene(project.catalog, project.settings, "city")
    assert frames(project) == {"color": 5, "depth": 5, "segmentation": 5}


def test_an_mp4_that_the_user_changed_is_not_overwritten(project: Project) -> None:
    own = write_video(city(project) / "color.mp4", frames=5).read_bytes()
    renders.sequence(city(project), "color.%04d.png", renders.colour, range(1, 25))
    with pytest.raises(MediaError, match=r"Move the mp4 away"):
        current_scene(project.catalog, project.settings, "city")
    assert (city(project) / "color.mp4").read_bytes() == own


def test_pictures_that_are_newer_than_the_user_s_own_mp4_are_refused(project: Project) -> None:
    own = project.settings.inputs / "own"
    renders.video(own / "color.mp4", frames=6)
    renders.sequence(own, "color.%04d.png", renders.colour, range(1, 7))
    with pytest.raises(MediaError, match=r"is newer than .*color\.mp4"):
        register_scene(project.catalog, project.settings, own)
    os.utime(own / "color.mp4")
    assert register_scene(project.catalog, project.settings, own).facts["color"]["frames"] == 6


def test_how_a_scene_was_prepared_is_kept_when_it_is_made_anew(project: Project) -> None:
    renders.render(project.settings.inputs / "slow", frames=5)
    directory = project.settings.inputs / "slow"
    prepare(
        project.catalog,
        project.settings,
        directory,
        asked=Asked(fps=Fraction(12), depth_values="nearness"),
    )
    renders.render(directory, frames=8)
    facts = current_scene(project.catalog, project.settings, "slow").facts
    assert {(one["frames"], one["fps"]) for one in facts.values()} == {(8, "12")}
    text = (directory / "scene.json").read_text()
    assert '"source_values": "nearness"' in text


def test_renders_elsewhere_that_a_scene_was_prepared_from_count_too(
    project: Project, tmp_path: Path
) -> None:
    source = renders.render(tmp_path / "renders", frames=5)
    prepare(project.catalog, project.settings, source, "shot")
    with counting(project.settings) as counts:
        current_scene(project.catalog, project.settings, "shot")
    assert counts["probe"] == 0
    renders.render(source, frames=24)
    row = current_scene(project.catalog, project.settings, "shot")
    assert row.facts["color"]["frames"] == 24
    shutil.rmtree(source)
    assert current_scene(project.catalog, project.settings, "shot").digest == row.digest


def test_a_foreign_scene_json_does_not_send_us_to_another_directory(
    project: Project, tmp_path: Path
) -> None:
    source = renders.render(tmp_path / "renders", frames=5)
    prepare(project.catalog, project.settings, source, "shot")
    dropped = project.settings.inputs / "dropped"
    shutil.copytree(project.settings.inputs / "shot", dropped)
    renders.render(source, frames=24)
    row = register_scene(project.catalog, project.settings, dropped)
    assert row.facts["color"]["frames"] == 5


def test_renders_that_change_while_they_are_encoded_are_refused(
    project: Project, tmp_path: Path
) -> None:
    source = renders.render(tmp_path / "renders", frames=5)

    def render_on(name: str, done: int, total: int) -> None:
        renders.sequence(source, "color.%04d.png", renders.colour, [6])

    with pytest.raises(MediaError, match="was changed while it was being prepared"):
        prepare(project.catalog, project.settings, source, "shot", progress=render_on)
    assert not (project.settings.inputs / "shot").exists()


def test_frames_that_a_request_declares_are_waited_for(project: Project) -> None:
    (city(project) / "scene.toml").write_text('frames = 24\n[[prompt]]\ntext = "works"\n')
    with pytest.raises(MediaError, match=r"has 5 frames, its scene\.toml says 24"):
        current_scene(project.catalog, project.settings, "city")
    renders.render(city(project), frames=24)
    assert current_scene(project.catalog, project.settings, "city").facts["color"]["frames"] == 24
    renders.render(city(project), frames=25)
    with pytest.raises(MediaError, match=r"has 25 frames, its scene\.toml says 24"):
        current_scene(project.catalog, project.settings, "city")


# Renaming ---------------------------------------------------------------------------------------


def test_a_renamed_scene_is_the_same_scene_with_the_same_prompts(project: Project) -> None:
    prompt, digest = project.catalog.get_prompt("first"), scene(project).digest
    city(project).rename(project.settings.inputs / "town")
    again, new = register_prompt(project.catalog, project.settings, "works", "town")
    assert (again.id, again.scene, new) == (prompt.id, "town", False)
    (row,) = project.catalog.list_scenes()
    assert (row.key, row.path, row.digest) == ("town", "inputs/videos/town", digest)


def test_a_prompt_of_a_renamed_scene_finds_it(project: Project) -> None:
    prompt = project.catalog.get_prompt("first")
    city(project).rename(project.settings.inputs / "town")
    planned = plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")
    assert "/town/" in planned.job.inputs["color"].path
    assert project.catalog.get_prompt(prompt.id).scene == "town"
    shutil.rmtree(project.settings.inputs / "town")
    with pytest.raises(MediaError, match="The scene 'town' is gone"):
        plan_transfer(project.catalog, project.settings, prompt.id, {}, engine="stand_in")


def test_a_new_scene_with_the_old_name_has_prompts_of_its_own(project: Project) -> None:
    prompt = project.catalog.get_prompt("first")
    city(project).rename(project.settings.inputs / "town")
    register_scene(project.catalog, project.settings, project.settings.inputs / "town")
    renders.render(city(project), frames=7)
    other, new = register_prompt(project.catalog, project.settings, "works", "city")
    assert new
    assert (other.id != prompt.id, other.scene) == (True, "city")
    assert register_prompt(project.catalog, project.settings, "works", "city") == (other, False)
    assert project.catalog.get_prompt(prompt.id).scene == "town"


def test_a_copy_of_a_scene_is_another_scene(project: Project) -> None:
    shutil.copytree(city(project), project.settings.inputs / "copy")
    register_scene(project.catalog, project.settings, project.settings.inputs / "copy")
    assert [row.key for row in project.catalog.list_scenes()] == ["city", "copy"]
    assert project.catalog.get_prompt("first").scene == "city"


def test_a_scene_elsewhere_keeps_its_key_wherever_it_is_named_from(
    project: Project, tmp_path: Path
) -> None:
    away = renders.render(tmp_path / "away", frames=5)
    row = register_scene(project.catalog, project.settings, away)
    assert row.path == str(away)
    assert register_scene(project.catalog, project.settings, away).key == row.key
    link = tmp_path / "link"
    link.symlink_to(away)
    named = scene_directory(project.settings, link)
    assert register_scene(project.catalog, project.settings, named).key == row.key


def test_what_a_scene_was_made_of_is_kept_with_it(project: Project) -> None:
    row = scene(project)
    assert row.sources is not None
    assert sha256_of(city(project) / "color.mp4") == row.facts["color"]["sha256"]
