"""`cosmos verify` finds what is not made of what is there, and says what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cosmos_pipelines.catalog.integrity import Problem
from cosmos_pipelines.runs.inputs import prepare, register_prompt, register_scene
from cosmos_pipelines.runs.scene_checks import check_scenes, fix_scenes
from tests.media import renders
from tests.support.project import Project, make_project, write_video


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose scene `city` is five rendered frames."""
    made = make_project(tmp_path / "home")
    renders.render(made.settings.inputs / "city", frames=5)
    register_prompt(made.catalog, made.settings, "a street", "city")
    return made


def found(project: Project, *, deep: bool = False) -> list[Problem]:
    return check_scenes(project.catalog, project.settings, deep=deep)


def kinds(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.kind, problem.id) for problem in problems]


def test_a_scene_made_of_what_is_there_is_no_problem(project: Project) -> None:
    assert found(project) == found(project, deep=True) == []


def test_sources_that_are_others_than_the_product_was_made_of_are_found(project: Project) -> None:
    city = project.settings.inputs / "city"
    renders.render(city, frames=24)
    (problem,) = found(project)
    assert (problem.kind, problem.id, problem.fix) == ("scene_outdated", "city", "make anew")
    assert "color.####.png has 24 frames, color.mp4 was made of 5." in problem.message
    assert f"`cosmos prepare {city}`" in problem.message
    assert kinds(found(project, deep=True)) == [("scene_outdated", "city")]
    assert fix_scenes(project.catalog, project.settings, [problem]) == [problem]
    assert found(project, deep=True) == []


def test_touched_sources_are_no_problem(project: Project) -> None:
    for path in (project.settings.inputs / "city").glob("*.png"):
        os.utime(path, (1, 1))
    assert found(project) == []


def test_deep_finds_what_was_changed_behind_size_and_time(project: Project) -> None:
    frame = project.settings.inputs / "city" / "depth.0002.png"
    content, stat = bytearray(frame.read_bytes()), frame.stat()
    content[-20] ^= 1
    with frame.open("r+b") as file:
        file.write(content)
    os.utime(frame, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert found(project) == []
    assert kinds(found(project, deep=True)) == [("scene_outdated", "city")]


def test_a_video_that_was_replaced_since_it_was_measured_is_found(project: Project) -> None:
    shot = write_video(project.settings.inputs / "shot" / "color.mp4").parent
    register_scene(project.catalog, project.settings, shot)
    write_video(shot / "color.mp4", seed=9)
    problems = found(project)
    assert kinds(problems) == [("scene_outdated", "shot")]
    fix_scenes(project.catalog, project.settings, problems)
    assert found(project) == []


def test_frames_that_are_gone_make_a_scene_unusable_and_are_not_mended(project: Project) -> None:
    (project.settings.inputs / "city" / "color.0004.png").unlink()
    (problem,) = found(project)
    assert (problem.kind, problem.fix) == ("scene_unusable", None)
    assert "1 of the 5 frames of color.####.png are gone" in problem.message


def test_a_deleted_scene_is_told_with_the_prompts_that_are_for_it(project: Project) -> None:
    shutil.rmtree(project.settings.inputs / "city")
    project.catalog.add_prompt("text", None, "unknown", "name", {})
    problems = found(project)
    assert kinds(problems) == [("scene_missing", "city"), ("scene_missing", "unknown")]
    assert "1 prompt(s)" in problems[0].message
    assert fix_scenes(project.catalog, project.settings, problems) == []


def test_renders_elsewhere_are_compared_too(project: Project, tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders", frames=5)
    prepare(project.catalog, project.settings, source, "shot")
    assert found(project, deep=True) == []
    renders.save(source / "color.0001.png", renders.colour(9))
    assert kinds(found(project)) == [("scene_outdated", "shot")]


def test_places_that_an_earlier_version_kept_whole_are_mended(
    project: Project, tmp_path: Path
) -> None:
    """As after an update of a project that had been moved before."""
    catalog, home = project.catalog, project.settings.home
    old = "/somewhere/else/project"
    clip = write_video(home / "clips" / "a.mp4")
    renders.render(home / "renders" / "b", frames=2)
    row = register_scene(catalog, project.settings, home / "renders" / "b")
    run = catalog.add_run(
        "upscale", "preview", "local", {}, source={"video": f"{old}/clips/{clip.name}"}
    )
    catalog.rename_scene("city", "city", f"{old}/inputs/videos/city")
    catalog.rename_scene(row.key, row.key, f"{old}/renders/b")
    problems = found(project)
    assert {(p.kind, p.id, p.fix) for p in problems} == {
        ("place", one, "keep its place") for one in ("city", row.key, run.id)
    }
    assert len(fix_scenes(catalog, project.settings, problems)) == 3
    assert found(project, deep=True) == []
    paths = {scene.key: scene.path for scene in catalog.list_scenes()}
    assert paths == {"city": "inputs/videos/city", row.key: "renders/b"}
    assert catalog.get_run(run.id).source == {"video": "clips/a.mp4"}
