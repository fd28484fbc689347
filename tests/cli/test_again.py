"""`cosmos list runs --outdated` and `cosmos run --again`."""

from __future__ import annotations

import shutil

import pytest

from tests.cli.conftest import Cosmos
from tests.support.project import Project, write_video


@pytest.fixture
def two(project: Project, cosmos: Cosmos) -> tuple[str, str]:
    """A video of the scene `city` and its 4K, both of a render that is not there any more."""
    project.scene(frames=2)
    assert cosmos("create", "prompt", "a street", "city", "--name", "first").code == 0
    video = cosmos("inference", "first", "--num-steps", "7", "--json").json["id"]
    larger = cosmos("upscale", video, "--json").json["id"]
    assert cosmos("list", "runs", "--outdated", "--json").json == []
    write_video(project.settings.inputs / "city" / "color.mp4", frames=2, seed=77)
    return video, larger


def test_videos_of_an_older_render_are_listed_with_the_reason(
    cosmos: Cosmos, two: tuple[str, str]
) -> None:
    listed = {r["id"]: r["outdated"] for r in cosmos("list", "runs", "--outdated", "--json").json}
    assert {run: [r["kind"] for r in why] for run, why in listed.items()} == {
        two[0]: ["render"],
        two[1]: ["parent"],
    }
    assert "color of city was rendered again since." in cosmos("list", "runs", "--outdated").out
    of_render = cosmos("list", "runs", "--because", "render", "--ids").out.split()
    assert of_render == [two[0]]
    assert cosmos("list", "runs", "--because", "age").code == 2


def test_run_again_makes_new_ones_with_the_same_settings_and_keeps_the_old(
    project: Project, cosmos: Cosmos, two: tuple[str, str]
) -> None:
    said = cosmos("run", "--again", "--json")
    assert said.code == 0, said.err
    video, larger = said.json
    old = {run: cosmos("show", run, "--json").json for run in two}
    assert video["execution_config"] == old[two[0]]["execution_config"]
    assert larger["parent_run_id"] == video["id"]
    assert f"Made again of {two[0]}." in video["notes"]
    for run in old.values():
        assert run["status"] == "completed"
        assert (project.settings.home / run["outputs"]["video"]).is_file()
    listed = cosmos("list", "runs", "--outdated", "--json").json
    assert {r["id"]: r["replaced_by"] for r in listed} == {
        two[0]: video["id"],
        two[1]: larger["id"],
    }
    again = cosmos("run", "--again")
    assert (again.code, "Nothing is out of date." in again.err) == (0, True)


def test_a_run_that_is_not_out_of_date_is_made_again_when_it_is_named(
    cosmos: Cosmos, two: tuple[str, str]
) -> None:
    (new,) = [cosmos("run", "--again", two[0], "--json").json]
    assert new["status"] == "completed"
    assert cosmos("run", "--again", new["id"], "--json").json["id"] != new["id"]


def test_a_queued_4k_that_is_made_again_waits_for_its_video(
    cosmos: Cosmos, two: tuple[str, str]
) -> None:
    video, larger = cosmos("run", "--again", "--detach", "--json").json
    assert (video["status"], larger["status"]) == ("pending", "pending")
    assert larger["parent_run_id"] == video["id"]
    assert None not in (video["queued_at"], larger["queued_at"])


def test_a_scene_that_is_gone_refuses_to_be_made_again_and_registers_nothing(
    project: Project, cosmos: Cosmos, two: tuple[str, str]
) -> None:
    shutil.rmtree(project.settings.inputs / "city")
    said = cosmos("run", "--again")
    assert said.code == 2
    assert "The scene 'city' is gone" in said.error
    assert len(cosmos("list", "runs", "--ids").out.split()) == 2


def test_run_needs_a_run_or_again(cosmos: Cosmos) -> None:
    assert "No run was given." in cosmos("run").error
    assert cosmos("run", "x", "--detach").code == 2
