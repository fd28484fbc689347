"""A project can be moved and copied; a dry run leaves no trace."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.cli import main
from tests.cli.conftest import Cosmos, Said
from tests.media import renders
from tests.support.made_once import made_once
from tests.support.project import Project, copy_of, make_project, write_video


@pytest.fixture
def at(capfd: pytest.CaptureFixture[str]) -> Any:
    """Run a command on the project in a directory."""

    def run(home: Path, *words: object) -> Said:
        capfd.readouterr()
        code = main(["--home", str(home), *map(str, words)])
        return Said(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a rendered scene, a video of it, and a clip that waits for its 4K."""
    return made_once(tmp_path_factory, "moving", _make)[0]


def _make(home: Path) -> None:
    project = make_project(home)
    renders.render(project.settings.inputs / "city", frames=3)
    clip = write_video(home / "clips" / "clip.mp4")
    with CosmosAPI(settings=project.settings) as api:
        api.quick_inference(api.create_prompt("a street", "city", name="first")["id"])
        api.create_upscale(video=clip, queue=True)
    project.catalog.close()


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Project:
    """A copy of it."""
    copied = copy_of(made, tmp_path / "home")
    copied.catalog.close()
    return copied


def colour_of(said: Said) -> str:
    [order] = said.json
    [path] = [v["path"] for n, v in order["order"]["inputs"].items() if n.startswith("color")]
    return str(path)


def test_a_moved_project_works_at_once(
    project: Project, cosmos: Cosmos, at: Any, tmp_path: Path
) -> None:
    there = project.settings.home.rename(tmp_path / "elsewhere")
    said = at(there, "inference", "first", "--dry-run", "--json")
    assert colour_of(said) == str(there / "inputs/videos/city/color.mp4")
    assert at(there, "verify", "--deep").code == 0
    again = at(there, "create", "prompt", "a street", "city")
    assert "exists already, as first" in again.err
    assert at(there, "inference", "first").code == 0
    [waiting] = [r for r in at(there, "list", "runs", "--json").json if r["status"] == "pending"]
    assert waiting["source"] == {"video": "clips/clip.mp4"}
    assert at(there, "run", waiting["id"]).code == 0
    shown = at(there, "list", "scenes", "--json").json
    assert [(s["path"], s["state"]) for s in shown] == [
        (str(there / "inputs/videos/city"), "as_measured")
    ]


def test_a_copied_project_uses_its_own_files(
    project: Project, cosmos: Cosmos, at: Any, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(project.settings.home, tmp_path / "copy"))
    renders.render(project.settings.inputs / "city", frames=9)
    said = at(copy, "inference", "first", "--dry-run", "--json")
    assert colour_of(said) == str(copy / "inputs/videos/city/color.mp4")
    assert said.json[0]["expected"][0]["frames"] == 3
    assert at(copy, "verify", "--deep").code == 0
    made = {p.name: p.stat().st_mtime_ns for p in (copy / "inputs/videos/city").glob("*.mp4")}
    assert at(copy, "inference", "first").code == 0
    assert {p.name: p.stat().st_mtime_ns for p in (copy / "inputs/videos/city").glob("*.mp4")} == (
        made
    ), "copied files have other times, and the same content"


def state_of(home: Path) -> dict[str, tuple[int, int]]:
    """All files with size and time, but for those that SQLite keeps while it is open."""
    kept = {}
    for place, _, names in os.walk(home):
        for path in (Path(place, name) for name in names):
            if not path.name.endswith(("-wal", "-shm")):
                kept[str(path)] = (path.stat().st_size, path.stat().st_mtime_ns)
    return kept


@pytest.mark.parametrize("command", ["inference", "prompt-enhance"])
def test_a_dry_run_tells_what_is_rendered_now_and_writes_nothing(
    project: Project, cosmos: Cosmos, command: str
) -> None:
    renders.render(project.settings.inputs / "city", frames=7)
    (project.settings.outputs / "previews/scenes/city.webp").unlink()
    before = state_of(project.settings.home)
    said = cosmos(command, "first", "--dry-run", "--json")
    assert said.code == 0, said.err
    inputs = said.json[0]["order"]["inputs"].values()
    assert {video["frames"] for video in inputs} == {7}
    project.catalog.close()
    assert state_of(project.settings.home) == before


def test_a_dry_run_of_a_scene_that_cannot_be_made_anew_says_why(
    project: Project, cosmos: Cosmos
) -> None:
    (project.settings.inputs / "city" / "depth.0002.png").unlink()
    said = cosmos("inference", "first", "--dry-run")
    assert said.code == 2
    assert "1 of the 3 frames of depth.####.png are gone" in said.error


def test_a_deleted_scene_is_listed_as_gone_and_a_changed_one_as_changed(
    project: Project, cosmos: Cosmos
) -> None:
    renders.render(project.settings.inputs / "town", frames=3)
    assert cosmos("create", "prompt", "a town", "town").code == 0
    shutil.rmtree(project.settings.inputs / "city")
    renders.render(project.settings.inputs / "town", frames=4)
    shown = {s["key"]: s["state"] for s in cosmos("list", "scenes", "--json").json}
    assert shown == {"city": "gone", "town": "changed"}
    assert "gone" in cosmos("list", "scenes").out
    said = cosmos("inference", "first")
    assert said.code == 2
    assert str(project.settings.inputs / "city") in said.error
