"""Scenes and videos as inputs of runs: measured when they may have changed, and only then."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_pipelines.catalog.records import SceneRow
from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.runs.inputs import (
    current_scene,
    measured,
    prepare,
    register_scene,
    scene_preview,
)
from tests.media.lerobot import TASKS, write_v2
from tests.runs.test_execute import execute, pending, project
from tests.support.counting import counting
from tests.support.project import Project, write_video

__all__ = ["project"]


def overwrite(file: Path, content: bytes) -> None:
    """Change a file in place: it stays the same inode."""
    with file.open("r+b") as opened:
        opened.truncate(0)
        opened.write(content)


def rendered_again(city: Path) -> None:
    write_video(city / "depth.mp4", seed=7)


def touched(city: Path) -> None:
    os.utime(city / "depth.mp4")


def replaced_by_one_of_the_same_size_and_time(city: Path) -> None:
    """As `cp -p` and `mv` do."""
    file, other = city / "depth.mp4", city / ".other"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    shutil.copystat(file, other)
    other.rename(file)


def given_a_pass(city: Path) -> None:
    write_video(city / "edge.mp4", seed=3)


def bereft_of_a_pass(city: Path) -> None:
    (city / "segmentation.mp4").unlink()


CHANGES = [
    rendered_again,
    touched,
    replaced_by_one_of_the_same_size_and_time,
    given_a_pass,
    bereft_of_a_pass,
]


def looked_at(project: Project) -> tuple[SceneRow, int]:
    """The scene as it is now, and how many videos were looked into for that."""
    with counting(project.settings) as counts:
        scene = current_scene(project.catalog, project.settings, "city")
    return scene, counts["probe"]


def registered(project: Project) -> SceneRow:
    """The scene, measured."""
    return register_scene(project.catalog, project.settings, project.settings.inputs / "city")


def test_a_scene_whose_files_are_as_they_were_is_not_measured_again(project: Project) -> None:
    scene = registered(project)
    assert looked_at(project) == (scene, 0)


@pytest.mark.parametrize("change", CHANGES)
def test_a_scene_whose_files_are_others_is_measured_again_once(
    project: Project, change: Callable[[Path], None]
) -> None:
    before = registered(project)
    change(project.settings.inputs / "city")
    scene, videos = looked_at(project)
    assert videos >= len(scene.facts)
    assert (scene.digest == before.digest) == (change is touched), "only its time was changed"
    assert looked_at(project) == (scene, 0)
    assert registered(project) == scene


def test_a_scene_that_was_entered_without_stamps_is_measured_once(project: Project) -> None:
    scene = registered(project)
    facts = {
        name: {k: v for k, v in one.items() if k not in ("mtime_ns", "inode")}
        for name, one in scene.facts.items()
    }
    project.catalog.put_scene(scene.key, scene.path, scene.digest, facts)
    again, videos = looked_at(project)
    assert (videos, again.facts) == (3, scene.facts)
    assert looked_at(project) == (again, 0)


def test_a_scene_that_lost_its_picture_gets_it_again(project: Project) -> None:
    registered(project)
    picture = scene_preview(project.settings, "city")
    picture.unlink()
    looked_at(project)
    assert picture.is_file()


def test_a_scene_that_cannot_be_used_any_more_says_why(project: Project) -> None:
    registered(project)
    (project.settings.inputs / "city" / "depth.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match=r"depth\.mp4"):
        looked_at(project)


def test_an_input_that_was_changed_unnoticed_is_refused_before_the_model_starts(
    project: Project,
) -> None:
    run = pending(project)
    file = project.settings.inputs / "city" / "color.mp4"
    content, stat = bytearray(file.read_bytes()), file.stat()
    content[-1] ^= 1
    overwrite(file, bytes(content))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (ended,) = execute(project, run)
    assert (ended.status, ended.error_kind) == ("failed", "validation")
    assert "was changed since it was measured" in (ended.error_message or "")
    assert not (project.run_directory(run) / "logs" / "run.log").read_text()


def test_a_video_is_measured_again_when_it_is_another(project: Project, tmp_path: Path) -> None:
    file = write_video(tmp_path / "a.mp4")
    with counting(project.settings) as counts:
        first, again = measured(file), measured(file)
        assert (first, counts["deep probe"]) == (again, 1)
        write_video(file, frames=8)
        assert (measured(file).frames, counts["deep probe"]) == (8, 2)


def test_the_task_of_an_episode_is_a_prompt_of_its_scene(project: Project, tmp_path: Path) -> None:
    root = write_v2(tmp_path / "cups")
    catalog, settings = project.catalog, project.settings
    made = prepare(catalog, settings, root, asked=Asked(scene="episode_000001_top"))
    assert made["key"] == "cups/episode_000001_top"
    prompt = catalog.get_prompt(made["prompt"])
    assert (prompt.text, prompt.scene) == (TASKS[1], made["key"])
    again = prepare(catalog, settings, root, asked=Asked(scene="episode_000001_top"))
    assert again["prompt"] == made["prompt"]
